# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe inspect on disks with more than a filesystem on them, made by the guest's own kernel:
a mirror, a partition, a volume in LUKS. What the host reads are the disks as they are while it runs."""

import json
import subprocess

import pytest
from waiting import wait_until

FROZEN, NOT_FROZEN, UNPROVEN = range(3)
# Disks a and b are a mirror, c is encrypted, e has partitions.
STACKS = """set -e
export DM_DISABLE_UDEV=1
mke2fs="/usr/sbin/mke2fs -q -F -t ext4"
mdadm --quiet --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 /dev/sda /dev/sdb
$mke2fs /dev/md0
printf secret | cryptsetup luksFormat -q --key-file=- --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/sdc
printf secret | cryptsetup open --key-file=- /dev/sdc vault
$mke2fs /dev/mapper/vault
printf ',64M\\n,64M\\n' | sfdisk -q -X gpt /dev/sde
$mke2fs /dev/sde2
for place in md0 mapper/vault sde2; do
    mkdir -p /stacks/$place
    mount -i -t ext4 /dev/$place /stacks/$place
    echo live >/stacks/$place/file
done
sync
"""
MOUNT_POINTS = ["/stacks/md0", "/stacks/mapper/vault", "/stacks/sde2"]


@pytest.fixture(name="guest", scope="module")
def guest_with_stacks(workshop_guest):
    workshop_guest.shell(STACKS, timeout=120)
    return workshop_guest


@pytest.fixture(name="inspect")
def inspect_disks(guest, probe):
    def inspect(*numbers):
        images = [guest.folder / f"blank{number}.raw" for number in numbers]
        result = subprocess.run([probe, "inspect", "--format", "raw", "--json", *images], capture_output=True,
                                text=True, timeout=60, check=False)
        assert result.returncode in (FROZEN, NOT_FROZEN, UNPROVEN), result.stderr
        return result.returncode, {row["volume"]: row for row in json.loads(result.stdout)["disk-filesystems"]}

    return inspect


@pytest.fixture(name="freeze")
def freezing(guest):
    """Freezes, and thaws at the end whatever comes."""
    with guest.agent() as agent:
        agent.sync()
        yield lambda: agent.call("guest-fsfreeze-freeze-list", mountpoints=MOUNT_POINTS, timeout=120)
        agent.call("guest-fsfreeze-thaw", timeout=120)


@pytest.mark.parametrize("disks", [(0,), (1,), (0, 1)], ids=["one-member", "other-member", "both"])
def test_a_mirror_is_read_by_any_member(inspect, freeze, disks):
    wait_until(lambda: inspect(*disks)[0] == NOT_FROZEN, "the live disks are called so")
    assert freeze() == 3
    verdict, found = inspect(*disks)
    assert verdict == FROZEN
    (row,) = found.values()
    assert row["type"] == "ext4" and row["state"] == "quiet"


def test_a_partition_is_found_in_its_table(inspect, freeze):
    # A reading of a disk that is being written to may be torn, which is no verdict.
    wait_until(lambda: inspect(4)[0] == NOT_FROZEN, "the live disk is called so")
    freeze()
    verdict, found = inspect(4)
    assert verdict == FROZEN and any(name.endswith("2") for name in found)


def test_what_is_encrypted_is_called_so_and_nothing_is_guessed(inspect, freeze):
    for act in (lambda: None, freeze):
        act()
        verdict, found = inspect(2)
        assert verdict == UNPROVEN
        (row,) = found.values()
        assert row["state"] == "unknown" and "LUKS" in json.dumps(row)
