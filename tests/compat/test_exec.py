# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-exec and guest-exec-status: programs of the guest, beside qemu-ga."""

import base64
import os
import signal
import time

import pytest

from agent import CommandError
from wire import TIMEOUT, wait_until

MEBIBYTE = 1 << 20


def b64(content):
    return base64.b64encode(content).decode()


def shell(script, **options):
    return {"path": "/bin/sh", "arg": ["-c", script], **options}


def ended(ask, pid, timeout=TIMEOUT):
    """The status once the program has ended."""
    def look():
        status = ask("guest-exec-status", pid=pid)
        return status if status["exited"] else None
    return wait_until(look, f"process {pid} ends", timeout)


def run(agent, timeout=TIMEOUT, **arguments):
    return ended(agent.call, agent.call("guest-exec", **arguments)["pid"], timeout)


def run_both(pair, **arguments):
    """The end of the program under both, which must be the same."""
    ends = {name: run(agent, **arguments) for name, agent in pair.agents.items()}
    assert ends["quiesced"] == ends["qemu-ga"]
    return ends["quiesced"]


@pytest.mark.parametrize("arguments", [
    {"path": "true"}, {"path": "false"}, {"path": "/bin/true", "arg": []},
    shell("exit 42"), shell("kill -9 $$"), shell("kill -TERM $$"),
    shell("echo out; echo err >&2"), shell("echo out; echo err >&2", capture_output=True),
    shell("echo out; echo err >&2", capture_output=False),
    shell("cat", input_data=b64(b"words"), capture_output=True),
    shell("cat", input_data="", capture_output=True), shell("cat", capture_output=True),
    shell("echo $A; echo $HOME", env=["A=b c"], capture_output=True),
    shell("env | grep -v ^PWD | sort", env=["A=b", "C="], capture_output=True),
    shell("printf '\\000\\377'", capture_output=True),
    shell("printf '%s|' \"$@\"", capture_output=True),
    {"path": "/bin/echo", "arg": ["a b", "", "é", "*", "$HOME"], "capture_output": True},
    shell("cat <&-; true", capture_output=True), shell("exec >&- 2>&-; exit 3", capture_output=True),
    shell("ls /proc/self/fd | wc -l", capture_output=True), shell("trap", capture_output=True),
])
def test_a_program_ends_alike(pair, arguments):
    run_both(pair, **arguments)


@pytest.mark.parametrize("arguments", [
    {"path": "/nope"}, {"path": "nope-there-is-none"}, {"path": ""}, {"path": "/etc"},
    {"path": "/etc/passwd"}, {}, {"path": 5}, {"path": "true", "arg": "x"}, {"path": "true", "arg": [5]},
    {"path": "true", "env": [None]}, {"path": "true", "input_data": 5}, {"path": "true", "more": 1},
])
def test_what_cannot_be_run_is_an_error(pair, arguments):
    assert pair.same("guest-exec", **arguments).error_class == "GenericError"


def test_the_error_names_the_program_and_the_cause(agent):
    agent.start()
    for path, cause in (("/nope", "No such file or directory"), ("/etc/passwd", "Permission denied")):
        with pytest.raises(CommandError, match=f"cannot run '{path}': {cause}"):
            agent.call("guest-exec", path=path)


@pytest.mark.parametrize("mode, out, err", [
    ("none", None, None), ("stdout", b"out\n", None), ("stderr", None, b"err\n"),
    ("separated", b"out\n", b"err\n"), ("merged", b"out\nerr\n", None)])
def test_output_is_captured_as_the_mode_says(agent, mode, out, err):
    agent.start()
    end = run(agent, **shell("echo out; echo err >&2", capture_output=mode))
    expected = {"exited": True, "exitcode": 0}
    if out:
        expected |= {"out-data": b64(out), "out-truncated": False}
    if err:
        expected |= {"err-data": b64(err), "err-truncated": False}
    assert end == expected


@pytest.mark.parametrize("mode", ["both", 5, []])
def test_a_mode_that_there_is_not_is_refused(agent, mode):
    agent.start()
    with pytest.raises(CommandError):
        agent.call("guest-exec", path="true", capture_output=mode)


@pytest.mark.parametrize("pid", [0, -1, 1, 1 << 40])
def test_a_process_of_somebody_else_is_not_told_of(pair, pid):
    assert pair.same("guest-exec-status", pid=pid).error_class == "GenericError"


def test_the_end_is_told_once(pair):
    for agent in pair.agents.values():
        pid = agent.call("guest-exec", path="true")["pid"]
        ended(agent.call, pid)
        with pytest.raises(CommandError):
            agent.call("guest-exec-status", pid=pid)


def test_a_program_that_runs_has_not_exited_and_can_be_ended(agent):
    agent.start()
    pid = agent.call("guest-exec", path="sleep", arg=["1000"])["pid"]
    assert agent.call("guest-exec-status", pid=pid) == {"exited": False}
    os.kill(pid, signal.SIGKILL)
    assert ended(agent.call, pid) == {"exited": True, "signal": 9}


def test_much_input_and_output_at_once_do_not_block_each_other(agent):
    agent.start()
    content = os.urandom(8 * MEBIBYTE)
    end = run(agent, path="cat", input_data=b64(content), capture_output=True)
    assert base64.b64decode(end["out-data"]) == content


def test_input_that_nobody_reads_does_no_harm(agent):
    agent.start()
    end = run(agent, path="true", input_data=b64(bytes(4 * MEBIBYTE)))
    assert end == {"exited": True, "exitcode": 0}


def test_input_that_nobody_read_is_not_kept_with_the_end(agent):
    agent.start()
    for _ in range(16):
        pid = agent.call("guest-exec", path="true", input_data=b64(bytes(8 * MEBIBYTE)))["pid"]
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"process {pid} is reaped")
    with open(f"/proc/{agent.pid}/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert resident < 64 * MEBIBYTE


@pytest.mark.parametrize("stream, redirection", [("out", ""), ("err", " >&2")])
def test_output_is_bounded_and_the_rest_is_thrown_away(agent, stream, redirection):
    agent.start()
    end = run(agent, **shell(f"head -c 17000000 /dev/zero{redirection}; exit 7", capture_output=True))
    assert len(base64.b64decode(end[f"{stream}-data"])) == 16 * MEBIBYTE
    assert end[f"{stream}-truncated"] is True and end["exitcode"] == 7


def test_output_at_the_bound_is_not_truncated(agent):
    agent.start()
    end = run(agent, **shell(f"head -c {16 * MEBIBYTE} /dev/zero", capture_output=True))
    assert len(base64.b64decode(end["out-data"])) == 16 * MEBIBYTE
    assert end["out-truncated"] is False


def test_output_of_a_background_child_is_waited_for_a_while(agent):
    agent.start()
    end = run(agent, **shell("(sleep 0.5; echo late) & echo soon", capture_output=True))
    assert base64.b64decode(end["out-data"]) == b"soon\nlate\n"


def test_a_child_that_outlives_its_parent_does_not_keep_it_from_ending(agent):
    agent.start()
    begin = time.monotonic()
    end = run(agent, timeout=60, **shell("sleep 50 & echo $!", capture_output=True))
    assert time.monotonic() - begin < 45, "its end was waited for"
    os.kill(int(base64.b64decode(end["out-data"])), signal.SIGKILL)


def test_the_agents_own_business_is_kept_from_programs(agent):
    agent.environment = {"NOTIFY_SOCKET": "/nowhere", "LISTEN_PID": "1", "SOME": "thing"}
    agent.start()
    end = run(agent, path="env", capture_output=True)
    names = {line.partition("=")[0] for line in base64.b64decode(end["out-data"]).decode().splitlines()}
    assert "SOME" in names and not names & {"NOTIFY_SOCKET", "LISTEN_PID"}


def test_programs_have_default_signals_their_own_session_and_no_descriptors(agent):
    agent.start()
    script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; ps -o sid= -p $$; echo $$"
    end = run(agent, **shell(script, capture_output=True))
    *_, blocked, ignored, fd0, fd1, fd2, _, session, pid = base64.b64decode(end["out-data"]).decode().split("\n")[:-1]
    assert blocked.split()[1].strip("0") == "" and ignored.split()[1].strip("0") == ""
    assert (fd0, fd1, fd2) == ("0", "1", "2") and session.strip() == pid


def test_programs_are_bounded_and_none_is_left_a_zombie(agent):
    agent.start()
    pids = [agent.call("guest-exec", path="sleep", arg=["1000"])["pid"] for _ in range(128)]
    with pytest.raises(CommandError, match="128 programs that a host started are running already"):
        agent.call("guest-exec", path="true")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "all are reaped")
    assert agent.call("guest-exec", path="true")["pid"] > 0


def test_what_nobody_asks_for_is_forgotten_the_oldest_first(agent):
    agent.start()
    pids = []
    for _ in range(130):
        pids.append(agent.call("guest-exec", path="true")["pid"])
        wait_until(lambda: not os.path.exists(f"/proc/{pids[-1]}"), "it is reaped")
    ended(agent.call, pids[-1])
    with pytest.raises(CommandError, match="does not exist"):
        agent.call("guest-exec-status", pid=pids[0])
