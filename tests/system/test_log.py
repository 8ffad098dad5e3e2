# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log of a running agent: it tells everything in the end and never holds anything up."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from agent import QUIESCED, TIMEOUT, Agent, Host, wait_until
from filesystems import Filesystems

LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (error|warning|info|debug) "
                  r"[a-z]+: \S.*")
SYSLOG = Path("/dev/log")


@pytest.fixture(name="agent")
def agent_fixture(tmp_path):
    with Agent(tmp_path) as agent:
        yield agent


@pytest.fixture(name="syslog")
def syslog_fixture():
    """The system's log, where this machine has none."""
    if SYSLOG.exists():
        pytest.skip(f"{SYSLOG} belongs to this machine's own log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(SYSLOG))
        receiver.settimeout(TIMEOUT)
        try:
            yield receiver
        finally:
            SYSLOG.unlink()


@contextmanager
def started(agent, *arguments, **popen):
    """An agent with its log elsewhere than in a file."""
    with subprocess.Popen(
            [QUIESCED, "-m", "unix-listen", "-p", agent.socket_path, "-t", agent.directory, "-f",
             agent.directory / "agent.pid", *arguments], stdin=subprocess.DEVNULL, **popen) as process:
        try:
            wait_until(agent.socket_path.exists, "the agent listens")
            yield process
        finally:
            agent.hang_up()
            process.terminate()
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:  # it waits for somebody, which is the failure
                process.kill()


def ask_many(agent, count):
    """count requests, each answered in good time."""
    for number in range(count):
        assert agent.call("guest-sync", id=number) == number


def read_until_answer(fd, number):
    """What the other end has logged, up to the reply to the last request of ask_many()."""
    os.set_blocking(fd, False)
    text = b""

    def is_there():
        nonlocal text
        try:
            text += os.read(fd, 1 << 20)
        except BlockingIOError:
            pass
        return b'{"return": %d}\n' % number in text

    wait_until(is_there, "the log catches up")
    return text.decode()


def assert_asked_many(text, count):
    """The log tells of each request of ask_many(), once and in order."""
    requests = re.findall(r'"execute": *"guest-sync", *"arguments": *\{ *"id": *(\d+)', text)
    assert [int(number) for number in requests] == list(range(count))


def test_each_line_has_time_level_and_topic(agent):
    agent.start()
    ask_many(agent, 3)
    agent.kill(signal.SIGTERM)
    agent.wait()
    lines = agent.log.splitlines()
    assert len(lines) > 6
    times = []
    for line in lines:
        match = LINE.fullmatch(line)
        assert match, line
        times.append(match["time"])
    assert times == sorted(times)
    age = datetime.now(timezone.utc) - datetime.fromisoformat(times[-1].replace("Z", "+00:00"))
    assert timedelta() <= age < timedelta(seconds=TIMEOUT)
    assert agent.output == ""


def test_a_host_cannot_forge_a_line(agent):
    agent.start()
    forged = "2026-01-01T00:00:00.000000Z info freeze: everything is fine"
    agent.send(b'{"execute": "x\\n' + forged.encode() + b'\\u001b[2J"}\n')
    assert b"CommandNotFound" in agent.receive_line()
    agent.send(b"\n" + forged.encode() + b"\x1b[2J\n")
    agent.receive_line()
    agent.call("guest-sync", id=77)
    agent.wait_for_log("77")
    assert "\x1b" not in agent.log
    assert not any(line.startswith("2026-01-01T00:00:00") for line in agent.log.splitlines())
    assert all(LINE.fullmatch(line) for line in agent.log.splitlines())


def test_logrotate_can_move_the_file_away(agent):
    agent.start()
    agent.call("guest-sync", id=111)
    moved = agent.log_path.with_suffix(".old")
    agent.wait_for_log("111")
    agent.log_path.rename(moved)
    agent.kill(signal.SIGHUP)
    agent.wait_for_log("log reopened")
    agent.call("guest-sync", id=222)
    agent.wait_for_log("222")
    assert "111" in moved.read_text(encoding="utf-8")
    assert "222" not in moved.read_text(encoding="utf-8")


def test_a_full_file_is_rotated_and_the_size_is_bounded(agent):
    agent.configure("[log]\nmax-size=10K\n")
    agent.start()
    ask_many(agent, 300)
    rotated = Path(f"{agent.log_path}.1")
    wait_until(rotated.exists, "the log is rotated")
    assert agent.log_path.stat().st_size <= 10 * 1024
    assert rotated.stat().st_size <= 10 * 1024
    assert '"id": 299' in agent.log or '"id":299' in agent.log


def test_a_directory_that_vanishes_and_comes_back_stops_nothing(agent):
    place = agent.directory / "logs"
    place.mkdir()
    agent.log_path = place / "log"
    agent.start()
    away = agent.directory / "away"
    place.rename(away)
    agent.kill(signal.SIGHUP)
    ask_many(agent, 10)
    away.rename(place)
    (place / "log").unlink()
    agent.wait_for_log("could not be written for .* s: No such file or directory")
    assert_asked_many(agent.log, 10)


def test_a_full_disk_stops_nothing(agent):
    agent.log_path = Path("/dev/full")
    agent.spawn()
    wait_until(agent.socket_path.exists, "the agent listens")
    ask_many(agent, 1000)
    agent.kill(signal.SIGTERM)
    assert agent.wait() == 0


def test_a_log_that_cannot_be_opened_at_start_is_an_error(agent):
    agent.log_path = Path("/nonexistent/log")
    agent.spawn()
    assert agent.wait() == 1
    assert agent.output.count(
        "cannot open the log file /nonexistent/log: No such file or directory") == 1


@pytest.mark.parametrize("pair", [os.pipe, socket.socketpair], ids=["pipe", "journal-like-socket"])
def test_a_standard_error_that_nobody_reads_holds_nothing_up(agent, pair):
    ends = [end if isinstance(end, int) else end.detach() for end in pair()]
    with started(agent, "-v", stderr=ends[1]):
        os.close(ends[1])
        began = time.monotonic()
        ask_many(agent, 2000)  # more than either kind of buffer holds
        assert time.monotonic() - began < TIMEOUT
        # Now somebody reads, and asks nothing more.
        text = read_until_answer(ends[0], 1999)
    os.close(ends[0])
    assert_asked_many(text, 2000)


def test_beyond_the_memory_bound_the_oldest_lines_go_and_are_counted(agent):
    read_end, write_end = os.pipe()
    with started(agent, "-v", stderr=write_end):
        os.close(write_end)
        ask_many(agent, 8000)
        text = read_until_answer(read_end, 7999)
    os.close(read_end)
    lost = [int(count) for count in re.findall(r"warning log: (\d+) older lines were lost", text)]
    written = len(re.findall(r" debug command: .*guest-sync|\{\"return\": \d+\}", text))
    assert sum(lost) > 1000
    assert sum(lost) + written == 16000


def test_syslog_gets_the_log(agent, syslog):
    with started(agent, "-l", "syslog"):
        message = syslog.recv(65536).decode()
        assert re.fullmatch(r"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d quiesced\[\d+\]: (.*)", message)
        assert LINE.fullmatch(message.split("]: ", 1)[1])


def test_a_daemon_without_a_log_file_logs_to_syslog(agent, syslog):
    pid_file = agent.directory / "agent.pid"
    subprocess.run([QUIESCED, "-d", "-m", "unix-listen", "-p", agent.socket_path, "-f", pid_file,
                    "-t", agent.directory], check=True, timeout=TIMEOUT)
    pid = int(pid_file.read_text(encoding="utf-8"))
    try:
        messages = []

        def is_told():
            messages.append(syslog.recv(65536).decode())
            return "is ready" in messages[-1]

        wait_until(is_told, "syslog is told")
        assert f"quiesced[{pid}]: " in messages[-1]
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), "the daemon ends")


def test_a_syslog_that_does_not_read_holds_nothing_up(agent, syslog):
    with started(agent, "-v", "-l", "syslog"):
        ask_many(agent, 1000)
        syslog.settimeout(TIMEOUT)
        text = ""
        while '"id": 999' not in text:
            text += syslog.recv(65536).decode() + "\n"
    assert_asked_many(text, 1000)


def logged_time(text, pattern):
    line = next(line for line in text.splitlines() if re.search(pattern, line))
    return datetime.fromisoformat(LINE.fullmatch(line)["time"].replace("Z", "+00:00")).timestamp()


def test_while_its_own_filesystem_is_frozen_the_agent_answers_and_tells_all_afterwards(tmp_path):
    with Filesystems() as filesystems, Agent(tmp_path) as agent:
        place = filesystems.add("logs")
        agent.log_path = place / "log"
        agent.start()
        assert agent.call("guest-fsfreeze-freeze-list", mountpoints=[str(place)]) == 1
        frozen_size = agent.log_path.stat().st_size
        before = time.time()
        ask_many(agent, 50)
        after = time.time()
        agent.kill(signal.SIGHUP)  # would open the file for writing
        with Host.connect(agent.socket_path) as other:
            assert other.call("guest-ping") == {}
        assert agent.log_path.stat().st_size == frozen_size
        assert agent.call("guest-fsfreeze-thaw") == 1
        agent.wait_for_log("log reopened")
        assert_asked_many(agent.log, 50)
        assert before <= logged_time(agent.log, '"id": *0') <= after
        assert before <= logged_time(agent.log, '"id": *49') <= after
        agent.stop()
