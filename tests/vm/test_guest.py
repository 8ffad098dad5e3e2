# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host at the guest's agent port, across a real virtio-serial device and real disks."""

import time

import pytest
from guest import MOUNT_POINTS
from waiting import wait_until_all_grow
from wire import CommandError
from writers import Writers

DISKS = {"ext4", "xfs", "btrfs"}


@pytest.fixture(name="agent")
def connected_agent(any_guest):
    """A host connected to the agent; whatever a test does, it leaves the guest thawed."""
    with any_guest.agent() as agent:
        agent.sync()
        yield agent
        agent.call("guest-fsfreeze-thaw")


def wait_for_writes(guest):
    """Returns once every disk has completed a write more than now."""
    wait_until_all_grow(guest.write_counts, 1, "a write on each disk")


def test_the_guest_boots_and_answers_ping(any_guest, agent):
    assert any_guest.boot_seconds < 60
    assert agent.call("guest-ping") == {}


def test_freeze_and_thaw_count_four_filesystems(agent):
    assert agent.call("guest-fsfreeze-freeze") == 4
    assert agent.call("guest-fsfreeze-status") == "frozen"
    assert agent.call("guest-fsfreeze-thaw") == 4
    assert agent.call("guest-fsfreeze-status") == "thawed"


def test_no_disk_is_written_to_while_frozen(any_guest, agent):
    with Writers(any_guest) as writers:
        wait_for_writes(any_guest)
        assert agent.call("guest-fsfreeze-freeze", timeout=120) == 4
        held = any_guest.write_counts()
        assert set(held) == DISKS
        rounds = writers.rounds()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert any_guest.write_counts() == held
            time.sleep(0.1)
        # Each writer may have been past its last write, but not at its next one.
        assert all(count <= rounds[name] + 1 for name, count in writers.rounds().items())
        assert agent.call("guest-fsfreeze-thaw", timeout=120) == 4
        wait_for_writes(any_guest)
        writers.wait_for_progress()


def test_fsinfo_names_every_filesystem_and_the_disk_that_qemu_gave_it(any_guest, agent):
    with any_guest.qmp() as qmp:
        slots = {device["qdev_id"]: device["slot"]
                 for bus in qmp.call("query-pci") for device in bus["devices"]}
    by_mount_point = {entry["mountpoint"]: entry for entry in agent.call("guest-get-fsinfo")}
    assert set(by_mount_point) == set(MOUNT_POINTS)
    for fs_type in DISKS:
        entry = by_mount_point[f"/srv/{fs_type}"]
        assert entry["type"] == fs_type
        assert [disk["bus-type"] for disk in entry["disk"]] == ["virtio"]
        address = entry["disk"][0]["pci-controller"]
        assert address == {"domain": 0, "bus": 0, "slot": slots[f"disk-{fs_type}"], "function": 0}


def test_a_host_that_comes_and_goes_is_answered_each_time(any_guest):
    # A request may reach the guest before the word that its sender is there does.
    for _ in range(200):
        with any_guest.agent() as agent:
            agent.sync(timeout=10)


def test_half_a_request_left_behind_does_not_disturb_the_next_host(any_guest):
    with any_guest.agent() as agent:
        agent.sync()
        agent.send(b'{"execute": "guest-fsfreeze-fre')
    with any_guest.agent() as agent:
        agent.sync()
        assert agent.call("guest-fsfreeze-status") == "thawed"


def test_an_unknown_command_is_an_error_of_its_own_class(agent):
    with pytest.raises(CommandError) as raised:
        agent.call("guest-nope")
    assert raised.value.error_class == "CommandNotFound"
