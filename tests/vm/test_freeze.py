# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesced's own promises about a freeze: what its log tells, and that nothing stays frozen."""

import re
import time

import pytest
from guest import MOUNT_POINTS
from waiting import wait_until

# What an application needs to see again: a write that reaches the disk.
WRITE_EVERYWHERE = "\n".join(
    f"dd if=/dev/zero of={mount_point}/probe bs=4k count=1 conv=fsync status=none || exit 1"
    for mount_point in MOUNT_POINTS
)


@pytest.fixture(name="fresh")
def guest_with_a_fresh_agent(guest):
    """A guest whose agent a test may kill; it leaves a thawed guest with a running agent."""
    yield guest
    guest.run("guest-agent stop")
    guest.shell("for mount in /srv/*; do fsfreeze --unfreeze $mount 2>/dev/null; done; true")
    guest.shell("guest-agent start quiesced")
    with guest.agent() as agent:
        agent.sync()


def freeze(guest):
    with guest.agent() as agent:
        agent.sync()
        assert agent.call("guest-fsfreeze-freeze", timeout=120) == 4


def seconds_until_writable(guest, command):
    """Runs the command in the guest, then writes to each filesystem; how long all of it took by
    the guest's clock."""
    output = guest.shell(
        "read -r start _ </proc/uptime\n"
        f"{command}\n{WRITE_EVERYWHERE}\n"
        "read -r end _ </proc/uptime\n"
        "echo $start $end"
    )
    start, end = map(float, output.split())
    return end - start


def test_the_log_tells_each_filesystems_times(guest):
    with guest.agent() as agent:
        agent.sync()
        agent.call("guest-fsfreeze-freeze", timeout=120)
        time.sleep(0.2)
        agent.call("guest-fsfreeze-thaw")
    log = guest.agent_log()
    frozen = dict(re.findall(r"frozen: (\S+) .*pre-sync [\d.]+ ms, freeze ([\d.]+) ms", log))
    held = dict(re.findall(r"thawed: (\S+) .*frozen for ([\d.]+) ms, thaw [\d.]+ ms", log))
    assert set(frozen) == set(held) == set(MOUNT_POINTS)
    assert all(float(freeze_ms) > 0 for freeze_ms in frozen.values())
    assert all(float(held_ms) >= 200 for held_ms in held.values())


def test_the_log_of_the_hold_is_written_after_the_thaw_with_its_own_times(guest):
    with guest.agent() as agent:
        agent.sync()
        agent.call("guest-fsfreeze-freeze", timeout=120)
        lines_held = len(guest.shell("cat /run/agent.log").splitlines())
        for _ in range(5):
            agent.call("guest-ping")
        assert len(guest.shell("cat /run/agent.log").splitlines()) == lines_held
        agent.call("guest-fsfreeze-thaw")
        agent.call("guest-ping")
    log = wait_until(
        lambda: re.findall(r"^(\S+Z) .*guest-ping", "\n".join(
            guest.shell("cat /run/agent.log").splitlines()[lines_held:]), re.MULTILINE),
        "the log catches up")
    assert len(log) >= 5
    assert log == sorted(log)


def test_a_nested_filesystem_freezes_before_the_one_that_it_lies_on(guest):
    freeze(guest)
    with guest.agent() as agent:
        agent.sync()
        agent.call("guest-fsfreeze-thaw")
    log = guest.agent_log()
    waves = dict(re.findall(r"frozen: (\S+) .*wave (\d+)", log))
    assert int(waves["/srv/nested"]) < int(waves["/srv/ext4"])


def test_a_daemon_killed_while_frozen_leaves_everything_writable_within_a_second(fresh):
    freeze(fresh)
    assert seconds_until_writable(fresh, "kill -9 $(guest-agent pid)") < 1


def test_a_killed_qemu_ga_leaves_the_guest_frozen(peer_guest):
    # The control for the test above: that the writes do block, and that nothing else thaws.
    freeze(peer_guest)
    peer_guest.shell("kill -9 $(guest-agent pid)")
    peer_guest.shell(f"cd /run; cat >writes <<'END'\n{WRITE_EVERYWHERE}\nEND\n"
                     "sh writes </dev/null >/dev/null 2>&1 &\necho $! >writes.pid")
    time.sleep(2)
    peer_guest.shell("kill -0 $(cat /run/writes.pid)")
    peer_guest.shell("for mount in /srv/ext4 /srv/xfs /srv/btrfs /srv/nested; do "
                     "fsfreeze --unfreeze $mount || exit 1; done")
    wait_until(lambda: peer_guest.run("kill -0 $(cat /run/writes.pid)")[0] != 0, "the writes end")


def test_a_freezer_killed_while_frozen_leaves_everything_writable_within_a_second(fresh):
    freeze(fresh)
    children = "$(cat /proc/$(guest-agent pid)/task/$(guest-agent pid)/children)"
    assert seconds_until_writable(fresh, f"kill -9 {children}") < 1
    with fresh.agent() as agent:
        agent.sync()
        assert agent.call("guest-fsfreeze-freeze") == 4
        assert agent.call("guest-fsfreeze-thaw") == 4


def test_with_daemon_and_freezer_killed_the_next_start_thaws(fresh):
    freeze(fresh)
    fresh.shell(
        "pid=$(guest-agent pid)\nkill -9 $pid $(cat /proc/$pid/task/$pid/children)")
    fresh.shell("guest-agent start quiesced")
    with fresh.agent() as agent:
        agent.sync()
        wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "it has thawed")
    fresh.shell(WRITE_EVERYWHERE)


def test_a_host_that_never_thaws_is_thawed_at_the_hold_timeout(guest):
    with guest.agent() as agent:
        agent.sync()
        reply = agent.call("quiesce-freeze", timeout=120, hold_timeout_ms=500)
        assert len(reply["filesystems"]) == 4
        wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "it thaws by itself")
    guest.shell(WRITE_EVERYWHERE)
