# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many guests in one call of quiesce-probe: real agents, and some that stall, lie and flood."""

import json
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from agent import QUIESCED, Agent, wait_until
from fake_agent import FakeAgent, Flood, Raw, Stall
from filesystems import Filesystems, Writer, run as run_tool
from probe import ERROR, NOT_FROZEN, PROBE, UNPROVEN, Probe, run

CROWD = 24


def sockets(agents):
    """The options that name these agents' guests."""
    return [word for agent in agents
            for word in ("--socket", getattr(agent, "socket_path", None) or agent.path)]


def objects(result):
    """The objects of --json: one for each guest, by the guest's name, and the summary."""
    *guests, last = [json.loads(line) for line in result.output.splitlines()]
    assert all(value["schema"] == "quiesce-probe/1" for value in [*guests, last]), result
    assert "summary" in last, result
    return {guest["guest"]: guest for guest in guests}, last["summary"]


def rows(result):
    """The lines of the table, by the guest's name."""
    table = result.output.split("\n\n")[0].splitlines()
    return {line.split()[0]: line for line in table[1:]}


def start_agents(stack, folder, count):
    """Real agents that freeze nothing: nobody asks them to."""
    agents = []
    for number in range(count):
        path = Path(folder) / f"guest-{number:02}"
        path.mkdir()
        agents.append(stack.enter_context(Agent(path)))
        agents[-1].spawn()
    for agent in agents:
        wait_until(lambda a=agent: a.socket_path.exists(), "the agent listens")
    return agents


@pytest.fixture(name="crowd", scope="module")
def crowd_fixture(tmp_path_factory):
    with ExitStack() as stack:
        yield start_agents(stack, tmp_path_factory.mktemp("crowd"), CROWD)


def assert_freezes_only(mount_point, config_path):
    plan = run_tool(QUIESCED, f"--config={config_path}", "--show-plan")
    waves = [line.split()[2] for line in plan.splitlines() if line.startswith("  wave ")]
    assert waves == [str(mount_point)], plan


class Guest:
    """A real agent with one filesystem, which is all that it can freeze, and a writer on it."""

    def __init__(self, stack, filesystems, folder, name):
        self.mount_point = filesystems.add(name)
        (folder / name).mkdir()
        self.agent = stack.enter_context(Agent(folder / name))
        self.agent.configure(f"[freeze]\ninclude-mountpoints={self.mount_point}\n")
        assert_freezes_only(self.mount_point, self.agent.config_path)
        self.agent.start()
        self.agent.hang_up()
        self.socket_path = self.agent.socket_path
        self.writer = Writer(self.mount_point)
        stack.callback(self.writer.stop)
        self.writer.wait_for_write()

    def writer_stalls(self):
        return time.monotonic() - self.writer.times[-1][1] > 0.4

    def is_frozen(self):
        with self.agent.connect() as host:
            return host.call("guest-fsfreeze-status") == "frozen"


@pytest.fixture(name="guests")
def guests_fixture(tmp_path):
    with Filesystems() as filesystems, ExitStack() as stack:
        yield [Guest(stack, filesystems, tmp_path, name) for name in ("one", "two", "three")]


def wait_until_writers_stall(guests):
    wait_until(lambda: all(guest.writer_stalls() for guest in guests), "all guests are frozen", 30)


def wait_for_writes(guests):
    for guest in guests:
        guest.writer.wait_for_write()


# ---- many at once

def test_many_guests_are_one_table_in_the_order_of_the_command_line(crowd):
    order = list(reversed(crowd))
    result = run("ping", "--count", 2, *sockets(order))
    assert result.status == 0, result
    assert list(rows(result)) == [str(agent.socket_path) for agent in order]
    assert result.output.splitlines()[-1] == f"{CROWD} guests: {CROWD} answers"
    assert result.errors == ""


@pytest.mark.parametrize("verb", ["ping", "info", "status", "thaw"])
def test_many_guests_are_a_line_of_json_each_and_a_summary(crowd, verb):
    result = run(verb, "--json", *sockets(crowd))
    guests, summary = objects(result)
    assert result.status == 0, result
    assert set(guests) == {str(agent.socket_path) for agent in crowd}
    alone = run(verb, "--json", *sockets(crowd[:1]))
    assert guests[str(crowd[0].socket_path)].keys() == alone.json.keys()
    assert summary["guests"] == CROWD and summary["exit-status"] == 0
    assert len(summary["outcomes"]) == 1 and summary["outcomes"][0]["guests"] == CROWD


def test_a_stalled_guest_costs_its_own_timeout_and_nobody_elses(crowd):
    stalled = crowd[3]
    stalled.kill(signal.SIGSTOP)
    try:
        probe = Probe("ping", "--json", "--timeout", 8, "--parallel", 4, *sockets(crowd))
        others = [json.loads(probe.process.stdout.readline()) for _ in range(CROWD - 1)]
        assert probe.process.poll() is None  # the stalled one is still being waited for
        assert str(stalled.socket_path) not in [guest["guest"] for guest in others]
        assert all("round-trip" in guest for guest in others)
        result = probe.end()
    finally:
        stalled.kill(signal.SIGCONT)
    guests, summary = objects(result)
    assert result.status == ERROR and "nobody answers" in guests[str(stalled.socket_path)]["error"]
    assert {count["outcome"]: count["guests"] for count in summary["outcomes"]} == {
        "answers": CROWD - 1, "error": 1}
    assert 7 < result.seconds < 20, result


def test_no_more_guests_are_asked_at_a_time_than_allowed(tmp_path):
    four, lock, too_many, at_once = threading.Barrier(4), threading.Lock(), threading.Event(), [0, 0]

    def ping(_):
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
            if at_once[0] > 4:
                too_many.set()
        four.wait(30)  # all four are here, or the answer is none
        too_many.wait(0.5)  # nor is anybody else on the way
        with lock:
            at_once[0] -= 1
        return {}

    with ExitStack() as stack:
        agents = [stack.enter_context(FakeAgent(tmp_path / f"{n}.sock")) for n in range(12)]
        for agent in agents:
            agent.answers["guest-ping"] = ping
        result = run("ping", "--count", 1, "--timeout", 30, "--parallel", 4, *sockets(agents))
    assert result.status == 0, result
    assert at_once[1] == 4


def test_liars_and_floods_get_their_own_verdict_and_leave_the_others_theirs(tmp_path, guests):
    with ExitStack() as stack:
        def fake(name, **answers):
            agent = stack.enter_context(FakeAgent(tmp_path / f"{name}.sock"))
            agent.answers |= {key.replace("_", "-"): value for key, value in answers.items()}
            return agent

        liar = fake("liar")  # says that it freezes, and there is nobody to ask
        thawed = fake("thawed", guest_fsfreeze_status="thawed")
        flood = fake("flood", guest_fsfreeze_freeze=Flood(b"x" * 65536))
        noise = fake("noise", guest_info=Raw(b"\0\xff{[}\n" * 1000))
        silent = fake("silent", guest_sync_delimited=Stall())
        crooks = [liar, thawed, flood, noise, silent]
        result = run("verify", "--json", "--hold", 1, "--timeout", 2,
                     *sockets([*crooks, *guests]))
    found, summary = objects(result)
    assert result.status == NOT_FROZEN, result
    assert summary["exit-status"] == NOT_FROZEN
    for guest in guests:
        assert found[str(guest.socket_path)]["verdict"] == "FROZEN", result
    assert found[liar.path]["verdict"] == "UNPROVEN"
    assert found[thawed.path]["verdict"] == "NOT FROZEN"
    for crook in (flood, noise, silent):
        assert found[crook.path].get("verdict") != "FROZEN", result


def test_the_table_of_verify_tells_whom_to_look_at(tmp_path, guests):
    with FakeAgent(tmp_path / "liar.sock") as liar:
        result = run("verify", "--hold", 0.5, *sockets([liar, *guests]))
    assert result.status == UNPROVEN, result
    lines = rows(result)
    assert "UNPROVEN" in lines[liar.path]
    for guest in guests:
        assert "FROZEN" in lines[str(guest.socket_path)] and "canary" in lines[str(guest.socket_path)]
    assert result.output.splitlines()[-1] == "4 guests: 1 UNPROVEN, 3 FROZEN"


# ---- interrupted, and killed

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_thaws_every_guest(guests, number):
    probe = Probe("verify", "--hold", 60, *sockets(guests))
    wait_until_writers_stall(guests)
    probe.signal(number)
    result = probe.end(within=30)
    wait_for_writes(guests)
    assert result.status == ERROR, result
    assert result.output.count(f"interrupted by {number.name}") == len(guests)


def test_a_signal_leaves_guests_alone_that_have_not_begun(guests):
    probe = Probe("verify", "--hold", 60, "--parallel", 1, *sockets(guests))
    wait_until_writers_stall(guests[:1])
    probe.signal(signal.SIGTERM)
    result = probe.end(within=30)
    wait_for_writes(guests)
    assert result.status == ERROR, result
    assert result.output.count("not begun: interrupted by SIGTERM") == 2


def test_a_freeze_that_is_interrupted_half_way_is_taken_back(guests):
    *frozen, stalled = guests
    stalled.agent.kill(signal.SIGSTOP)
    try:
        probe = Probe("freeze", "--timeout", 30, *sockets(guests))
        wait_until_writers_stall(frozen)
        assert all(guest.is_frozen() for guest in frozen)
        probe.signal(signal.SIGINT)
        wait_for_writes(frozen)
        result = probe.end(within=40)
    finally:
        stalled.agent.kill(signal.SIGCONT)
    assert result.status == ERROR, result
    assert result.output.count("thawed again") == 3, result  # two rows and the last line
    assert not any(guest.is_frozen() for guest in guests)


def test_guests_are_frozen_and_thawed_in_one_call_each(guests):
    frozen = run("freeze", *sockets(guests))
    states = run("status", *sockets(guests))
    thawed = run("thaw", *sockets(guests))
    wait_for_writes(guests)
    assert frozen.status == states.status == thawed.status == 0, frozen
    assert states.output.splitlines()[-1] == "3 guests: 3 frozen"
    assert thawed.output.splitlines()[-1] == "3 guests: 3 thawed"


def test_guests_are_thawed_when_the_prober_is_killed(guests):
    probe = Probe("verify", "--hold", 60, *sockets(guests))
    wait_until_writers_stall(guests)
    probe.process.kill()
    wait_for_writes(guests)
    probe.end()


def test_the_death_of_one_guests_process_is_that_guests_only(guests):
    probe = Probe("verify", "--hold", 3, "--json", *sockets(guests))
    wait_until_writers_stall(guests)
    pid = probe.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    assert len(children) == len(guests)
    run_tool("kill", "-KILL", children[0])  # begun in the order of the command line
    found, summary = objects(probe.end())
    run("thaw", *sockets(guests[:1]))
    wait_for_writes(guests)
    killed = found[str(guests[0].socket_path)]
    assert "signal 9" in killed["error"] and killed["guest-may-be-frozen"]
    assert f"--socket '{guests[0].socket_path}'" in killed["error"]
    assert summary["exit-status"] == ERROR
    assert [found[str(guest.socket_path)]["verdict"] for guest in guests[1:]] == ["FROZEN"] * 2


# ---- the command line

def test_a_pattern_stands_for_the_sockets_that_match(crowd):
    pattern = crowd[0].directory.parent / "guest-0*" / "agent.*"  # agent.log and others match, too
    result = run("ping", "--count", 1, "--sockets", pattern)
    assert result.status == 0, result
    assert list(rows(result)) == [str(agent.socket_path) for agent in crowd[:10]]


def test_a_report_that_is_too_long_is_left_out(tmp_path):
    with FakeAgent(tmp_path / "agent.sock") as agent, FakeAgent(tmp_path / "other.sock") as other:
        agent.answers["guest-get-host-name"] = {"host-name": "x" * (2 << 20)}
        result = run("info", "--json", *sockets([agent, other]))
    found, _ = objects(result)
    assert result.status == ERROR, result
    assert "longer than 1 MiB" in found[agent.path]["error"]
    assert "filesystems" in found[other.path]


# libvirt's own driver for tests: a real libvirt, but its domains are made up, and have no agent.
DOMAIN = """<domain type='test'><name>NAME</name><memory>8192</memory><os><type>hvm</type></os>
</domain>"""


@pytest.mark.skipif(not (PROBE.parent / "quiesce-probe-libvirt").exists(), reason="no libvirt")
@pytest.mark.parametrize("names", [("one", "three", "two"), ("alone",), ()], ids=len)
def test_all_are_the_domains_that_run(tmp_path, names):
    node = tmp_path / "node.xml"
    domains = "".join(DOMAIN.replace("NAME", name) for name in names)
    node.write_text(f"<node>{domains}</node>", encoding="utf-8")
    result = run("ping", "--all", "--connect", f"test://{node}", "--json")
    assert result.status == ERROR, result
    if not names:
        assert result.output == "" and "no domain runs" in result.errors
        return
    guests, summary = objects(result)
    assert set(guests) == set(names) and summary["guests"] == len(names)
    assert all("libvirt" in guest["error"] for guest in guests.values())


@pytest.mark.parametrize("words, problem", [
    (["verify", "--all", "--repeat", "2", "--connect", "test:///default"], "--repeat is of one guest"),
    (["verify", "--all", "--qmp", "/q"], "with --all, libvirt gives the write counters"),
    (["ping", "--socket", "/a", "--socket", "/a"], "'/a' is named twice"),
    (["log", "--socket", "/a", "--socket", "/b"], "log takes one guest"),
    (["verify", "--socket", "/a", "--socket", "/b", "--qmp", "/q"], "2 guests and 1 QMP"),
    (["verify", "--sockets", "/run/?", "--qmp", "/q/*"], "one '*'"),
    (["ping", "--sockets", "/nowhere/*.sock"], "'/nowhere/*.sock'"),
    (["ping", "--socket", "/a", "--parallel", "0"], "--parallel must be from 1 to 256"),
    (["ping", "--socket", "/a", "--parallel", "257"], "--parallel must be from 1 to 256"),
])
def test_a_command_line_that_cannot_be_meant_is_refused(words, problem):
    result = run(*words)
    assert result.status == ERROR and problem in result.errors, result
    assert result.output == ""
