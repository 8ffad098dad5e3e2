# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways to the agent: sockets, socket activation, serial lines; hosts that come and go, hang and
crowd."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from agent import CommandError, Host, wait_until
from filesystems import Filesystems
from serial_line import SerialLine

MAX_CLIENTS = 16
STALL_TIMEOUT = 30
INFO = b'{"execute": "guest-info"}'


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(rf"^{field}:\s+(\d+)", status.read(), re.MULTILINE)[1])


def assert_asleep(pid, seconds=2):
    """No wakeup at all for so long, once the agent has come to rest."""

    def rests():
        before = status_of(pid, "voluntary_ctxt_switches")
        time.sleep(0.2)
        return status_of(pid, "voluntary_ctxt_switches") == before

    wait_until(rests, "the agent comes to rest")
    before = status_of(pid, "voluntary_ctxt_switches")
    time.sleep(seconds)
    assert status_of(pid, "voluntary_ctxt_switches") == before


def assert_refuses_to_start(agent, *parts, arguments=(), **options):
    agent.spawn(*arguments, **options)
    assert agent.wait() == 1
    said = agent.output + agent.log
    for part in parts:
        assert str(part) in said


# --- unix sockets


def test_hosts_are_served_side_by_side(agent):
    agent.start()
    with agent.connect() as other:
        agent.send(b'{"execute": "guest-')
        assert other.call("guest-sync", id=1) == 1
        agent.send(b'ping"}')
        assert agent.host.receive_reply() == {"return": {}}


def test_a_crowd_waits_for_its_turn(agent):
    agent.start()
    hosts = [agent.connect() for _ in range(MAX_CLIENTS + 4)]
    for number, host in enumerate(hosts):
        host.request("guest-sync", id=number)
    for number, host in enumerate(hosts[:MAX_CLIENTS]):
        assert host.receive_reply() == {"return": number}
    for host in hosts[MAX_CLIENTS:]:
        host.expect_silence(0.1)
    for number, host in enumerate(hosts):
        if number >= MAX_CLIENTS:
            assert host.receive_reply() == {"return": number}
        host.close()


def test_a_host_that_leaves_half_a_request_behind_harms_nobody(agent):
    agent.start()
    agent.wait_for_log("disconnected")
    assert agent.call("guest-ping") == {}
    descriptors = f"/proc/{agent.pid}/fd"
    before = len(os.listdir(descriptors))
    for _ in range(2 * MAX_CLIENTS):
        with agent.connect() as host:
            host.send(b'{"execute": "guest-sync", "arguments": {"id')
        with agent.connect() as host:
            assert host.call("guest-ping") == {}
    wait_until(lambda: len(os.listdir(descriptors)) == before, "no descriptor is left open")


def test_a_request_counts_though_its_host_left_without_waiting(agent):
    agent.start()
    with agent.connect() as host:
        host.request("guest-sync", id=123456789)
    agent.wait_for_log("-> .*123456789")


def test_a_host_that_only_closes_its_sending_side_gets_its_reply(agent):
    agent.start()
    with agent.connect() as host:
        host.request("guest-sync", id=5)
        host.stream.shutdown(socket.SHUT_WR)
        assert host.receive_reply() == {"return": 5}
        assert host.receive() == b""


def test_comings_and_goings_are_in_the_log(agent):
    agent.start()
    with agent.connect() as host:
        host.call("guest-ping")
    agent.wait_for_log(rf"info channel: client pid {os.getpid()} .*: connected", count=2)
    agent.wait_for_log(rf"info channel: client pid {os.getpid()} .*: disconnected", count=2)


def test_a_host_that_stops_reading_is_given_up_and_nobody_else_suffers(agent):
    agent.start()
    agent.host.stream.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while sent < 64 << 20:
            sent += agent.host.stream.send(INFO * 100)
    assert sent < 8 << 20, "requests are taken in though their replies go nowhere"
    since = time.monotonic()
    with agent.connect() as other:
        while "has read nothing" not in agent.log:
            assert other.call("guest-ping", timeout=2) == {}
            assert time.monotonic() - since < STALL_TIMEOUT + 15
            time.sleep(0.2)
    assert time.monotonic() - since > STALL_TIMEOUT - 5
    assert status_of(agent.pid, "VmHWM") < 64 << 10
    # What it finds when it comes back is the end.
    with pytest.raises(ConnectionError):
        while True:
            agent.receive_line()


def test_only_its_owner_may_connect(agent):
    agent.start()
    assert stat.S_IMODE(agent.socket_path.stat().st_mode) == 0o600


def test_the_socket_is_removed_at_the_end(agent):
    agent.start()
    agent.kill(signal.SIGTERM)
    agent.wait()
    assert not agent.socket_path.exists()


def test_a_socket_that_a_dead_agent_left_is_replaced(agent):
    agent.start()
    agent.kill(signal.SIGKILL)
    agent.wait()
    assert agent.socket_path.exists()
    agent.hang_up()
    agent.start()
    assert agent.call("guest-ping") == {}


def test_a_socket_in_use_is_left_alone(agent):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(agent.socket_path))
        other.listen()
        assert_refuses_to_start(agent, agent.socket_path, "another program listens there")
        Host.connect(agent.socket_path).close()


def test_a_file_that_is_no_socket_is_left_alone(agent):
    agent.socket_path.write_text("precious", encoding="ascii")
    assert_refuses_to_start(agent, agent.socket_path, "is no socket")
    assert agent.socket_path.read_text(encoding="ascii") == "precious"


def test_a_missing_directory_is_named(agent):
    path = agent.directory / "missing" / "agent.sock"
    assert_refuses_to_start(agent, path, "No such file or directory", path=path)


def test_a_path_too_long_for_a_socket_is_named(agent):
    path = agent.directory / ("x" * 120)
    assert_refuses_to_start(agent, path, "at most 107 bytes", path=path)


def test_a_socket_of_somebody_else_survives_our_end(agent):
    agent.start()
    agent.hang_up()
    agent.socket_path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(agent.socket_path))
        agent.stop()
        assert agent.socket_path.exists()


@pytest.mark.parametrize("connected", [True, False], ids=["host connected", "no host"])
def test_an_idle_agent_sleeps(agent, connected):
    agent.start()
    if connected:
        agent.call("guest-ping")
    assert_asleep(agent.pid)


# --- vsock


@pytest.mark.parametrize("address", ["3", "3:", ":1234", "x:1", "3:1:2", "-1:5", "4294967296:1"])
def test_a_malformed_vsock_address_is_named(agent, address):
    assert_refuses_to_start(agent, f"'{address}'", "CID:PORT", method="vsock-listen", path=address)


def test_hosts_are_served_over_vsock(agent):
    try:
        probe = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        probe.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    except OSError as error:
        pytest.skip(f"this kernel has no vsock: {error}")
    with probe:
        probe.listen()
        port = probe.getsockname()[1]
        try:
            with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as host:
                host.settimeout(2)
                host.connect((1, port))
        except OSError as error:
            pytest.skip(f"this kernel has no vsock loopback: {error}")

    agent.spawn(method="vsock-listen", path=f"1:{port}")
    agent.wait_for_log("listening on")
    stream = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    stream.connect((1, port))
    with Host(stream) as host:
        assert host.call("guest-sync", id=9) == 9
    agent.wait_for_log("vsock 1:.*disconnected")


# --- socket activation


HAND_OVER = """
import fcntl, os, sys
pid, descriptors, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
copies = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in descriptors]
for number, copy in enumerate(copies):
    os.dup2(copy, 3 + number)
os.environ.update(LISTEN_PID=pid or str(os.getpid()), LISTEN_FDS=str(len(copies)))
os.execv(command[0], command)
"""


def hand_over(agent, *descriptors, pid=""):
    """Starts the agent as systemd would, with these as descriptors 3 and up."""
    numbers = ",".join(str(fd) for fd in descriptors)
    agent.spawn(path=agent.directory / "unused", pass_fds=descriptors,
                prefix=(sys.executable, "-c", HAND_OVER, pid, numbers))


@pytest.fixture(name="listener")
def listening_socket(agent):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(agent.socket_path))
        listener.listen()
        yield listener


def test_a_socket_handed_over_is_served(agent, listener):
    hand_over(agent, listener.fileno())
    assert agent.call("guest-sync", id=3) == 3
    assert not (agent.directory / "unused").exists()


def test_a_socket_handed_over_is_not_removed_at_the_end(agent, listener):
    hand_over(agent, listener.fileno())
    agent.call("guest-ping")
    agent.stop()
    assert agent.socket_path.exists()


def test_a_socket_handed_over_to_another_process_is_none_of_ours(agent, listener):
    hand_over(agent, listener.fileno(), pid="1")
    with Host.connect(wait_until(lambda: (agent.directory / "unused").exists()
                                 and agent.directory / "unused", "its own socket")) as host:
        assert host.call("guest-ping") == {}


def test_two_sockets_handed_over_are_one_too_many(agent, listener):
    hand_over(agent, listener.fileno(), listener.fileno())
    assert agent.wait() == 1
    assert "LISTEN_FDS" in agent.output + agent.log


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_what_is_no_listening_socket_is_refused(agent, family):
    with socket.socket(family) as wrong:
        if family == socket.AF_INET:
            wrong.bind(("127.0.0.1", 0))
            wrong.listen()
        hand_over(agent, wrong.fileno())
        assert agent.wait() == 1
    assert "ListenStream=" in agent.output + agent.log


# --- serial lines


@pytest.fixture(name="line")
def serial_line(agent):
    line = SerialLine(agent.directory / "ttyS9")
    yield line
    line.close()


def open_line(agent, line, *arguments):
    agent.spawn(*arguments, method="isa-serial", path=line.guest_path)
    agent.wait_for_log(f"opened {line.guest_path}")
    return Host(line)


def test_a_serial_line_carries_every_byte(agent, line):
    host = open_line(agent, line)
    host.send(b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 8}}\r\n')
    assert host.receive_line() == b'\xff{"return": 8}\n'
    # Bytes that a terminal in its usual mode would act upon.
    host.send(b'{"execute": "\\u0003", "id": "\x7f\\u0011\\u0013"}\n')
    assert host.receive_reply()["id"] == "\x7f\x11\x13"
    host.send(b"\x03\x04\x11\x13\x1a\x1c\n")
    assert "error" in host.receive_reply()
    host.send(b'{"execute": "guest-ping"}')
    assert host.receive_line() == b'{"return": {}}\n'


def test_an_idle_serial_line_wakes_nobody(agent, line):
    assert open_line(agent, line).call("guest-ping") == {}
    assert_asleep(agent.pid)


def test_a_serial_line_whose_host_stops_reading_is_resynchronised(agent, line):
    host = open_line(agent, line)
    idle = 0
    while idle < 20:
        idle = 0 if line.send_some(INFO) else idle + 1
        time.sleep(0.01)
    agent.wait_for_log("has read nothing", timeout=STALL_TIMEOUT + 15)
    assert agent.process.poll() is None

    # What a host does that comes back: 0xFF, then guest-sync-delimited, then it reads up to 0xFF.
    received = b""
    while b"\xff" not in received:
        line.send_some(b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 77}}\n')
        try:
            while b"\xff" not in received:
                received += host.receive(timeout=0.2)
        except TimeoutError:
            pass
    before, _, after = received.partition(b"\xff")
    assert before.endswith(b"\n")
    line_after, _, _ = after.partition(b"\n")
    assert line_after == b'{"return": 77}'
    agent.wait_for_log("the host reads again")


@pytest.mark.parametrize("method", ["isa-serial", "virtio-serial"])
def test_a_missing_port_is_an_error_that_names_the_remedy(agent, method):
    path = agent.directory / "missing"
    assert_refuses_to_start(agent, path, "No such file or directory", "--retry-path",
                            method=method, path=path)


def test_what_is_no_serial_line_is_an_error(agent):
    assert_refuses_to_start(agent, "/dev/null", "--path", method="isa-serial", path="/dev/null")


def test_a_port_that_comes_late_is_waited_for(agent):
    path = agent.directory / "late"
    agent.spawn("--retry-path", method="isa-serial", path=path)
    agent.wait_for_log(f"warning channel: cannot open .*{path}")
    line = SerialLine(path)
    try:
        agent.wait_for_log(f"opened {path}")
        assert Host(line).call("guest-ping") == {}
    finally:
        line.close()
    assert len(re.findall("cannot open", agent.log)) == 1, "one warning, not one a second"


def test_a_port_that_vanishes_is_waited_for(agent, line):
    host = open_line(agent, line, "--retry-path")
    for round_ in range(3):
        host.send(b'{"execute": "guest-')
        line.unplug()
        agent.wait_for_log(f"warning channel: {line.guest_path} is gone", count=round_ + 1)
        line = SerialLine(line.guest_path)
        agent.wait_for_log(f"opened {line.guest_path}", count=round_ + 2)
        host = Host(line)
        assert host.call("guest-ping") == {}
    line.close()


def test_a_port_that_vanishes_for_good_is_the_end(agent, line):
    open_line(agent, line)
    line.unplug()
    assert agent.wait() == 1
    assert f"{line.guest_path} is gone" in agent.log + agent.output
    assert "--retry-path" in agent.log + agent.output


# --- a command that takes its time: a freeze whose hook waits for a word of the test's


class SlowFreeze:
    """A freeze of a filesystem of the test's own that is under way until finish()."""

    def __init__(self, agent, mount_point):
        self._go = agent.directory / "go"
        hook = agent.directory / "hook"
        hook.write_text(f"#!/bin/sh\n[ $1 = thaw ] && exit\ntouch {agent.directory}/begun\n"
                        f"while ! [ -e {self._go} ]; do sleep 0.05; done\n", encoding="ascii")
        hook.chmod(0o755)
        agent.start(f"--fsfreeze-hook={hook}")
        self._begun = agent.directory / "begun"
        self.arguments = {"mountpoints": [str(mount_point)]}

    def wait_until_under_way(self):
        wait_until(self._begun.exists, "the freeze is under way")

    def finish(self):
        self._go.touch()


@pytest.fixture(name="slow")
def slow_freeze(agent):
    with Filesystems() as filesystems:
        yield SlowFreeze(agent, filesystems.add("one"))
        agent.stop()


def test_while_a_freeze_is_under_way_other_hosts_are_answered(agent, slow):
    agent.host.request("guest-fsfreeze-freeze-list", **slow.arguments)
    slow.wait_until_under_way()
    with agent.connect() as other:
        assert other.call("guest-ping", timeout=5) == {}
        with pytest.raises(CommandError, match="the agent is in frozen state"):
            other.call("guest-fsfreeze-freeze-list", **slow.arguments)
        slow.finish()
        assert agent.host.receive_reply() == {"return": 1}
        assert other.call("guest-fsfreeze-status") == "frozen"
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_requests_behind_a_freeze_wait_for_it(agent, slow):
    host = agent.host
    host.request("guest-fsfreeze-freeze-list", **slow.arguments)
    host.request("guest-fsfreeze-status")
    host.request("guest-fsfreeze-thaw")
    host.request("guest-fsfreeze-status")
    slow.wait_until_under_way()
    host.expect_silence()
    slow.finish()
    assert [host.receive_reply()["return"] for _ in range(4)] == [1, "frozen", 1, "thawed"]


def test_a_freeze_goes_on_though_its_host_leaves(agent, slow):
    with agent.connect() as host:
        host.request("guest-fsfreeze-freeze-list", **slow.arguments)
        slow.wait_until_under_way()
    slow.finish()
    wait_until(lambda: agent.call("quiesce-status")["state"] == "frozen", "the guest is frozen")
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_an_agent_that_is_ended_during_a_freeze_leaves_nothing_frozen(agent, slow):
    agent.host.request("guest-fsfreeze-freeze-list", **slow.arguments)
    slow.wait_until_under_way()
    agent.kill(signal.SIGTERM)
    slow.finish()
    assert agent.wait() == 0
    probe = subprocess.Popen(["touch", os.path.join(slow.arguments["mountpoints"][0], "probe")])
    assert probe.wait(10) == 0
