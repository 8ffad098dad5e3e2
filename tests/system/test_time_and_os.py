# SPDX-License-Identifier: LGPL-2.1-or-later
"""Time, operating system, host name and time zone, beside the real qemu-ga."""

import os
import time

import pytest
from agent import QEMU_GA, Agent, CommandError

NS = 10**9


@pytest.fixture(name="agent")
def agent_fixture(tmp_path):
    with Agent(tmp_path) as agent:
        agent.start()
        yield agent


@pytest.fixture(name="peer")
def peer_fixture(tmp_path):
    if not QEMU_GA.exists():
        pytest.skip("qemu-ga is not installed")
    directory = tmp_path / "peer"
    directory.mkdir()
    with Agent(directory, QEMU_GA) as peer:
        peer.start()
        yield peer


@pytest.mark.parametrize("command", ["guest-get-osinfo", "guest-get-host-name",
                                     "guest-get-timezone"])
def test_the_answer_is_that_of_qemu_ga(agent, peer, command):
    assert agent.call(command) == peer.call(command)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "XYZ-3:30"])
def test_the_zone_and_its_offset_are_those_of_qemu_ga(agent, peer, zone):
    for one in (agent, peer):
        one.stop()
        one.socket_path.unlink(missing_ok=True)
        one.environment["TZ"] = zone
        one.start()
    answer = agent.call("guest-get-timezone")
    assert answer == peer.call("guest-get-timezone")
    assert answer["offset"] != 0


def test_the_time_is_now_in_nanoseconds(agent):
    before = time.time_ns()
    now = agent.call("guest-get-time")
    assert before <= now <= time.time_ns()


def test_a_time_given_by_the_host_is_set(agent):
    # The time that it is, so that nobody on this machine is disturbed.
    if os.path.exists("/dev/rtc0"):
        pytest.skip("this machine's hardware clock is not ours to set")
    assert agent.call("guest-set-time", time=time.time_ns()) == {}
    assert abs(agent.call("guest-get-time") - time.time_ns()) < 5 * NS
    agent.wait_for_log("system clock set by the host")
    agent.wait_for_log("no hardware clock")


@pytest.mark.parametrize("nanoseconds", [-1, 3187296000 * NS, 2**63 - 1])
def test_a_time_out_of_range_is_refused(agent, nanoseconds):
    with pytest.raises(CommandError, match="Invalid time"):
        agent.call("guest-set-time", time=nanoseconds)


def test_without_a_hardware_clock_the_time_cannot_be_taken_from_it(agent, peer):
    if os.path.exists("/dev/rtc0"):
        pytest.skip("this machine has a hardware clock")
    with pytest.raises(CommandError, match="has no hardware clock") as ours:
        agent.call("guest-set-time")
    with pytest.raises(CommandError) as theirs:
        peer.call("guest-set-time")
    assert ours.value.error_class == theirs.value.error_class
