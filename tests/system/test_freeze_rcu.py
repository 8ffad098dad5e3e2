# SPDX-License-Identifier: LGPL-2.1-or-later
"""/sys/kernel/rcu_expedited is the whole machine's: turned for the freeze alone and put back on
every path. It is on for milliseconds; a device that stalls makes that long enough to look at."""

import os
import signal
from pathlib import Path

import pytest
from agent import TIMEOUT, wait_until
from filesystems import is_writable
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)
from test_freeze_faults import stalling_fixture  # noqa: F401 (fixture)

RCU = Path("/sys/kernel/rcu_expedited")
# For an agent in a mount namespace of its own.
READ_ONLY = f"mount --bind {RCU} {RCU} && mount -o remount,bind,ro {RCU}"
MISSING = f"mount -t tmpfs tmpfs {RCU.parent}"

pytestmark = pytest.mark.skipif(not RCU.exists(), reason=f"this kernel has no {RCU}")


def wait_until_rcu_is(value, timeout=TIMEOUT):
    wait_until(lambda: RCU.read_text(encoding="utf-8").strip() == value, f"{RCU} is {value}",
               timeout)


@pytest.fixture(name="stalled")
def stalled_fixture(agent, stalling):
    """An agent whose freeze sleeps in FIFREEZE, with RCU expedited."""
    wait_until_rcu_is("0")
    agent.configure("[general]\n[freeze]\npre-sync-timeout=0.3\nfreeze-timeout=30\n")
    agent.start()
    stalling.stall_freezes()
    agent.host.request("guest-fsfreeze-freeze-list", mountpoints=[str(stalling.mount_point)])
    wait_until_rcu_is("1")
    yield stalling
    wait_until_rcu_is("0")
    wait_until(lambda: is_writable(stalling.mount_point), "nothing is frozen")


def test_a_killed_daemon_has_rcu_put_back_at_once(agent, stalled):
    agent.kill()
    agent.wait()
    wait_until_rcu_is("0")  # the freezer process does it; the call still sleeps
    stalled.release()


def test_a_killed_freezer_process_has_rcu_put_back(agent, stalled):
    os.kill(agent.freezer_pid(), signal.SIGKILL)
    wait_until_rcu_is("0")
    stalled.release()
    assert "died" in agent.host.receive_reply()["error"]["desc"]


def test_both_killed_at_once_have_rcu_put_back_by_the_next_start(agent, stalled):
    freezer = agent.freezer_pid()
    agent.kill(signal.SIGSTOP)  # or it would notice its freezer's end first
    os.kill(freezer, signal.SIGKILL)
    agent.kill()
    agent.wait()
    agent.hang_up()
    assert RCU.read_text(encoding="utf-8").strip() == "1"
    agent.start()
    wait_until_rcu_is("0")
    stalled.release()


def test_a_thaw_that_ends_the_freeze_puts_rcu_back(agent, stalled):
    with agent.connect() as second:
        second.request("guest-fsfreeze-thaw")
        wait_until_rcu_is("0", 5)  # long before the freezer process would be replaced as stuck
        assert "ended by a thaw command" in agent.host.receive_reply()["error"]["desc"]
    stalled.release()


def test_a_switch_that_was_on_stays_on(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    before = RCU.read_text(encoding="utf-8")
    try:
        RCU.write_text("1", encoding="utf-8")
        assert freeze(agent, mount_point) == 1
        assert RCU.read_text(encoding="utf-8").strip() == "1"
        assert agent.call("guest-fsfreeze-thaw") == 1
        assert RCU.read_text(encoding="utf-8").strip() == "1"
    finally:
        RCU.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("change,cause", [(READ_ONLY, "Read-only file system"),
                                          (MISSING, "No such file or directory")],
                         ids=["read-only", "missing"])
def test_without_the_switch_the_freeze_works_and_the_log_says_so(agent, filesystems, change, cause):
    mount_point = filesystems.add("one")
    agent.start(prefix=["unshare", "-m", "--propagation", "private", "sh", "-c",
                        f'{change} && exec "$@"', "sh"])
    assert freeze(agent, mount_point) == 1
    assert not is_writable(mount_point)
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log(r"warning freeze: cannot expedite RCU grace periods "
                       rf"\({RCU}: {cause}\): the freeze takes longer")
