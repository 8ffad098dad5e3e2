# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages say what the programs do: every option, key, default and command stands in them,
and nothing stands in them that is not there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from agent import BUILD, QUIESCED, Agent, CommandError
from fake_agent import FakeQmp
from filesystems import Filesystems, run
from probe_schema import assert_follows_schema

ROOT = Path(__file__).resolve().parents[2]
PROBE = BUILD / "prober" / "quiesce-probe"
PAGES = sorted((ROOT / "docs").glob("*.scd"))
FOREIGN_OPTIONS = {
    "--version",  # a word in the place of a verb, to quiesce-probe
    "--blacklist",  # qemu-ga's old name of --block-rpcs: accepted, but not advertised by --help
}


def source(page):
    return (ROOT / "docs" / f"{page}.scd").read_text(encoding="utf-8")


def section(page, heading):
    """The text of one section of a page, up to the next heading."""
    return re.split(r"^# ", source(page).split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]


def helped_options(*command):
    """The (letter, name) of each option that a --help describes; letter "" where it has none."""
    text = run(*command, "--help")
    return set(re.findall(r"^ +(?:-(\w), )?--([a-z-]+)", text, re.MULTILINE))


def documented_options(text):
    """The same of the definitions in a page's text: lines that begin with an option."""
    return set(re.findall(r"^(?:\*-(\w)\*, )?\*--([a-z-]+)\*", text, re.MULTILINE))


def helped_verbs():
    """The verbs of quiesce-probe."""
    return re.findall(r"^  (\w+) +\w", run(PROBE, "--help"), re.MULTILINE)


def probe_options():
    """The options that quiesce-probe takes with any of its verbs."""
    return set().union(*(helped_options(PROBE, verb) for verb in helped_verbs()))


def default_keys():
    """The configuration in effect where nobody has said anything, as --dump-conf prints it."""
    return run(QUIESCED, "--config=/dev/null", "--dump-conf")


def keys_of(key_file):
    """The (group, key) of each setting; those commented out, "#key=value", count, too."""
    found, group = set(), None
    for line in key_file.splitlines():
        if heading := re.match(r"\[(\w+)\]$", line):
            group = heading[1]
        elif key := re.match(r"#?([a-z-]+)=", line):
            found.add((group, key[1]))
    return found


def documented_keys():
    """(group, key) -> its documented default, or None where it has none."""
    page = source("quiesced.conf.5")
    found = {}
    groups = re.findall(r"^# GROUP \[(\w+)\]\n(.*?)(?=^# )", page, re.MULTILINE | re.DOTALL)
    for group, text in groups:
        for line in re.findall(r"^\*.*\)$", text, re.MULTILINE):
            default = re.search(r"default [*_](.+?)[*_]\)$", line)
            for key in re.findall(r"\*([a-z-]+)\*", line.split(" (")[0]):
                found[group, key] = default and default[1]
    return found


def test_the_manual_page_has_the_options_of_quiesced():
    assert documented_options(section("quiesced.8", "OPTIONS")) == helped_options(QUIESCED)


def test_the_manual_page_has_the_verbs_and_options_of_quiesce_probe():
    verbs = re.findall(r"^\*(\w+)\*$", section("quiesce-probe.1", "VERBS"), re.MULTILINE)
    assert sorted(verbs) == sorted(helped_verbs())
    assert run(PROBE, "--version").startswith("quiesce-probe ")
    assert documented_options(section("quiesce-probe.1", "OPTIONS")) == \
        probe_options() | {("", "version")}


def test_the_synopsis_has_the_options_of_each_verb():
    lines = re.findall(r"^\*quiesce-probe (\w+)\*(.*)$", section("quiesce-probe.1", "SYNOPSIS"),
                       re.MULTILINE)
    guest = re.search(r"^_GUEST_ is (.*)", section("quiesce-probe.1", "SYNOPSIS"), re.MULTILINE)[1]
    many = re.search(r"^_GUEST_... is (.*)", section("quiesce-probe.1", "SYNOPSIS"), re.MULTILINE)[1]
    lines = [(verb, line.replace("_GUEST_...", f"_GUEST_ {many}").replace("_GUEST_", guest))
             for verb, line in lines]
    assert {verb: set(re.findall(r"--([a-z-]+)", line)) for verb, line in lines} == {
        verb: {name for _, name in helped_options(PROBE, verb)} - {"help"}
        for verb in helped_verbs()}


def test_no_page_names_an_option_that_does_not_exist():
    options = helped_options(QUIESCED) | probe_options()
    known = {f"--{name}" for _, name in options} | FOREIGN_OPTIONS
    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")))
        assert named <= known, page.name


def test_the_manual_page_has_the_keys_of_the_configuration():
    dumped = keys_of(default_keys())
    assert dumped and dumped <= set(documented_keys())
    packaged = (ROOT / "packaging/quiesced.conf").read_text(encoding="utf-8")
    assert keys_of(packaged) == set(documented_keys())


def test_each_documented_key_is_accepted(tmp_path):
    values = {"method": "unix-listen", "hook-failure": "ignore"}
    path = tmp_path / "conf"
    for group, key in documented_keys():
        path.write_text(f"[general]\npath=x\n[{group}]\n{key}={values.get(key, 1)}\n",
                        encoding="utf-8")
        run(QUIESCED, f"--config={path}", "--dump-conf")


def test_the_documented_defaults_are_in_effect(tmp_path):
    groups = {}
    for (group, key), default in documented_keys().items():
        if default is not None:
            groups.setdefault(group, []).append(f"{key}={default}")
    text = "\n".join(line for group, keys in groups.items() for line in (f"[{group}]", *keys))
    path = tmp_path / "conf"
    path.write_text(text, encoding="utf-8")
    assert len(groups) == 3
    assert run(QUIESCED, f"--config={path}", "--dump-conf") == default_keys()


def documented_commands():
    """command -> whether it is documented as answered while frozen."""
    text = section("quiesced.8", "COMMANDS")
    return {name: star == "\\*"
            for line in re.findall(r"^\*.*", text, re.MULTILINE)
            for name, star in re.findall(r"\*((?:guest|quiesce)-[a-z-]+)\*(\\\*)?", line)}


def test_the_manual_page_has_the_commands_and_says_which_are_answered_while_frozen(tmp_path):
    assert set(documented_commands()) == set(run(QUIESCED, "--block-rpcs=help").split())
    with Filesystems() as filesystems, Agent(tmp_path) as agent:
        mount_point = filesystems.add("frozen")
        agent.start()
        assert agent.call("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)]) == 1
        offered = agent.call("guest-info")["supported_commands"]
        agent.call("guest-fsfreeze-thaw")
    assert {c["name"]: c["enabled"] for c in offered} == documented_commands()


def test_the_errors_that_the_manual_page_explains_stand_in_the_sources():
    sources = "".join(path.read_text(encoding="utf-8") for folder in ("agent", "platform")
                      for path in (ROOT / folder).rglob("*.c"))
    literals = re.sub(r'"\s*"', "", sources)  # as the compiler joins them
    headings = re.findall(r"^(\S.*)\n(?=\t|.*\n\t)", section("quiesced.8", "ERRORS"), re.MULTILINE)
    assert len(headings) > 10
    for heading in headings:
        for words in re.split(r"\b_[^_]+_\b|\.\.\.|\+\+|: |; ", heading):
            assert len(words) < 10 or words.strip() in literals, words


def protocol_table(command, column):
    """The rows of a command's table whose first column is called so: name -> type."""
    text = (ROOT / "docs/extension-protocol.md").read_text(encoding="utf-8")
    text = re.split(r"^##? ", text.split(f"\n## {command}\n")[1], flags=re.MULTILINE)[0]
    rows = text.split(f"| {column} |")[1].split("\n\n")[0]
    return dict(re.findall(r"^\| `(\S+)` \| ([^|]+) \|", rows, re.MULTILINE))


def members(value, name=""):
    """The names of all members of a reply, as the tables spell them."""
    if isinstance(value, list):
        return set().union(*(members(item, f"{name}[]") for item in value))
    found = set()
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{name}.{key}" if name else key
            found |= {path} | members(item, path)
    return found


def assert_documented(command, reply, elsewhere=None):
    """elsewhere: the pattern of members that another table has."""
    table = protocol_table(command, "member")
    found = {name for name in members(reply) if not (elsewhere and elsewhere.match(name))}
    parents = {name.rpartition(".")[0] for name in found}  # what an empty array has is missing
    required = {name for name, kind in table.items()
                if "optional" not in kind and name.rpartition(".")[0] in parents}
    assert required <= found <= set(table), command


def test_the_protocol_page_has_the_members_of_every_reply(tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n", encoding="utf-8")
    hook.chmod(0o755)
    with Filesystems() as filesystems, Agent(tmp_path) as agent:
        mount_point = str(filesystems.add("frozen"))
        agent.start(f"-F{hook}")
        agent.call("quiesce-canary", action="start", mountpoints=[mount_point])
        frozen = agent.call("quiesce-freeze", mountpoints=[mount_point, "/nowhere"], canary=True)
        status = agent.call("quiesce-status")
        filesystems.add("late")
        thawed = agent.call("quiesce-thaw")
        assert_documented("quiesce-canary", agent.call("quiesce-canary", action="stop"))
        history = agent.call("quiesce-history")
        assert_documented("quiesce-thaw", agent.call("quiesce-thaw"))
        assert_documented("quiesce-log", agent.call("quiesce-log"))
    below = re.compile(r"windows\[\]\.(filesystems|(freeze|thaw)-hooks|not-covered|skipped)\[\]")
    assert_documented("quiesce-history", history, below)
    assert_documented("quiesce-freeze", frozen)
    assert_documented("quiesce-status", status)
    assert_documented("quiesce-thaw", thawed)
    assert {"filesystems[].uuid", "hold-left-ms"} <= members(status)
    assert {"filesystems[].canary.longest-gap-ms", "not-covered[].type"} <= members(thawed)


@pytest.mark.parametrize("command", ["quiesce-freeze", "quiesce-canary", "quiesce-history",
                                     "quiesce-log"])
def test_the_protocol_page_has_the_arguments_of_a_command(tmp_path, command):
    arguments = protocol_table(command, "argument")
    others = {"action": "read"} if "action" in arguments else {}
    assert arguments
    with Agent(tmp_path) as agent:
        agent.start()
        for name in arguments:
            with pytest.raises(CommandError, match=f"Invalid parameter type for '{name}'"):
                agent.call(command, **{**others, name: {}})


def documented_members():
    """What the page of quiesce-probe says about --json: the bold names of each definition, and,
    below each of them, the names that its text sets in italics."""
    found = set()
    text = section("quiesce-probe.1", "JSON")
    definitions = re.findall(r"^(\*.*)\n((?:\t.*\n)+)", text, re.MULTILINE)
    for names, text in definitions:
        for name in re.findall(r"\*([^*]+)\*", names):
            found.add(name.removesuffix("[]"))
            found |= {f"{name}.{member}" for member in re.findall(r"\b_([a-z-]+)_\b", text)}
    return found


def test_the_manual_page_has_the_members_of_every_json_object(tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n", encoding="utf-8")
    hook.chmod(0o755)
    with Filesystems() as filesystems, Agent(tmp_path) as agent, \
            FakeQmp(tmp_path / "qmp.sock", lambda _: True) as qmp:
        qmp.answers["transaction"] = {}
        mount_point = filesystems.add("frozen")
        # Nothing of this machine's own, even if somebody leaves out --mountpoint.
        agent.configure(f"[freeze]\ninclude-mountpoints={filesystems.directory}/*\n")
        agent.start(f"-F{hook}")

        def probe(verb, *options, path=agent.socket_path):
            command = [PROBE, verb, "--json", "--socket", path, *options]
            result = subprocess.run(command, capture_output=True, check=False)
            return json.loads(result.stdout)

        one = ("--mountpoint", mount_point)
        freeze_and_thaw = " && ".join(f"{PROBE} {verb} --socket {agent.socket_path}"
                                      for verb in ("freeze", "thaw"))
        def inspect(*images):
            result = subprocess.run([PROBE, "inspect", "--json", *images], capture_output=True,
                                    check=False)
            return json.loads(result.stdout)

        empty = tmp_path / "empty"
        empty.write_bytes(bytes(1 << 20))
        objects = {
            "inspect": inspect(filesystems.directory / "frozen.img", empty),
            "uninspected": inspect("/nowhere"),
            "ping": probe("ping"), "info": probe("info"), "freeze": probe("freeze", *one),
            "status": probe("status"), "thaw": probe("thaw"),
            "verify": probe("verify", "--hold=0.3", *one),
            "snapshot": probe("snapshot", "--to", tmp_path, "--qmp", qmp.path),
            "watch": probe("watch", "--qmp", qmp.path, "--", "sh", "-c", freeze_and_thaw),
            "report": probe("report", str(tmp_path / "page.html"), "--hold=0.3", *one),
            "history": probe("history", "--count=64"), "log": probe("log", "--lines=5"),
            "refused": probe("freeze", "--mountpoint=/nowhere", path="/nowhere"),
            "summary": json.loads(subprocess.run(
                [PROBE, "ping", "--json", "--socket=/nowhere", "--socket", agent.socket_path],
                capture_output=True, check=False).stdout.splitlines()[-1]),
        }
    assert sorted(objects.keys() - {"refused", "summary", "uninspected"}) == sorted(helped_verbs())
    assert objects["verify"]["verdict"] == "FROZEN"
    assert objects["watch"]["freezes"][0]["devices"] and objects["watch"]["disks"]
    assert objects["snapshot"]["snapshots"] and objects["snapshot"]["window"]
    assert len(objects["history"]["windows"]) == 5 and len(objects["log"]["lines"]) == 5
    assert "window.hooks[].duration-ms" in members(objects["verify"])
    assert "summary.outcomes[].outcome" in members(objects["summary"])
    assert members(objects["refused"]) == {"schema", "verb", "guest", "socket", "error"}
    for verb, value in objects.items():
        assert members(value) <= documented_members(), verb
        assert_follows_schema(value)


def names_of_tests():
    """Of all tests, those in Python and those in C."""
    sources = "".join(path.read_text(encoding="utf-8") for pattern in ("*/test_*.py", "*/test-*.c")
                      for path in (ROOT / "tests").glob(pattern))
    return set(re.findall(r"^(?:def (?=test_)|START_TEST\()(\w+)", sources, re.MULTILINE))


def test_each_guarantee_names_a_test_and_each_test_that_is_named_exists():
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines()
            if re.match(r"\|(?! fault \||---)", line)]
    named = [re.findall(r"`(\w+)`", row[-1]) for row in rows]
    assert len(rows) > 25 and all(len(row) == 3 for row in rows) and all(named)
    assert {name for names in named for name in names} - names_of_tests() == set()


def test_what_the_texts_link_to_is_there():
    texts = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    links = [(text, link) for text in texts
             for link in re.findall(r"\]\(([^)#:]+)\)", text.read_text(encoding="utf-8"))]
    assert links
    assert [str(link) for text, link in links if not (text.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page.stem for page in PAGES])
def test_a_manual_page_is_set_without_a_warning(page):
    built = BUILD / "docs" / page
    if not built.exists():
        pytest.skip(f"no {built}: scdoc was not there when the build was set up")
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    result = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", built], capture_output=True,
        text=True, env={**os.environ, "MANROFFSEQ": ""}, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "@" not in re.sub(r"\S+@\S+", "", built.read_text(encoding="utf-8")), "not filled in"
