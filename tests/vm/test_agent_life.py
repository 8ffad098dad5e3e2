# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's life in the guest: asleep, restarted, its port gone and back."""

import time

import pytest
from waiting import wait_until

PORT = "/dev/virtio-ports/org.qemu.guest_agent.0"


def wakeups(guest):
    """How often the agent's processes have slept and been woken so far."""
    listed = guest.shell(
        "pid=$(guest-agent pid)\n"
        "for process in $pid $(cat /proc/$pid/task/$pid/children); do\n"
        "grep ^voluntary_ctxt_switches /proc/$process/status; done"
    )
    return sum(int(line.split()[1]) for line in listed.splitlines())


def wakeups_within(guest, seconds):
    start = wakeups(guest)
    time.sleep(seconds)
    return wakeups(guest) - start


def ping(guest, timeout=30):
    with guest.agent() as agent:
        agent.sync(timeout)
        assert agent.call("guest-ping") == {}


@pytest.fixture(name="running")
def agent_runs_again_afterwards(guest):
    """A guest whose agent a test may stop and start."""
    yield guest
    guest.run("guest-agent stop")
    guest.shell("guest-agent start quiesced")
    ping(guest)


def test_with_no_host_connected_the_agent_sleeps(guest):
    ping(guest)
    wait_until(lambda: wakeups_within(guest, 0.5) == 0, "the agent goes to sleep")
    assert wakeups_within(guest, 5) == 0


def test_with_an_idle_host_connected_the_agent_sleeps(guest):
    with guest.agent() as agent:
        agent.sync()
        wait_until(lambda: wakeups_within(guest, 0.5) == 0, "the agent goes to sleep")
        assert wakeups_within(guest, 5) == 0
        assert agent.call("guest-ping") == {}


def test_wakeups_are_seen_where_there_are_some(peer_guest):
    # qemu-ga polls a port that no host has opened: what the two tests above measure does show.
    assert wakeups_within(peer_guest, 2) > 5


def test_a_restarted_agent_answers(running):
    ping(running)
    before = running.shell("guest-agent pid")
    running.shell("guest-agent stop")
    running.shell("guest-agent start quiesced")
    ping(running)
    assert running.shell("guest-agent pid") != before


def test_an_agent_that_was_away_answers_the_host_that_waited(running):
    running.shell("guest-agent stop")
    with running.agent() as agent:
        agent.send(b'\xff{"execute": "guest-ping"}\n')
        running.shell("guest-agent start quiesced")
        agent.sync()
        assert agent.call("guest-ping") == {}


def test_a_port_that_goes_and_comes_back_is_opened_again(running):
    running.shell("guest-agent stop")
    running.shell("guest-agent start quiesced --retry-path")
    ping(running)
    pid = running.shell("guest-agent pid")
    running.unplug_agent_port()
    running.shell(f"link-ports; ! test -e {PORT}")
    running.plug_agent_port()
    wait_until(lambda: running.run(f"link-ports; test -e {PORT}")[0] == 0, "the port is back")
    ping(running)
    assert running.shell("guest-agent pid") == pid
