# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to the guest while it is frozen: disks that go away, filesystems that come, clocks
that jump, a virtual machine that stands still."""

import re
import time

import pytest
from guest import MOUNT_POINTS
from waiting import wait_until

HOUR = 3600
# The disks sda, sdb and sdc of the workshop, by type and SCSI id.
REMOVABLE = ("ext4", "xfs", "btrfs")


@pytest.fixture(name="guest", scope="module")
def guest_with_disks_to_lose(workshop_guest):
    workshop_guest.shell("""
        mkdir -p /gone/ext4 /gone/xfs /gone/btrfs
        /usr/sbin/mke2fs -q -F -t ext4 /dev/sda
        mkfs.xfs -q -f /dev/sdb
        mkfs.btrfs -q -f /dev/sdc >/dev/null
        /usr/sbin/mke2fs -q -F -t ext4 /dev/sdd""")
    return workshop_guest


@pytest.fixture(name="agent")
def connected_agent(guest):
    """A host; whatever a test does, it leaves the guest thawed."""
    with guest.agent() as agent:
        agent.sync()
        yield agent
        if agent.call("guest-fsfreeze-status") != "thawed":
            agent.call("guest-fsfreeze-thaw", timeout=120)


def write_everywhere(guest):
    guest.shell("\n".join(
        f"dd if=/dev/zero of={mount_point}/probe bs=4k count=1 conv=fsync status=none || exit 1"
        for mount_point in MOUNT_POINTS))


def is_frozen(agent):
    return agent.call("guest-fsfreeze-status") == "frozen"


def test_a_filesystem_mounted_during_the_hold_is_told_as_not_covered(guest, agent):
    agent.call("quiesce-freeze", timeout=120)
    guest.shell("mount -t ext4 /dev/sdd /gone/ext4")
    reply = agent.call("quiesce-thaw", timeout=120)
    guest.shell("umount /gone/ext4")
    assert reply["count"] == len(MOUNT_POINTS)
    assert [(entry["mountpoint"], entry["device"]) for entry in reply["not-covered"]] == \
        [("/gone/ext4", "/dev/sdd")]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_stepped_clock_moves_no_hold_timeout(guest, agent, step):
    before = time.time()
    try:
        agent.call("quiesce-freeze", timeout=120, hold_timeout_ms=4000)
        began = time.monotonic()
        guest.shell(f"date -u -s @$(($(date +%s) + {step})) >/dev/null")
        assert is_frozen(agent)
        wait_until(lambda: not is_frozen(agent), "the hold-timeout", 60)
        assert time.monotonic() - began > 3
        with pytest.raises(Exception, match="hold-timeout"):
            agent.call("guest-fsfreeze-thaw")
        write_everywhere(guest)
    finally:
        guest.shell(f"date -u -s @{int(before)} >/dev/null")


def test_a_machine_that_stood_still_stays_frozen_and_thaws(guest, agent):
    """The guest sees no time pass: its hold goes on where it was, and ends where it should."""
    agent.call("quiesce-freeze", timeout=120, hold_timeout_ms=5000)
    with guest.qmp() as qmp:
        qmp.call("stop")
        time.sleep(6)
        qmp.call("cont")
    resumed = time.monotonic()
    assert is_frozen(agent)
    wait_until(lambda: not is_frozen(agent), "the hold-timeout", 60)
    assert 2 < time.monotonic() - resumed < 10  # no more than 3 s of its 5 had passed before
    with pytest.raises(Exception, match="hold-timeout"):
        agent.call("guest-fsfreeze-thaw")
    write_everywhere(guest)


def test_a_removed_disk_keeps_nobody_from_being_thawed(guest, agent):
    guest.shell("\n".join(f"mount -t {fs_type} /dev/{disk} /gone/{fs_type} && "
                          f"echo data >/gone/{fs_type}/file"
                          for fs_type, disk in zip(REMOVABLE, ("sda", "sdb", "sdc"))))
    assert agent.call("quiesce-freeze", timeout=120)["count"] == len(MOUNT_POINTS) + 3
    guest.shell("for disk in sda sdb sdc; do echo 1 >/sys/block/$disk/device/delete; done")
    wait_until(lambda: guest.run("ls /sys/block | grep -q 'sd[abc]'")[0] != 0, "they are gone")
    assert is_frozen(agent)
    reply = agent.call("quiesce-thaw", timeout=120)
    assert {entry["outcome"] for entry in reply["filesystems"]} == {"thawed"}
    write_everywhere(guest)
    told = re.findall(r"the device of (\S+) .* was removed during the hold", guest.agent_log())
    assert sorted(told) == sorted(f"/gone/{fs_type}" for fs_type in REMOVABLE)
    # What is left of them is no reason not to freeze the others.
    reply = agent.call("quiesce-freeze", timeout=120)
    assert {entry["mountpoint"] for entry in reply["filesystems"]} == set(MOUNT_POINTS)
    reasons = {entry["mountpoint"]: entry["reason"] for entry in reply["skipped"]}
    assert reasons["/gone/ext4"] == reasons["/gone/xfs"] == "its device was removed"
    # btrfs has turned itself read-only.
    assert reasons["/gone/btrfs"] == "mounted read-only"
    assert agent.call("quiesce-thaw", timeout=120)["count"] == reply["count"]
