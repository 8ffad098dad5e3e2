# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe watch with real agents on this machine's kernel, a real QEMU's monitor, and fake
hosts where disks are to write and pause on demand. Loop-mounted filesystems only, never all: what is
"the guest" here is the machine itself."""

import os
import pty
import signal
import socket
import subprocess
import time

import pytest
from agent import QEMU_GA, Agent, wait_until
from fake_agent import FakeAgent, FakeQmp
from filesystems import Filesystems
from probe import ERROR, NOT_FROZEN, PROBE, UNPROVEN, Probe, run


@pytest.fixture(name="filesystems")
def filesystems_fixture():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="quiesced")
def quiesced_fixture(tmp_path, filesystems):  # the filesystems outlive the agent
    with Agent(tmp_path) as agent:
        # Nothing of this machine's own, even if somebody leaves out --mountpoint.
        agent.configure(f"[freeze]\ninclude-mountpoints={filesystems.directory}/*\n")
        agent.start()
        agent.hang_up()
        yield agent


@pytest.fixture(name="qmp")
def qmp_fixture(tmp_path):
    """A virtual machine whose disks write all the time, but while `qmp.paused`."""
    with FakeQmp(tmp_path / "qmp.sock", lambda _: not qmp.paused) as qmp:
        qmp.paused = False
        yield qmp


def watch(agent_socket, *words, qmp=None):
    return ["watch", "--socket", agent_socket, *(["--qmp", qmp.path] if qmp else []), *words]


def shell(script):
    return ["--", "sh", "-c", script]


def freeze_and_thaw(agent, mount_point, between="sleep 1"):
    to_agent = f"--socket {agent.socket_path}"
    return f"{PROBE} freeze {to_agent} --mountpoint {mount_point} && {between}; {PROBE} thaw {to_agent}"


# ---- who froze

def test_the_history_tells_who_froze_through_the_same_socket(quiesced, filesystems, qmp):
    mount_point = filesystems.add("data")
    result = run(*watch(quiesced.socket_path, "--json",
                        *shell(freeze_and_thaw(quiesced, mount_point)), qmp=qmp))
    (freeze,) = result.json["freezes"]
    assert freeze["command"] == "quiesce-freeze" and freeze["thaw-command"] == "quiesce-thaw"
    assert freeze["intact"] and freeze["filesystem-count"] == 1
    assert 1000 <= freeze["held-ms"] < 5000
    assert freeze["host-frozen-at-us"] < freeze["host-thaw-at-us"] < time.time() * 1e6
    assert not result.json["nobody-froze"]
    # This machine has other filesystems, which were not frozen.
    assert "left out" in result.piece("claim")["summary"]
    assert result.json["command"]["exit-status"] == 0, result
    assert "frozen" in result.errors  # with --json the command's words are no part of the output


def test_a_freeze_before_the_watch_is_not_taken_for_one_in_it(quiesced, filesystems):
    subprocess.run(freeze_and_thaw(quiesced, filesystems.add("data"), "true"), shell=True,
                   check=True, stdout=subprocess.DEVNULL)
    result = run(*watch(quiesced.socket_path, *shell("echo taken")))
    assert result.status == NOT_FROZEN, result
    lines = result.output.splitlines()
    assert "taken" in lines
    assert "freeze    nobody froze the guest meanwhile" in lines
    assert lines[-1] == "verdict   NOT FROZEN, a snapshot taken meanwhile is crash-consistent"


def test_a_guest_that_is_frozen_at_the_end_is_said_to_be(quiesced, filesystems):
    mount_point = filesystems.add("data")
    result = run(*watch(quiesced.socket_path,
                        *shell(f"{PROBE} freeze --socket {quiesced.socket_path} -m {mount_point}")))
    subprocess.run([PROBE, "thaw", "--socket", quiesced.socket_path], check=True,
                   stdout=subprocess.DEVNULL)
    assert result.status == UNPROVEN, result
    assert "THE GUEST IS FROZEN STILL" in result.output


def test_an_agent_without_a_history_is_asked_only_when_no_command_needs_it(tmp_path, qmp):
    with FakeAgent(tmp_path / "agent.sock") as agent:
        run(*watch(agent.path, *shell("sleep 2"), qmp=qmp))
        in_command = agent.asked("guest-fsfreeze-status")
        probe = Probe(*watch(agent.path, "--json", qmp=qmp))
        wait_until(lambda: agent.asked("guest-fsfreeze-status") > in_command + 1, "two questions")
        agent.frozen = qmp.paused = True
        before = agent.asked("guest-fsfreeze-status")
        wait_until(lambda: agent.asked("guest-fsfreeze-status") > before + 2, "questions")
        agent.frozen = qmp.paused = False
        before = agent.asked("guest-fsfreeze-status")
        wait_until(lambda: agent.asked("guest-fsfreeze-status") > before + 2, "questions")
        probe.signal(signal.SIGINT)
        result = probe.end()
    assert in_command == 1  # at the end
    assert result.status == UNPROVEN, result
    assert "called itself frozen" in result.piece("claim")["summary"]
    assert result.piece("counters")["stance"] == "for"
    assert len(result.json["freezes"]) == 1


@pytest.mark.skipif(not QEMU_GA.exists(), reason="package qemu-guest-agent is not installed")
def test_qemu_ga_is_watched_without_a_word_of_its_own(tmp_path, qmp):
    with Agent(tmp_path, QEMU_GA) as agent:
        agent.start()
        agent.hang_up()
        result = run(*watch(agent.socket_path, "--json", "--interval", 0.01, *shell("true"),
                            qmp=qmp))
        coarse = run(*watch(agent.socket_path, "--json", *shell("true"), qmp=qmp))
    assert result.status == NOT_FROZEN, result
    assert result.json["nobody-froze"]
    assert result.piece("claim")["stance"] == "silent"
    assert result.piece("counters")["stance"] == "against"
    # A freeze shorter than what ten readings a second show is not excluded.
    assert coarse.status == UNPROVEN, coarse
    assert "--interval" in coarse.piece("counters")["remedy"]


# ---- a socket that belongs to somebody else

def test_a_busy_agent_leaves_the_counters_to_tell_of_a_pause(tmp_path, qmp):
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        # As QEMU's character device while it serves another client: connections wait.
        busy.bind(str(path))
        busy.listen(8)
        probe = Probe(*watch(path, "--json", "--timeout", 0.5, qmp=qmp))
        for paused in (False, True, False):
            qmp.paused = paused
            time.sleep(1.5)
        probe.signal(signal.SIGINT)
        result = probe.end()
    assert result.status == UNPROVEN, result
    assert "nobody else" in result.piece("claim")["summary"]
    assert result.piece("counters")["stance"] == "for"
    (still,) = result.json["stills"]
    assert 1.0 < (still["to-at-us"] - still["from-at-us"]) / 1e6 < 2.5
    assert "agent" not in result.json


def test_nothing_to_watch_is_an_error_and_the_command_is_not_run(tmp_path):
    result = run(*watch("/nowhere", "--", "touch", tmp_path / "ran"))
    assert result.status == ERROR, result
    assert "/nowhere" in result.errors and "--qmp" in result.errors
    assert not (tmp_path / "ran").exists()


def test_a_monitor_that_goes_away_is_told(tmp_path, quiesced):
    with FakeQmp(tmp_path / "qmp.sock", lambda _: True) as qmp:
        probe = Probe(*watch(quiesced.socket_path, "--json", *shell("sleep 2"), qmp=qmp))
        time.sleep(1)
    result = probe.end()
    assert "lost on the way" in result.piece("counters")["summary"], result
    assert result.status == NOT_FROZEN  # by the history


# ---- the command

@pytest.mark.parametrize("script, key, number", [
    ("exit 0", "exit-status", 0), ("exit 9", "exit-status", 9), ("kill -TERM $$", "signal", 15)])
def test_the_commands_end_is_in_the_report(quiesced, script, key, number):
    result = run(*watch(quiesced.socket_path, "--json", *shell(script)))
    assert result.json["command"] == {"arguments": ["sh", "-c", script], key: number}
    assert result.status == NOT_FROZEN


def test_a_command_that_cannot_be_run_is_an_error(quiesced):
    result = run(*watch(quiesced.socket_path, "--json", "--", "/no/such/program"))
    assert result.status == ERROR, result
    assert "/no/such/program" in result.errors and "No such file" in result.json["error"]


@pytest.mark.parametrize("words", [["--"], ["now"], ["--interval", 0], ["--duration", 4000]])
def test_what_cannot_be_meant_is_refused(quiesced, words):
    assert run(*watch(quiesced.socket_path, *words)).status == ERROR


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_commands_and_the_verdict_comes_all_the_same(quiesced, tmp_path, number):
    ready, got = tmp_path / "ready", tmp_path / "got"
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo {name} >{got}; exit 5' {name}; : >{ready}; while :; do sleep 0.05; done"
    probe = Probe(*watch(quiesced.socket_path, "--json", *shell(script)))
    wait_until(ready.exists, "the command")
    probe.signal(number)
    result = probe.end()
    assert got.read_text() == f"{name}\n"
    assert result.json["command"]["exit-status"] == 5
    assert result.status == NOT_FROZEN, result


def test_the_command_has_a_process_group_and_the_signals_defaults(quiesced, tmp_path):
    result = run(*watch(quiesced.socket_path, "--", "sh", "-c",
                        "ps -o pid=,pgid= -p $$; exec grep -E 'Sig(Blk|Ign)' /proc/self/status"))
    pid, group = result.output.split()[:2]
    assert pid == group, result
    blocked, ignored = (int(line.split()[1], 16) for line in result.output.splitlines()[1:3])
    assert blocked == 0
    assert not ignored & 1 << (signal.SIGPIPE - 1)


def test_a_watch_ends_after_its_duration(quiesced):
    result = run(*watch(quiesced.socket_path, "--json", "--duration", 1.5))
    assert 1500 <= result.json["watched-ms"] < 3000
    assert result.seconds < 10


# ---- a terminal

def on_a_terminal(*arguments, answers=()):
    """The program's output on a terminal of its own, and its exit status. answers: what to type
    once a text has appeared."""
    answers = dict(answers)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(PROBE, [str(word) for word in [PROBE, *arguments]])
    output = ""
    while True:
        try:
            output += os.read(terminal, 65536).decode()
        except OSError:  # the last one on it has closed it
            break
        for question in [text for text in answers if text in output]:
            os.write(terminal, answers.pop(question))
    os.close(terminal)
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_progress_is_shown_on_a_terminal_and_not_in_a_pipe(quiesced):
    words = watch(quiesced.socket_path, "--duration", 1)
    output, status = on_a_terminal(*words)
    assert status == NOT_FROZEN
    assert "\r\033[Kwatching for 0." in output
    assert output.rindex("\r\033[K") < output.index("verdict")
    assert run(*words).errors == ""


def test_a_verify_shows_its_progress_on_a_terminal_and_not_in_a_pipe(tmp_path):
    with FakeAgent(tmp_path / "agent.sock", quiesced=True) as agent:
        words = ["verify", "--socket", agent.path, "--hold", 0.5]
        output, _ = on_a_terminal(*words)
        assert run(*words).errors == ""
    assert "\r\033[Kthe guest is frozen, 0." in output
    assert output.rindex("\r\033[K") < output.index("verdict")


def test_on_a_terminal_the_command_can_ask_and_ctrl_c_is_its_own(quiesced):
    script = ("trap 'echo got it; exit 4' INT; echo 'name?'; read -r name; echo hello $name; "
              "while :; do sleep 0.05; done")
    output, status = on_a_terminal(*watch(quiesced.socket_path), *shell(script),
                                   answers={"name?": b"you\n", "hello you": b"\x03"})
    assert "got it" in output
    assert "ended with exit status 4" in output
    assert status == NOT_FROZEN
