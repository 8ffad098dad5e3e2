# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe against guests that lie, stall, flood and die: it never says FROZEN of a guest that
was not, it always thaws, and nothing takes it longer than its timeouts allow."""

import os
import pty
import re
import signal
import subprocess
import time

import pytest
from agent import wait_until
from fake_agent import Close, CommandError, Die, FakeAgent, FakeQmp, Flood, Raw, Stall, filesystem
from probe import ERROR, FROZEN, NOT_FROZEN, PROBE, UNPROVEN, Probe, run


def verify(agent, *arguments, within=60):
    return run("verify", "--json", "--timeout", 2, "--hold", 0.6, "--socket", agent.path,
               *arguments, within=within)


@pytest.fixture(name="agent")
def fixture_agent(tmp_path):
    with FakeAgent(tmp_path / "agent.sock") as agent:
        yield agent


@pytest.fixture(name="executing")
def fixture_executing(tmp_path):
    """An agent whose guest-exec works, for two directories that nobody freezes."""
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with FakeAgent(tmp_path / "agent.sock", execute=True) as agent:
        agent.answers["guest-get-fsinfo"] = [filesystem(str(place), place.name)
                                             for place in places]
        agent.answers["guest-fsfreeze-freeze"] = lambda _: agent.freeze(2)
        agent.places = places
        yield agent


@pytest.fixture(name="quiesced")
def fixture_quiesced(tmp_path):
    with FakeAgent(tmp_path / "agent.sock", quiesced=True) as agent:
        yield agent


@pytest.fixture(name="busy_qmp")
def fixture_busy_qmp(tmp_path):
    """Disks that write all the time."""
    with FakeQmp(tmp_path / "qmp.sock", lambda device: True) as qmp:
        yield qmp


def honest_qmp(path, agent, devices=("vda", "vdb", "vdc")):
    """Disks that write except while the agent is frozen."""
    return FakeQmp(path, lambda device: not agent.frozen, devices)


# ---- verdicts

def test_an_agent_that_claims_and_does_not_freeze_is_caught_by_the_counters(agent, busy_qmp):
    result = verify(agent, "--qmp", busy_qmp.path)
    assert result.status == NOT_FROZEN, result
    assert result.json["verdict"] == "NOT FROZEN"
    assert result.json["consistency"] == "crash-consistent"
    assert result.piece("claim")["stance"] == "for"
    assert result.piece("counters")["stance"] == "against"
    assert "vda" in result.piece("counters")["summary"]
    assert not agent.frozen


def test_an_agent_that_claims_and_does_not_freeze_is_caught_by_writers(executing):
    result = verify(executing)
    assert result.status == NOT_FROZEN, result
    assert result.piece("canary")["stance"] == "against"
    assert all(canary["writes-during"] > 0 for canary in result.json["canaries"])
    assert not any(list(place.iterdir()) for place in executing.places), "left files behind"


def test_quiesced_writers_that_wrote_during_the_hold_are_against(quiesced):
    quiesced.answers["quiesce-thaw"] = lambda _: quiesced.quiesced_thaw(writes_during=4)
    result = verify(quiesced)
    assert result.status == NOT_FROZEN, result
    assert result.piece("canary")["stance"] == "against"


def test_the_agents_word_alone_is_unproven_and_the_remedies_are_named(agent):
    result = verify(agent)
    assert result.status == UNPROVEN, result
    assert result.piece("claim")["stance"] == "for"
    assert "--qmp" in result.piece("counters")["remedy"]
    assert "guest-exec" in result.piece("canary")["remedy"]
    assert agent.asked("guest-fsfreeze-thaw") == 1


def test_a_guest_whose_disks_stand_still_for_the_hold_is_frozen(agent, tmp_path):
    with honest_qmp(tmp_path / "qmp.sock", agent) as qmp:
        result = verify(agent, "--qmp", qmp.path)
    assert result.status == FROZEN, result
    assert result.json["consistency"] == "filesystem-consistent"
    for device in result.json["devices"]:
        assert device["hold"]["writes"] == 0 < device["before"]["writes"]
        assert device["hold"]["intervals"] >= 5


def test_quiesced_writers_that_paused_for_the_hold_make_it_frozen(quiesced):
    result = verify(quiesced)
    assert result.status == FROZEN, result
    assert result.piece("canary")["stance"] == "for"
    freeze = next(request for request in quiesced.requests
                  if request["execute"] == "quiesce-freeze")
    assert freeze["arguments"]["canary"] is True
    assert 600 < freeze["arguments"]["hold-timeout-ms"] < 60000


def test_quiesced_without_its_own_freeze_is_frozen_the_plain_way(quiesced):
    del quiesced.answers["quiesce-freeze"]
    quiesced.answers["guest-fsfreeze-freeze"] = lambda _: quiesced.freeze(1)
    result = verify(quiesced)
    assert result.status == UNPROVEN, result
    assert result.piece("claim")["stance"] == "for"


def test_hooks_that_ended_well_make_it_application_consistent(quiesced):
    hook = {"path": "/etc/qemu/fsfreeze-hook", "ok": True, "duration-ms": 3}
    quiesced.answers["quiesce-thaw"] = lambda _: quiesced.quiesced_thaw(hooks=[hook])
    assert verify(quiesced).json["consistency"] == "application-consistent"
    quiesced.answers["quiesce-thaw"] = lambda _: quiesced.quiesced_thaw(
        hooks=[hook, {**hook, "ok": False, "error": "exit status 1"}])
    result = verify(quiesced)
    assert result.status == FROZEN
    assert result.json["consistency"] == "filesystem-consistent"


def test_an_idle_guest_proves_nothing(agent, tmp_path):
    with FakeQmp(tmp_path / "qmp.sock", lambda device: False) as qmp:
        result = verify(agent, "--qmp", qmp.path)
    assert result.status == UNPROVEN, result
    assert result.piece("counters")["stance"] == "silent"


def test_two_of_three_filesystems_are_not_called_frozen(agent, tmp_path):
    agent.answers["guest-fsfreeze-freeze"] = lambda _: agent.freeze(2)
    with honest_qmp(tmp_path / "qmp.sock", agent) as qmp:
        result = verify(agent, "--qmp", qmp.path)
    assert result.status == UNPROVEN, result
    assert "only 2 filesystems where 3" in result.piece("claim")["summary"]


def test_a_liar_about_one_disk_of_three_is_caught(agent, tmp_path):
    with FakeQmp(tmp_path / "qmp.sock",
                 lambda device: device == "vdc" or not agent.frozen) as qmp:
        result = verify(agent, "--qmp", qmp.path)
    assert result.status == NOT_FROZEN, result
    assert "vdc" in result.piece("counters")["summary"]
    assert "vda" not in result.piece("counters")["summary"]


def test_a_disk_that_was_not_to_be_frozen_does_not_count_against(agent, tmp_path):
    with FakeQmp(tmp_path / "qmp.sock", lambda device: device != "vdb" or not agent.frozen) as qmp:
        result = verify(agent, "--qmp", qmp.path, "--mountpoint", "/srv")
    assert result.status == UNPROVEN, result
    assert result.piece("counters")["stance"] == "silent"
    freeze = next(request for request in agent.requests
                  if request["execute"] == "guest-fsfreeze-freeze-list")
    assert freeze["arguments"] == {"mountpoints": ["/srv"]}


def test_an_agent_that_thaws_at_once_contradicts_itself(agent):
    agent.answers["guest-fsfreeze-freeze"] = 3
    result = verify(agent)
    assert result.status == NOT_FROZEN, result
    assert "thawed" in result.piece("claim")["summary"]


def test_a_freeze_that_fails_is_not_frozen_in_the_agents_words(agent):
    agent.answers["guest-fsfreeze-freeze"] = CommandError("failed to freeze /srv: I/O error")
    result = verify(agent)
    assert result.status == NOT_FROZEN, result
    assert "failed to freeze /srv: I/O error" in result.piece("claim")["summary"]


def test_a_freeze_that_is_forbidden_could_not_run(agent):
    agent.answers["guest-fsfreeze-freeze"] = CommandError(
        "Command guest-fsfreeze-freeze has been disabled", "CommandNotFound")
    result = verify(agent)
    assert result.status == ERROR, result
    assert "has been disabled" in result.errors


def test_an_automatic_thaw_is_not_frozen(quiesced):
    def thaw(_):
        quiesced.thaw()
        raise CommandError("thawed by itself at 12:00:00, after 300 s")
    quiesced.answers["quiesce-thaw"] = thaw
    result = verify(quiesced)
    assert result.status == NOT_FROZEN, result
    assert "thawed by itself at 12:00:00" in result.piece("claim")["summary"]


def test_a_guest_that_is_frozen_already_is_left_alone(agent):
    agent.frozen = True
    result = verify(agent)
    assert result.status == ERROR, result
    assert "frozen already" in result.errors
    assert agent.asked("guest-fsfreeze-freeze") == agent.asked("guest-fsfreeze-thaw") == 0
    assert agent.frozen


# ---- it always thaws, in bounded time

BAD_FREEZES = {
    "stalls": Stall(),
    "hangs up": Close(),
    "answers garbage": Raw(b"\x00\x01 this is no JSON }{\n"),
    "answers binary": Raw(bytes(range(256)) * 64 + b"\n"),
    "answers nonsense": {"frozen": "yes"},
    "answers an array": Raw(b"[1, 2, 3]\n"),
    "half an answer": Raw(b'{"return": '),
}


@pytest.mark.parametrize("misdeed", BAD_FREEZES.values(), ids=BAD_FREEZES)
def test_a_freeze_without_a_clear_end_is_thawed(agent, misdeed):
    def freeze(_):
        agent.freeze(3)
        return misdeed
    agent.answers["guest-fsfreeze-freeze"] = freeze
    result = verify(agent)
    assert result.status == ERROR, result
    assert not agent.frozen, "left frozen"
    assert result.seconds < 15, result


FLOODS = {
    "garbage": b"}{ garbage " * 500 + b"\n",
    "values": b'{"return": 1}\n' * 500,
    "one endless string": b"x" * 4096,
    "an endless string inside JSON": b'{"return": "' + b"x" * 4096,
    "deeper and deeper": b"[" * 4096,
    "delimiters": b"\xff" * 4096,
}


@pytest.mark.parametrize("command", ["guest-sync-delimited", "guest-info", "guest-fsfreeze-freeze",
                                     "guest-fsfreeze-status", "guest-fsfreeze-thaw"])
@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
def test_a_flood_costs_no_more_than_the_timeouts(agent, command, data):
    agent.answers[command] = Flood(data)
    result = verify(agent, "--timeout", 0.5)
    # A flood of {"return": 1} is an answer: "thawed 1", where three were frozen.
    assert result.status in (ERROR, NOT_FROZEN), result
    assert result.seconds < 20, result
    assert agent.asked("guest-fsfreeze-thaw") >= agent.asked("guest-fsfreeze-freeze")


def test_an_agent_that_hangs_up_during_the_hold_is_connected_again_and_thawed(agent):
    answers = iter(["thawed", Close()])
    agent.answers["guest-fsfreeze-status"] = lambda _: next(
        answers, "frozen" if agent.frozen else "thawed")
    result = verify(agent)
    assert result.status == ERROR, result
    assert not agent.frozen
    assert "closed" in result.json["error"]
    assert result.json["guest-may-be-frozen"] is False


def test_an_agent_that_is_gone_for_good_is_shouted_about(agent):
    def freeze(_):
        agent.freeze(3)
        return Die()
    agent.answers["guest-fsfreeze-freeze"] = freeze
    result = verify(agent)
    assert result.status == ERROR, result
    assert "THE GUEST MAY STILL BE FROZEN" in result.errors
    assert "quiesce-probe thaw" in result.errors
    assert result.json["guest-may-be-frozen"] is True
    assert result.seconds < 20


def test_a_thaw_that_fails_is_tried_again(agent):
    tries = iter([CommandError("cannot thaw /srv: Input/output error"), Stall(), Close(),
                  Raw(b"garbage\n")])
    agent.answers["guest-fsfreeze-thaw"] = lambda _: next(tries, None) or agent.thaw()
    result = verify(agent)
    assert not agent.frozen, result
    assert agent.asked("guest-fsfreeze-thaw") == 5
    assert "cannot thaw /srv: Input/output error" in result.errors
    assert result.status == UNPROVEN
    assert "5 times" in result.piece("claim")["summary"]


def test_a_thaw_that_only_claims_to_have_thawed_is_tried_again(agent):
    tries = iter([3, 3])
    agent.answers["guest-fsfreeze-thaw"] = lambda _: next(tries, None) or agent.thaw()
    result = verify(agent)
    assert not agent.frozen, result
    assert agent.asked("guest-fsfreeze-thaw") == 3
    assert "still calls itself frozen" in result.errors


def test_a_thaw_that_fails_for_ever_is_shouted_about(agent):
    agent.answers["guest-fsfreeze-thaw"] = CommandError("cannot thaw /srv: Input/output error")
    result = verify(agent, "--timeout", 1)
    assert result.status == ERROR, result
    assert "THE GUEST MAY STILL BE FROZEN" in result.errors
    assert "cannot thaw /srv: Input/output error" in result.errors
    assert result.seconds < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_hold_thaws(agent, number):
    probe = Probe("verify", "--hold", 60, "--socket", agent.path)
    wait_until(lambda: agent.frozen and agent.asked("guest-fsfreeze-status") >= 2, "the hold")
    probe.signal(number)
    result = probe.end(within=20)
    assert result.status == ERROR, result
    assert signal.Signals(number).name in result.errors
    assert not agent.frozen


def test_a_signal_during_the_freeze_thaws(agent):
    def freeze(_):
        agent.freeze(3)
        return Stall()
    agent.answers["guest-fsfreeze-freeze"] = freeze
    probe = Probe("verify", "--socket", agent.path)
    wait_until(lambda: agent.frozen, "the freeze")
    probe.signal(signal.SIGINT)
    result = probe.end(within=20)
    assert result.status == ERROR, result
    assert not agent.frozen


def test_more_signals_do_not_skip_the_thaw(agent):
    thawing = []

    def thaw(_):
        thawing.append(True)
        time.sleep(1)
        return agent.thaw()
    agent.answers["guest-fsfreeze-thaw"] = thaw
    probe = Probe("verify", "--hold", 60, "--socket", agent.path)
    wait_until(lambda: agent.frozen, "the freeze")
    probe.signal(signal.SIGINT)
    wait_until(lambda: thawing, "the thaw's begin")
    probe.signal(signal.SIGINT)
    probe.signal(signal.SIGTERM)
    result = probe.end(within=20)
    assert result.status == ERROR, result
    assert not agent.frozen


def test_a_reader_that_goes_away_does_not_skip_the_thaw(agent):
    probe = Probe("verify", "--hold", 0.5, "--socket", agent.path)
    probe.process.stdout.close()
    probe.process.stdout = None
    result = probe.end(within=20)
    assert result.status == UNPROVEN, result
    assert "standard output" in result.errors
    assert not agent.frozen and agent.asked("guest-fsfreeze-thaw") == 1


def test_a_freeze_verb_without_a_clear_end_thaws(agent):
    def freeze(_):
        agent.freeze(3)
        return Stall()
    agent.answers["guest-fsfreeze-freeze"] = freeze
    result = run("freeze", "--timeout", 1, "--socket", agent.path)
    assert result.status == ERROR, result
    assert not agent.frozen


# ---- QMP

BAD_QMP = {"hangs up": Close(), "stalls": Stall(), "floods with events": Flood(
    b'{"event": "X"}\r\n' * 500), "floods with garbage": Flood(b"garbage" * 500),
    "answers nonsense": "what?"}


@pytest.mark.parametrize("misdeed", BAD_QMP.values(), ids=BAD_QMP)
def test_a_monitor_lost_during_the_hold_costs_the_counters_only(agent, tmp_path, misdeed):
    with honest_qmp(tmp_path / "qmp.sock", agent) as qmp:
        stats = qmp.answers["query-blockstats"]
        qmp.answers["query-blockstats"] = lambda _: misdeed if agent.frozen else stats(_)
        result = verify(agent, "--qmp", qmp.path)
    assert result.status == UNPROVEN, result
    assert result.piece("counters")["stance"] == "silent"
    assert not agent.frozen
    assert result.seconds < 15


@pytest.mark.parametrize("misdeed", BAD_QMP.values(), ids=BAD_QMP)
def test_a_bad_monitor_costs_the_counters_only(agent, busy_qmp, misdeed):
    busy_qmp.answers["qmp_capabilities"] = misdeed
    busy_qmp.answers["query-block"] = misdeed
    result = verify(agent, "--qmp", busy_qmp.path, "--timeout", 1)
    assert result.status == UNPROVEN or misdeed == "what?", result
    assert not agent.frozen


def test_a_socket_that_is_no_monitor_is_named(agent, tmp_path):
    with FakeAgent(tmp_path / "other.sock") as other:
        result = verify(agent, "--qmp", other.path, "--timeout", 1)
    assert result.status == UNPROVEN, result
    assert str(other.path) in result.piece("counters")["summary"]
    missing = verify(agent, "--qmp", tmp_path / "missing.sock")
    assert "No such file or directory" in missing.piece("counters")["summary"]


# ---- writers through guest-exec

def test_writers_stay_in_the_given_mount_points(executing):
    one, two = executing.places
    result = verify(executing, "--mountpoint", one)
    assert [canary["mountpoint"] for canary in result.json["canaries"]] == [str(one)]
    assert not any(str(two) in request["arguments"]["arg"] for request in executing.requests
                   if request["execute"] == "guest-exec")


def test_writers_can_be_switched_off(executing):
    result = verify(executing, "--no-canary")
    assert result.status == UNPROVEN, result
    assert not executing.asked("guest-exec")


def test_writers_are_ended_when_the_probe_is_interrupted(executing):
    probe = Probe("verify", "--hold", 60, "--socket", executing.path)
    wait_until(lambda: executing.frozen, "the freeze")
    probe.signal(signal.SIGINT)
    result = probe.end(within=20)
    assert result.status == ERROR, result
    wait_until(lambda: not subprocess.run(["pgrep", "-f", f"quiesce-probe-canary "
                                           f"{executing.places[0].parent}"], check=False,
                                          stdout=subprocess.DEVNULL).returncode == 0,
               "the writers' end")


def test_a_guest_that_cannot_run_programs_is_silent(agent):
    agent.answers["guest-exec"] = CommandError("Failed to execute child process “/bin/sh”")
    agent.answers["guest-exec-status"] = CommandError("PID does not exist")
    result = verify(agent)
    assert result.status == UNPROVEN, result
    assert "Failed to execute child process" in result.piece("canary")["summary"]


# ---- what people and programs see

def test_text_of_the_guest_cannot_paint_the_screen(agent):
    evil = "\x1b[2J\x1b[1;32mverdict FROZEN\x07\r\n\u202e"
    agent.answers["guest-info"] = {"version": evil, "supported_commands": [
        {"name": name, "enabled": True} for name in [*agent.answers, evil]]}
    agent.answers["guest-get-fsinfo"] = [filesystem(evil, evil, evil), filesystem("/", "vda")]
    agent.answers["guest-fsfreeze-freeze"] = CommandError(evil)
    for verb in ("verify", "info", "ping", "freeze", "status"):
        result = run(verb, "--timeout", 2, "--socket", agent.path)
        assert not set("\x1b\x07\r\u202e") & set(result.output + result.errors), result
    assert "\\x1b[2J" in result.output + run("info", "--socket", agent.path).output


def test_endless_lists_of_the_guest_are_cut(agent):
    agent.answers["guest-get-fsinfo"] = [filesystem(f"/{n}", f"disk{n}") for n in range(20000)]
    result = run("info", "--json", "--socket", agent.path)
    assert result.status == 0
    assert len(result.json["filesystems"]) == 1024


def test_the_table_ends_with_the_verdict(quiesced):
    result = run("verify", "--hold", 0.5, "--socket", quiesced.path)
    lines = result.output.splitlines()
    assert lines[-1].startswith("verdict   FROZEN, ")
    assert "\x1b" not in result.output
    assert max(map(len, lines)) < 160


def run_on_a_terminal(arguments, **environment):
    """What the program prints on a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen([PROBE, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=follower,
                          env={**os.environ, "TERM": "xterm", **environment}):
        os.close(follower)
        output = b""
        try:
            while data := os.read(leader, 65536):
                output += data
        except OSError:
            pass
    os.close(leader)
    return output.decode()


def test_colours_are_for_terminals_and_for_those_who_want_them(quiesced):
    arguments = ["verify", "--hold", 0.5, "--socket", quiesced.path]
    assert "\x1b[1;32mFROZEN\x1b[0m" in run_on_a_terminal(arguments, NO_COLOR="")
    assert "\x1b" not in run_on_a_terminal(arguments, NO_COLOR="1")
    assert "\x1b" not in run_on_a_terminal(arguments, NO_COLOR="", TERM="dumb")


def test_each_verb_speaks_json(quiesced):
    for verb in ("ping", "info", "status", "freeze", "thaw", "verify"):
        result = run(verb, "--json", "--timeout", 5, "--socket", quiesced.path)
        assert result.status == 0, result
        assert result.json["verb"] == verb
        assert result.json["agent"] == {"version": "6.6.6", "quiesced": True}
    result = run("ping", "--json", "--count", 3, "--socket", quiesced.path)
    assert result.json["round-trip"]["samples"] == 3


def test_errors_are_json_too(tmp_path):
    result = run("ping", "--json", "--socket", tmp_path / "nobody")
    assert result.status == ERROR
    assert "No such file or directory" in result.json["error"]
    assert "No such file or directory" in result.errors


def test_freeze_status_and_thaw_work_hand_in_hand(agent):
    assert run("freeze", "--socket", agent.path).status == 0
    assert agent.frozen
    assert run("status", "--json", "--socket", agent.path).json["state"] == "frozen"
    thawed = run("thaw", "--json", "--socket", agent.path)
    assert thawed.json["window"]["thawed-count"] == 3
    assert not agent.frozen


def test_a_freeze_of_a_frozen_guest_is_not_even_tried(agent):
    agent.frozen = True
    result = run("freeze", "--socket", agent.path)
    assert result.status == ERROR, result
    assert "the guest is frozen already" in result.errors
    assert agent.asked("guest-fsfreeze-freeze") == agent.asked("guest-fsfreeze-thaw") == 0
    assert agent.frozen


def test_an_agent_that_does_not_tell_its_status_may_be_asked_to_freeze(agent):
    del agent.answers["guest-fsfreeze-status"]
    assert run("freeze", "--socket", agent.path).status == 0
    assert agent.frozen


@pytest.mark.parametrize("waits_for_a_thaw", [False, True])
def test_a_freeze_of_nothing_is_an_error_and_promises_nothing(quiesced, waits_for_a_thaw):
    def freeze(_):
        quiesced.frozen = waits_for_a_thaw
        return {"count": 0, "hold-timeout-ms": 32000, "filesystems": [], "hooks": [], "skipped": [
            {"mountpoint": "/x", "type": "", "device": "/dev/x", "reason": "no mount point"}]}
    quiesced.answers["quiesce-freeze"] = freeze
    result = run("freeze", "--socket", quiesced.path)
    assert result.status == ERROR, result
    assert "nothing was frozen" in result.errors
    assert "no mount point" in result.output
    assert "thaws by itself" not in result.output
    assert not quiesced.frozen
    result = run("freeze", "--json", "--socket", quiesced.path)
    assert result.status == ERROR, result
    assert "nothing was frozen" in result.json["error"]
    assert result.json["window"]["frozen-count"] == 0


@pytest.mark.parametrize("kind", ["quiesced", "agent"])
def test_a_thaw_of_nothing_says_so_and_is_no_broken_window(request, kind):
    agent = request.getfixturevalue(kind)
    if kind == "quiesced":
        agent.answers["quiesce-thaw"] = {
            "count": 0, "intact": False, "broken-reason": "nothing was frozen", "held-ms": 0,
            "filesystems": [], "hooks": []}
    result = run("thaw", "--socket", agent.path)
    assert (result.status, result.errors) == (0, "")
    assert result.output.split() == ["thawed", "nothing", "was", "frozen"]


# ---- what the agent remembers

@pytest.mark.parametrize("verb", ["history", "log"])
def test_what_only_quiesced_remembers_is_not_asked_of_others(agent, verb):
    result = run(verb, "--json", "--socket", agent.path)
    assert result.status == ERROR, result
    assert f"it does not know quiesce-{verb}" in result.json["error"]
    assert "only quiesced can answer this, and the agent in the guest (version 6.6.6)" \
        in result.errors
    assert agent.asked(f"quiesce-{verb}") == 0


def test_an_old_quiesced_is_told_from_another_agent(quiesced):
    result = run("history", "--socket", quiesced.path)
    assert result.status == ERROR, result
    assert "quiesced 6.6.6 in the guest is too old" in result.errors


def test_the_history_has_a_line_for_each_window(quiesced):
    quiesced.answers["quiesce-history"] = {"windows": [
        {"command": "guest-fsfreeze-freeze", "began-at-us": 1795227890914908, "intact": True,
         "held-ms": 1234.5, "filesystems": [{}, {}]},
        {"command": "quiesce-freeze", "began-at-us": 1795227990000000, "intact": False,
         "broken-reason": "the agent died", "held-ms": 5, "filesystems": [{}]},
        {"began-at-us": 1795228000000000, "error": "cannot freeze /srv", "filesystems": []}]}
    result = run("history", "--socket", quiesced.path)
    assert result.status == 0, result
    assert [re.split("  +", line) for line in result.output.splitlines()] == [
        ["when (UTC)", "who froze", "filesystems", "held", "window", "because"],
        ["2026-11-21 02:24:50", "guest-fsfreeze-freeze", "2", "1.23 s", "intact"],
        ["2026-11-21 02:26:30", "quiesce-freeze", "1", "5.0 ms", "BROKEN", "the agent died"],
        ["2026-11-21 02:26:40", "0", "failed", "cannot freeze /srv"]]


@pytest.mark.parametrize("verb, option, member", [("history", "--count", "windows"),
                                                  ("log", "--lines", "lines")])
def test_the_number_asked_for_is_passed_on(quiesced, verb, option, member):
    asked = []

    def answer(arguments):
        asked.append(arguments)
        return {member: []}
    quiesced.answers[f"quiesce-{verb}"] = answer
    assert run(verb, "--json", "--socket", quiesced.path).json[member] == []
    assert run(verb, option, 7, "--socket", quiesced.path).status == 0
    assert run(verb, option, 0, "--socket", quiesced.path).status == ERROR
    assert asked == [{}, {option[2:]: 7}]


@pytest.mark.parametrize("answer", [5, {}, {"windows": 5, "lines": "x"}, [], None],
                         ids=["number", "empty", "wrong types", "array", "null"])
@pytest.mark.parametrize("verb", ["history", "log"])
def test_a_memory_that_is_none_is_an_error(quiesced, verb, answer):
    quiesced.answers[f"quiesce-{verb}"] = answer
    result = run(verb, "--socket", quiesced.path)
    assert result.status == ERROR, result
    assert f"quiesce-{verb} was answered without" in result.errors


def test_a_memory_cannot_repaint_the_screen(quiesced):
    evil = "\x1b[2J\x1b[1;32mintact\r\n"
    quiesced.answers["quiesce-log"] = {"lines": [evil, 5, None, {"x": evil}]}
    quiesced.answers["quiesce-history"] = {"windows": [
        {"command": evil, "broken-reason": evil, "began-at-us": 2**63 - 1, "held-ms": 1e308,
         "filesystems": evil}, evil, 5, None]}
    for verb in ("log", "history"):
        result = run(verb, "--socket", quiesced.path)
        assert result.status == 0, result
        assert "\x1b" not in result.output and "\\x1b[2J" in result.output


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["verify"], ["verify", "--socket"], ["ping", "--socket", "x", "extra"],
    ["ping", "--socket", "x", "--hold", "2"], ["verify", "--socket", "x", "--hold", "0"],
    ["verify", "--socket", "x", "--hold", "-1"], ["verify", "--socket", "x", "--timeout", "nan"],
    ["verify", "--socket", "x", "--hold", "nan"], ["verify", "--socket", "x", "--timeout", "inf"],
    ["verify", "--socket", "x", "--mountpoint", "relative"],
    ["ping", "--socket", "x", "--count", "0"], ["log", "--socket", "x", "--lines", "0"],
    ["log", "--socket", "x", "--count", "1"], ["ping", "--socket", "x" * 200],
])
def test_bad_usage_exits_with_3(arguments):
    result = run(*arguments)
    assert result.status == ERROR, result
    assert result.errors and not result.output


def test_help_and_version_are_no_errors():
    for arguments in (["--help"], ["verify", "--help"], ["--version"]):
        result = run(*arguments)
        assert result.status == 0 and result.output
