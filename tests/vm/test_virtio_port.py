# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that misbehave on a real virtio port: they stop reading, or leave in the middle."""

import json
import socket
import time

from waiting import wait_until

INFO = b'{"execute": "guest-info"}\n'
STALL_TIMEOUT = 30


def flood(agent):
    """Sends requests, reading no reply, until nothing more is taken for a while."""
    stream = agent.stream
    stream.settimeout(5)
    try:
        while True:
            stream.sendall(INFO * 20)
    except TimeoutError:
        pass


def log_count(guest, text):
    """How often the agent's log, which a flood makes too long to be fetched, has the text."""
    return int(guest.run(f"grep -c '{text}' /run/agent.log")[1])


def is_at_rest(guest):
    before = log_count(guest, "guest-info")
    time.sleep(1)
    return log_count(guest, "guest-info") == before


def test_a_host_that_stops_reading_loses_its_replies_and_the_port_is_resynchronised(guest):
    with guest.agent() as agent:
        agent.sync()
        since = time.monotonic()
        flood(agent)
        wait_until(lambda: log_count(guest, "has read nothing") > 0, "the host is given up",
                   STALL_TIMEOUT * 3)
        assert time.monotonic() - since > STALL_TIMEOUT - 5

        # It comes back: reads what is left, among it a line cut in two, up to the delimiter.
        request = {"execute": "guest-sync-delimited", "arguments": {"id": 4711}}
        received = b""
        deadline = time.monotonic() + 120
        agent.stream.settimeout(1)
        asked = False
        while b"\xff" not in received:
            assert time.monotonic() < deadline, "no delimiter from the agent"
            try:
                received += agent.stream.recv(1 << 20)
            except (TimeoutError, socket.timeout):
                agent.stream.sendall(b"\xff" + json.dumps(request).encode() + b"\n")
                asked = True
        assert asked
        before, _, after = received.partition(b"\xff")
        assert before.endswith(b"\n")
        while b"\n" not in after:
            after += agent.stream.recv(4096)
        assert json.loads(after.partition(b"\n")[0]) == {"return": 4711}

    with guest.agent() as agent:
        agent.sync()
        assert agent.call("guest-ping") == {}


def test_replies_to_a_host_that_left_do_not_reach_the_next(guest):
    with guest.agent() as agent:
        agent.sync()
        gone = log_count(guest, "host disconnected")
        flood(agent)
    wait_until(lambda: log_count(guest, "host disconnected") > gone, "the host is gone")
    # What it had sent before is carried out yet: one of that may be a thaw.
    wait_until(lambda: is_at_rest(guest), "the agent is through with it")
    with guest.agent() as agent:
        agent.send(b'{"execute": "guest-sync", "arguments": {"id": 5}}')
        assert json.loads(agent.receive_line(60)) == {"return": 5}
