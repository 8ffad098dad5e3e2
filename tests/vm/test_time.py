# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-set-time with a real hardware clock: only the guest's, and put right again afterwards."""

import time

import pytest

NS = 10**9


def hardware_clock(guest):
    return int(guest.shell("cat /sys/class/rtc/rtc0/since_epoch"))


def set_system_clock(guest, seconds):
    guest.shell(f"date -u -s @{seconds}")


@pytest.fixture(name="agent")
def agent_of_a_guest_whose_clocks_are_put_right_afterwards(guest):
    with guest.agent() as agent:
        agent.sync()
        yield agent
        agent.call("guest-set-time", time=time.time_ns())


def test_a_time_given_by_the_host_goes_to_both_clocks(guest, agent):
    wanted = 1900000000
    assert agent.call("guest-set-time", time=wanted * NS) == {}
    assert 0 <= agent.call("guest-get-time") - wanted * NS < 30 * NS
    assert 0 <= hardware_clock(guest) - wanted < 30


def test_without_a_value_the_system_clock_follows_the_hardware_clock(guest, agent):
    agent.call("guest-set-time", time=time.time_ns())
    set_system_clock(guest, 1000000000)
    assert agent.call("guest-get-time") < 1000000600 * NS
    assert agent.call("guest-set-time") == {}
    # The hardware clock shows whole seconds only; it is watched until it shows the next one, so the
    # system clock is not up to a second late.
    hardware, system = guest.shell(
        "first=$(cat /sys/class/rtc/rtc0/since_epoch)\n"
        "while second=$(cat /sys/class/rtc/rtc0/since_epoch); [ $second = $first ]; do :; done\n"
        "sleep 0.3; echo $second $(date +%s)"
    ).split()
    assert system == hardware
