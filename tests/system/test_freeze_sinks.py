# SPDX-License-Identifier: LGPL-2.1-or-later
"""Places for the log that take nothing while a freeze is under way: nobody waits for them, and they
get everything in the end, with the times at which it happened."""

import os
import re
import socket
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from agent import TIMEOUT, wait_until
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)
from test_log import ask_many, started

STAMP = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z"
# More than a pipe's, a socket's and a datagram socket's buffer.
ENOUGH_TO_FILL_IT = 2000
# What a freeze and a thaw may take on a busy machine, with nobody waiting for anybody.
SOON = 10


def moment(text, pattern):
    """When the line that matches says that it was, in seconds since 1970."""
    match = re.search(rf"{STAMP} \w+ {pattern}", text)
    assert match, f"no {pattern!r} in {text[-2000:]}"
    return datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc).timestamp()


class Window:
    """A freeze, a hold and a thaw by an agent whose log goes nowhere."""

    def __init__(self, agent, mount_point):
        self.mount_point = mount_point
        ask_many(agent, ENOUGH_TO_FILL_IT)
        began = time.monotonic()
        self.before = time.time()
        assert freeze(agent, mount_point) == 1
        self.frozen = time.time()
        ask_many(agent, 100)
        self.thawing = time.time()
        assert agent.call("guest-fsfreeze-thaw") == 1
        self.after = time.time()
        assert time.monotonic() - began < SOON
        time.sleep(1)  # so that the time of writing is not the time of happening

    def assert_told_by(self, text):
        place = re.escape(f"{self.mount_point} (ext4 on ")
        assert self.before <= moment(text, f"freeze: frozen: {place}") <= self.frozen
        assert self.thawing <= moment(text, f"freeze: thawed: {place}") <= self.after
        assert "window intact" in text
        assert "lines were lost" not in text
        assert len(re.findall(r'"id": *\d+', text)) == ENOUGH_TO_FILL_IT + 100


def read_all(fd, is_all):
    """What comes out of the other end until is_all(text)."""
    os.set_blocking(fd, False)
    parts = []

    def is_there():
        try:
            parts.append(os.read(fd, 1 << 20))
        except BlockingIOError:
            pass
        return is_all(b"".join(parts))

    wait_until(is_there, "the log catches up")
    return b"".join(parts).decode()


@pytest.mark.parametrize("pair", [os.pipe, socket.socketpair], ids=["pipe", "journal-like-socket"])
def test_a_standard_error_that_nobody_reads_holds_up_no_freeze(agent, filesystems, pair):
    mount_point = filesystems.add("one")
    read_end, write_end = [end if isinstance(end, int) else end.detach() for end in pair()]
    with started(agent, "-v", stderr=write_end):
        os.close(write_end)
        window = Window(agent, mount_point)
        text = read_all(read_end, lambda data: b"THAWED: " in data)
        window.assert_told_by(text)
    os.close(read_end)


PRIVATE_DEV = """
mount -t tmpfs tmpfs "$0" && cp -ax /dev/. "$0" && rm -f "$0/log" && ln -s "$1" "$0/log" &&
mount --bind "$0" /dev && shift && exec "$@"
"""


def test_a_syslog_that_does_not_read_holds_up_no_freeze(agent, filesystems, tmp_path):
    mount_point = filesystems.add("one")
    place = tmp_path / "dev"
    place.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "log.sock"))
        receiver.settimeout(TIMEOUT)
        agent.log_path = Path("syslog")  # not a file: the word
        agent.start(prefix=["unshare", "-m", "--propagation", "private", "sh", "-c", PRIVATE_DEV,
                            place, tmp_path / "log.sock"])
        window = Window(agent, mount_point)
        text = ""
        while "THAWED: " not in text:
            text += receiver.recv(65536).decode() + "\n"
        window.assert_told_by(text)


def test_beyond_the_memory_bound_the_oldest_lines_of_the_hold_go_and_are_counted(
        agent, filesystems):
    mount_point = filesystems.add("one")
    agent.log_path = mount_point / "agent.log"  # on the filesystem that is frozen
    agent.start()
    ask_many(agent, 1)
    assert freeze(agent, mount_point) == 1
    size = agent.log_path.stat().st_size
    ask_many(agent, 8000)
    assert agent.log_path.stat().st_size == size
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log("window intact")
    lost = sum(int(n) for n in re.findall(r"warning log: (\d+) older lines were lost", agent.log))
    asked = [int(n) for n in re.findall(r'"id": *(\d+)', agent.log)]
    kept = asked[1:]
    assert asked[0] == 0 and kept == list(range(8000 - len(kept), 8000))
    # Two lines a request, and some about the freeze, which was before.
    assert 2 * (8000 - len(kept)) - 1 <= lost <= 2 * (8000 - len(kept)) + 20
    assert lost > 1000
