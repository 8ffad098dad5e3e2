# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe inspect on images that the real tools made, and that the kernel has in use."""

import os
import shutil
import subprocess

import pytest
from filesystems import Filesystems, run
from probe import ERROR, FROZEN, NOT_FROZEN, UNPROVEN
from probe import run as probe
from wire import wait_until

MIB = 1 << 20
SIZES = {"ext4": 8 * MIB, "xfs": 310 * MIB, "btrfs": 120 * MIB}
LVM_CONFIG = """devices {{ use_devicesfile = 0 filter = [ {accepted} "r|.*|" ] }}
activation {{ udev_sync = 0 udev_rules = 0 monitoring = 0 }}
backup {{ backup = 0 archive = 0 }}"""


def blank(path, size):
    run("truncate", "-s", size, path)
    return path


def made(path, fs_type, size=None):
    blank(path, size or SIZES[fs_type])
    run(f"mkfs.{fs_type}", "-q", path)
    return path


def put(image, part, offset):
    """Copies one file into another, holes left out."""
    run("dd", f"if={part}", f"of={image}", "bs=64K", f"seek={offset}", "oflag=seek_bytes",
        "conv=notrunc,sparse")


def partitioned(path, size, script):
    blank(path, size)
    subprocess.run(["sfdisk", "-q", path], input=script, text=True, check=True)
    return path


def inspect(*images):
    return probe("inspect", "--json", *images)


def found(result):
    """The volumes with a filesystem or something that hides one, and their types."""
    return {entry["volume"]: entry.get("type") for entry in result.json["disk-filesystems"]}


def test_filesystems_in_partitions_are_found_and_judged(tmp_path):
    disk = partitioned(tmp_path / "disk", 500 * MIB,
                       "label: gpt\n2048,16384\n20480,634880\n655360,245760\n,2048,S\n")
    for fs_type, sector in (("ext4", 2048), ("xfs", 20480), ("btrfs", 655360)):
        put(disk, made(tmp_path / fs_type, fs_type), sector * 512)
    result = inspect(disk)
    assert result.status == FROZEN, result
    assert found(result) == {"disk1": "ext4", "disk2": "xfs", "disk3": "btrfs"}
    assert [entry["volume"] for entry in result.json["other-volumes"]] == ["disk4"]
    assert result.json["images"][0]["bytes-read"] < 4 * MIB


def test_logical_partitions_of_an_mbr_are_found(tmp_path):
    disk = partitioned(tmp_path / "disk", 64 * MIB,
                       "label: dos\n2048,2048\n4096,,5\n6144,2048\n10240,20480\n")
    put(disk, made(tmp_path / "ext4", "ext4"), 10240 * 512)
    result = inspect(disk)
    assert result.status == FROZEN, result
    assert found(result) == {"disk6": "ext4"}


class VolumeGroup:
    """LVM's own tools write the metadata; only to activate volumes they would need the kernel."""

    def __init__(self, folder, name="quiescedtest"):
        self.name = name
        self.images = [blank(folder / f"pv{number}", 64 * MIB) for number in range(2)]
        self.backup = folder / "backup"

    def create(self, logical_volumes):
        loops = [run("losetup", "-f", "--show", image).strip() for image in self.images]
        accepted = " ".join(f'"a|^{loop}$|",' for loop in loops)
        config = ("--config", LVM_CONFIG.format(accepted=accepted))
        try:
            run("lvm", "vgcreate", *config, "-s", "1M", self.name, *loops)
            run("lvm", "vgcfgbackup", *config, "-f", self.backup, self.name)
            text = self.backup.read_text()
            end = text.rindex("}")
            self.backup.write_text(f"{text[:end]}logical_volumes {{\n{logical_volumes}}}\n}}\n")
            run("lvm", "vgcfgrestore", *config, "-f", self.backup, self.name)
        finally:
            for loop in loops:
                run("losetup", "-d", loop)
        return self.images


def logical_volume(name, uuid, *segments):
    """segments: (first extent, number of extents, [(physical volume, extent), ...])"""
    text = "".join(
        f"segment{number} {{ start_extent = {start} extent_count = {count} type = \"striped\" "
        f"stripe_count = {len(places)} stripe_size = 128 stripes = "
        f"[ {', '.join(f'{chr(34)}{pv}{chr(34)}, {extent}' for pv, extent in places)} ] }}\n"
        for number, (start, count, places) in enumerate(segments, 1))
    return (f"{name} {{ id = \"{uuid * 6}-{uuid * 4}-{uuid * 4}-{uuid * 4}-{uuid * 4}-{uuid * 4}-"
            f"{uuid * 6}\" status = [\"READ\", \"WRITE\", \"VISIBLE\"] flags = [] "
            f"segment_count = {len(segments)}\n{text}}}\n")


ROOT = logical_volume("root", "R", (0, 3, [("pv1", 20)]), (3, 5, [("pv0", 7)]))
STRIPED = logical_volume("fast", "S", (0, 4, [("pv0", 30), ("pv1", 30)]))


@pytest.fixture(name="group")
def volume_group(tmp_path):
    if not shutil.which("lvm"):
        pytest.skip("lvm is not installed (package lvm2)")
    return VolumeGroup(tmp_path)


def fill_root(images, filesystem):
    """In its two segments; LVM keeps the first MiB of each disk."""
    run("dd", f"if={filesystem}", f"of={images[1]}", "bs=1M", "count=3", "seek=21", "conv=notrunc")
    run("dd", f"if={filesystem}", f"of={images[0]}", "bs=1M", "skip=3", "seek=8", "conv=notrunc")


def test_a_logical_volume_across_disks_is_read_in_any_order(tmp_path, group):
    images = group.create(ROOT)
    fill_root(images, made(tmp_path / "ext4", "ext4"))
    for order in (images, images[::-1]):
        result = inspect(*order)
        assert result.status == FROZEN, result
        assert found(result) == {"quiescedtest/root": "ext4"}


def test_what_lvm_stripes_is_named_and_keeps_the_verdict_open(tmp_path, group):
    images = group.create(ROOT + STRIPED)
    fill_root(images, made(tmp_path / "ext4", "ext4"))
    result = inspect(*images)
    assert result.status == UNPROVEN, result
    assert found(result) == {"quiescedtest/root": "ext4", "quiescedtest/fast": "LVM2_member"}
    assert "striped" in result.piece("disk")["summary"]


def test_a_missing_disk_of_a_group_is_asked_for(tmp_path, group):
    images = group.create(ROOT)
    result = inspect(images[0])
    assert result.status == UNPROVEN, result
    assert "not among the disks given" in result.piece("disk")["summary"]


@pytest.mark.parametrize("fs_type", SIZES)
def test_a_mounted_filesystem_is_in_use_until_it_is_frozen_or_unmounted(fs_type):
    with Filesystems() as filesystems:
        mount_point = filesystems.add(fs_type, fs_type)
        image = filesystems.directory / f"{fs_type}.img"

        def write():
            with open(mount_point / "file", "ab", buffering=0) as file:
                file.write(b"x" * 4096)
                os.fsync(file.fileno())

        for _ in range(4):
            write()
            live = inspect(image)
            run("fsfreeze", "-f", mount_point)
            frozen = inspect(image)
            run("fsfreeze", "-u", mount_point)
            assert live.status == NOT_FROZEN, live
            assert live.json["consistency"] == "crash-consistent"
            assert frozen.status == FROZEN, frozen
            assert frozen.json["consistency"] == "filesystem-consistent"
        wait_until(lambda: subprocess.run(["umount", mount_point], check=False).returncode == 0,
                   "unmounted")
        assert inspect(image).status == FROZEN


def test_one_disk_in_use_decides_for_all(tmp_path):
    with Filesystems() as filesystems:
        mount_point = filesystems.add("srv", "ext4")
        (mount_point / "file").write_text("x")
        result = inspect(made(tmp_path / "ext4", "ext4"), filesystems.directory / "srv.img")
        assert result.status == NOT_FROZEN, result
        assert "srv.img" in result.piece("disk")["summary"]


def test_an_empty_image_proves_nothing(tmp_path):
    result = probe("inspect", blank(tmp_path / "disk", MIB))
    assert result.status == UNPROVEN
    assert "blank" in result.output and "remedy: " in result.output
    assert result.output.splitlines()[-1].startswith("verdict   UNPROVEN")


@pytest.mark.parametrize("arguments, complaint", [
    (["/nonexistent/image"], "/nonexistent/image"),
    ([], "no image given"),
    (["--socket", "x", "image"], "Unknown option --socket"),
])
def test_what_cannot_be_opened_is_an_error(arguments, complaint):
    result = probe("inspect", *arguments)
    assert result.status == ERROR
    assert complaint in result.errors
