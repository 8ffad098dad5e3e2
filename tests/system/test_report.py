# SPDX-License-Identifier: LGPL-2.1-or-later
"""The outputs of quiesce-probe that others read: the page, the metrics, a monitoring plugin's line,
JSON by its schema, and several runs in one."""

import html.parser
import json
import os
import pty
import re
import stat
import subprocess
import time
from xml.etree import ElementTree

import pytest
from agent import Agent
from fake_agent import FakeAgent, FakeQmp, Stall
from filesystems import Filesystems
from probe import ERROR, FROZEN, NOT_FROZEN, PROBE, UNPROVEN, run
from probe_schema import assert_follows_schema
from prometheus_client.parser import text_string_to_metric_families

OK, WARNING, CRITICAL, UNKNOWN = range(4)  # a plugin's exit statuses
HOSTILE = "/srv/<script>alert(1)</script>\"'&\x1b[2J|"
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(html.parser.HTMLParser):
    """A page that is well-formed, as a list of elements and all their text."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements, self.words, self._open = [], [], []
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)

    @property
    def drawing(self):
        source = re.search(r'<svg class="timeline".*?</svg>', self.source, re.DOTALL)[0]
        return ElementTree.fromstring(source)

    def drawn(self, class_name):
        """What of the drawing has this class."""
        return [element for element in self.drawing.iter() if element.get("class") == class_name]


def metrics(path):
    """Series by name and labels, without those that every series has."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    found = {}
    for family in families:
        assert family.documentation and family.type == "gauge"
        for sample in family.samples:
            labels = {**sample.labels}
            assert labels.pop("guest") and labels.pop("verb")
            key = (sample.name.removeprefix("quiesce_probe_"), *labels.values())
            assert key not in found
            found[key] = sample.value
    return found


@pytest.fixture(name="fake")
def fixture_fake(tmp_path):
    with FakeAgent(tmp_path / "agent.sock", quiesced=True) as agent:
        yield agent


def verify(agent, *arguments, verb="verify", within=60):
    return run(verb, *arguments, "--timeout", 2, "--hold", 0.3, "--socket", agent.path,
               within=within)


# ---- against the real agent

def test_the_page_of_a_real_freeze_has_its_lanes_and_its_log(tmp_path):
    page, text = tmp_path / "page.html", tmp_path / "quiesce.prom"
    with Filesystems() as filesystems, Agent(tmp_path) as agent:
        mount_points = [str(filesystems.add(name)) for name in ("first", "second")]
        agent.configure(f"[freeze]\ninclude-mountpoints={filesystems.directory}/*\n")
        agent.start()
        with FakeQmp(tmp_path / "qmp.sock", lambda device: device == "vda"):
            result = run("report", page, "--json", "--hold", 0.5, "--socket", agent.socket_path,
                         "--qmp", tmp_path / "qmp.sock", "--prometheus", text,
                         *(word for path in mount_points for word in ("--mountpoint", path)))
    assert result.status == FROZEN, result
    assert_follows_schema(result.json)
    shown = Page(page)
    assert shown.words and "FROZEN" in shown.text and "filesystem-consistent" in shown.text
    for path in mount_points:
        assert path in shown.text
    lanes = len(mount_points) + 1
    for stage, count in (("presync", lanes - 1), ("freeze", lanes), ("hold", lanes),
                         ("thaw", lanes)):
        assert len(shown.drawn(stage)) == count, stage
    # The last write before the freeze and the first after the thaw, none in between.
    assert len(shown.drawn("dot")) == 2 * len(mount_points)
    assert len(shown.drawn("write")) > 5
    assert "freeze: FROZEN" in shown.text and "The end of the agent's log" in shown.text
    found = metrics(text)
    assert found["verdict", "FROZEN"] == 1 and found["verdict", "NOT FROZEN"] == 0
    assert found["frozen_filesystems",] == 2 and found["success",] == 1
    assert 0.5 <= found["hold_duration_seconds",] < 1.5
    assert abs(found["last_run_timestamp_seconds",] - time.time()) < 60
    for path in mount_points:
        assert 0.5 <= found["filesystem_hold_duration_seconds", path] < 1.5


def test_the_writes_of_writers_through_guest_exec_are_dots(tmp_path):
    place, page = tmp_path / "place", tmp_path / "page.html"
    place.mkdir()
    with FakeAgent(tmp_path / "agent.sock", execute=True) as agent:
        agent.answers["guest-fsfreeze-freeze-list"] = lambda _: agent.freeze(1)
        result = run("verify", "--json", "--hold", 2, "--socket", agent.path, "--mountpoint", place,
                     "--html", page)
    assert result.status == NOT_FROZEN, result
    # It wrote on through the hold, and is seen to.
    assert len(Page(page).drawn("dot")) >= 2 and len(Page(page).drawn("bad")) > 2


# ---- the page

def test_a_page_of_a_hostile_guest_is_well_formed_and_loads_nothing(fake, tmp_path):
    page = tmp_path / "page.html"
    fake.quiesced_filesystem = lambda **more: {
        "mountpoint": HOSTILE, "type": HOSTILE, "device": HOSTILE, "device-number": "1:2",
        **{name.replace("_", "-"): more[name] for name in more}}
    fake.answers["quiesce-log"] = {"lines": [HOSTILE, 7, None, "</pre><img src=x>"]}
    result = verify(fake, "--html", page)
    shown = Page(page)
    assert "<script>alert(1)</script>" in shown.text and result.output
    tags = {tag for tag, _ in shown.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "base", "form", "a"}
    for _, attributes in shown.elements:
        assert not {name for name in attributes if name.startswith("on") or name in (
            "src", "href", "style")}
    assert "\x1b" not in shown.source and shown.drawing is not None


def test_a_guest_that_nobody_reaches_has_a_page_and_metrics_that_say_so(tmp_path):
    page, text = tmp_path / "page.html", tmp_path / "quiesce.prom"
    result = run("verify", "--socket", tmp_path / "nobody", "--html", page, "--prometheus", text)
    assert result.status == ERROR
    assert "NO VERDICT" in Page(page).text and "nobody" in Page(page).text
    found = metrics(text)
    assert found["success",] == 0 and ("hold_duration_seconds",) not in found
    assert {found["verdict", verdict] for verdict in ("FROZEN", "NOT FROZEN", "UNPROVEN")} == {0}


def test_a_watch_has_the_same_outputs(fake, tmp_path):
    page, text = tmp_path / "page.html", tmp_path / "quiesce.prom"
    with FakeQmp(tmp_path / "qmp.sock", lambda device: True):
        result = run("watch", "--nagios", "--duration", 1.5, "--socket", fake.path, "--qmp",
                     tmp_path / "qmp.sock", "--html", page, "--prometheus", text)
    assert re.fullmatch(r"QUIESCE (CRITICAL|WARNING) - [^|\n]+\n", result.output), result
    assert len(Page(page).drawn("write")) > 5 and Page(page).drawn("band") == []
    assert metrics(text)["verdict", "FROZEN"] == 0


# ---- files

def test_a_file_is_replaced_as_a_whole_and_readable_by_others(fake, tmp_path):
    folder = tmp_path / "collector"
    folder.mkdir()
    text = folder / "quiesce.prom"
    text.write_text("old", encoding="utf-8")
    before = text.stat().st_ino
    verify(fake, "--prometheus", text)
    assert text.stat().st_ino != before and metrics(text)
    assert os.listdir(folder) == ["quiesce.prom"]
    assert stat.S_IMODE(text.stat().st_mode) & 0o044 == 0o044


def test_what_is_no_file_is_written_to_and_not_replaced(fake, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        verify(fake, "--prometheus", pipe)
        assert b"quiesce_probe_verdict" in reader.communicate(timeout=10)[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("option", ["--html", "--prometheus"])
def test_a_guest_is_not_frozen_for_a_file_that_cannot_be_written(fake, tmp_path, option):
    result = verify(fake, option, tmp_path / "nowhere" / "file")
    assert result.status == ERROR and "cannot write" in result.errors
    assert "nowhere/file: No such file or directory" in result.errors
    assert fake.asked("quiesce-freeze") == 0


# ---- a plugin's line

def test_the_line_and_status_of_a_plugin(fake):
    result = verify(fake, "--nagios")
    assert result.status == OK
    assert re.fullmatch(r"QUIESCE OK - FROZEN, filesystem-consistent "
                        r"\| hold=0\.3\d+s;;;0 freeze=0\.\d+s;;;0 thaw=0\.\d+s;;;0 "
                        r"filesystems=1;;;0\n", result.output)
    result = verify(fake, "--nagios", "--no-canary")
    assert result.status == WARNING and result.output.startswith("QUIESCE WARNING - UNPROVEN, ")
    fake.answers["quiesce-thaw"] = lambda _: fake.quiesced_thaw(writes_during=9)
    result = verify(fake, "--nagios")
    assert result.status == CRITICAL and "; canary: " in result.output


def test_a_plugins_status_where_there_is_no_verdict(fake, tmp_path):
    result = run("verify", "--nagios", "--socket", tmp_path / "nobody")
    assert result.status == UNKNOWN and result.output.startswith("QUIESCE UNKNOWN - ")
    assert result.output.count("\n") == 1
    assert verify(fake, "--nagios", "--json").status == UNKNOWN
    assert fake.asked("quiesce-freeze") == 0


def test_a_guest_left_frozen_is_critical(fake):
    fake.answers["quiesce-thaw"] = fake.answers["guest-fsfreeze-thaw"] = Stall()
    result = run("verify", "--nagios", "--timeout", 0.3, "--hold", 0.2, "--socket", fake.path)
    assert result.status == CRITICAL, result
    assert result.output.startswith("QUIESCE CRITICAL - THE GUEST MAY STILL BE FROZEN")


# ---- several runs

def test_the_worst_of_several_runs_counts(fake, tmp_path):
    outcomes = iter([0, 9, 0])
    fake.answers["quiesce-thaw"] = lambda _: fake.quiesced_thaw(
        writes_during=next(outcomes) if fake.frozen else 0)
    page = tmp_path / "page.html"
    result = verify(fake, "--json", "--repeat", 3, "--pause", 0.05, "--html", page)
    assert result.status == NOT_FROZEN
    assert_follows_schema(result.json)
    assert [one["verdict"] for one in result.json["runs"]] == ["FROZEN", "NOT FROZEN", "FROZEN"]
    assert result.json["verdict"] == "NOT FROZEN"
    assert "NOT FROZEN" in Page(page).text


def test_several_runs_end_with_a_summary(fake):
    result = verify(fake, "--repeat", 2, "--pause", 0.05)
    assert result.status == FROZEN and fake.asked("quiesce-freeze") == 2
    summary = result.output[result.output.index("run  verdict"):]
    assert re.findall(r"^ +(\d)  (\w+)", summary, re.MULTILINE) == [("1", "FROZEN"),
                                                                    ("2", "FROZEN")]
    assert "\nverdict   FROZEN, at worst a snapshot in these windows is " in summary


def test_a_guest_that_may_be_frozen_is_not_frozen_again(fake):
    fake.answers["quiesce-thaw"] = fake.answers["guest-fsfreeze-thaw"] = Stall()
    result = run("verify", "--json", "--repeat", 3, "--timeout", 0.3, "--hold", 0.2, "--socket",
                 fake.path)
    assert result.status == ERROR and len(result.json["runs"]) == 1
    assert fake.asked("quiesce-freeze") == 1 and result.json["guest-may-be-frozen"]


# ---- JSON of guests that are no quiesced

def test_the_json_of_any_agent_follows_the_schema(tmp_path):
    with FakeAgent(tmp_path / "agent.sock") as agent, \
            FakeQmp(tmp_path / "qmp.sock", lambda device: True):
        qmp = ("--qmp", tmp_path / "qmp.sock")
        results = [verify(agent, "--json"), verify(agent, "--json", *qmp)]
        for words in (["ping"], ["info"], ["status"], ["freeze"], ["status"], ["thaw"],
                      ["history"], ["log"], ["watch", "--duration", 0.3, *qmp],
                      ["watch", *qmp, "--", "true"]):
            verb, *more = words
            results.append(run(verb, "--json", "--socket", agent.path, *more))
    assert [result.status for result in results[:2]] == [UNPROVEN, NOT_FROZEN]
    for result in results:
        assert_follows_schema(result.json)


# ---- a terminal

def on_terminal(columns, *arguments):
    """What the probe prints where standard output is a terminal of that width."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "-F", os.ttyname(slave), "cols", str(columns)], check=True)
    with subprocess.Popen([PROBE, *map(str, arguments)], stdout=slave,
                          env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"}) as process:
        os.close(slave)
        chunks = []
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            chunks.append(chunk)
        process.wait(timeout=60)
    os.close(master)
    return b"".join(chunks).decode().replace("\r\n", "\n")


def test_a_terminal_of_80_columns_is_enough(fake, tmp_path):
    long_name = "/var/lib/containers/storage/overlay-containers/" + "0123456789abcdef" * 4
    fake.quiesced_filesystem = lambda **more: {
        "mountpoint": long_name, "type": "ext4", "device": "/dev/mapper/vg-containers",
        "device-number": "1:2", "presync-ms": 123.4,
        **{name.replace("_", "-"): more[name] for name in more}}
    with FakeQmp(tmp_path / "qmp.sock", lambda device: True):
        shown = on_terminal(80, "verify", "--hold", 0.3, "--socket", fake.path, "--qmp",
                            tmp_path / "qmp.sock", "--repeat", 2, "--pause", 0.05)
        wide = run("verify", "--hold", 0.3, "--socket", fake.path, "--qmp", tmp_path / "qmp.sock")
    assert [line for line in shown.splitlines() if len(line) > 80] == [], shown
    assert "verdict   " in shown and "/var/lib/" in shown and "..." in shown
    # Nothing is cut or wrapped where a program reads.
    assert long_name in wide.output and max(map(len, wide.output.splitlines())) > 100


def test_json_is_not_disturbed_by_a_terminal(fake):
    assert json.loads(on_terminal(80, "verify", "--json", "--hold", 0.2, "--socket", fake.path))
