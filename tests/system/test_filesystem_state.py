# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the readers of superblocks say of real filesystems of this machine's kernel: unmounted, in
use, frozen. Images are copied, and the copies read, as a snapshot would be."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from filesystems import MKFS, Filesystems, run

BUILD = Path(os.environ.get("QUIESCED_BUILD", Path(__file__).resolve().parents[2] / "build"))
READ_STATE = BUILD / "tests" / "system" / "read-state"
ROUNDS = int(os.environ.get("QUIESCED_STATE_ROUNDS", "50"))
BOUND_BYTES = 2 << 20  # a log whose records are padded to 256 KiB comes near it

VARIANTS = {
    "ext3": (["mkfs.ext3", "-qF"], "64M"),
    "ext4": (["mkfs.ext4", "-qF"], "64M"),
    "ext4-no-csum": (["mkfs.ext4", "-qF", "-O", "^metadata_csum"], "64M"),
    "ext4-1k": (["mkfs.ext4", "-qF", "-b", "1024"], "64M"),
    "ext4-orphan-file": (["mkfs.ext4", "-qF", "-O", "orphan_file"], "64M"),
    "ext4-large": (["mkfs.ext4", "-qF", "-E", "lazy_itable_init=1", "-J", "size=1024"], "8G"),
    "xfs": (["mkfs.xfs", "-qf"], "320M"),
    "xfs-1k": (["mkfs.xfs", "-qf", "-b", "size=1024"], "320M"),
    "xfs-4k-sectors": (["mkfs.xfs", "-qf", "-s", "size=4096"], "320M"),
    "xfs-lsunit": (["mkfs.xfs", "-qf", "-l", "su=256k"], "320M"),
    "xfs-large-log": (["mkfs.xfs", "-qf", "-l", "size=512m"], "4G"),
    "btrfs": (["mkfs.btrfs", "-qf"], "128M"),
    "btrfs-sha256": (["mkfs.btrfs", "-qf", "--csum", "sha256"], "128M"),
}


def read_states(*images):
    result = subprocess.run([READ_STATE, *images], capture_output=True, text=True, check=True)
    assert int(result.stderr.split()[0]) < BOUND_BYTES * len(images), result.stderr
    return json.loads(result.stdout)


def copy(image):
    """The image at one moment, as near as copying comes to it."""
    snapshot = image.with_suffix(".copy")
    run("cp", "--sparse=always", image, snapshot)
    return snapshot


def state_of(image):
    states = read_states(copy(image))
    assert len(states) == 1, states
    return states[0]


def make(filesystems, mkfs, size, name="fs"):
    image = filesystems.directory / f"{name}.img"
    run("truncate", "-s", size, image)
    run(*mkfs, image)
    return image


def write(mount, rounds=20):
    for number in range(rounds):
        with open(mount / f"file{number}", "wb") as file:
            file.write(os.urandom(8192))
            file.flush()
            os.fsync(file.fileno())


class Load:
    """Processes that create, fsync and rename files without end."""

    SCRIPT = """
import os, sys
number = 0
while True:
    number += 1
    with open(f"{sys.argv[1]}/new", "wb") as file:
        file.write(b"x" * 5000)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{sys.argv[1]}/new", f"{sys.argv[1]}/old{number % 100}")
"""

    def __init__(self, mount):
        self.processes = []
        for number in range(2):
            directory = mount / f"load{number}"
            directory.mkdir()
            self.processes.append(subprocess.Popen(["/usr/bin/python3", "-c", self.SCRIPT,
                                                    directory]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_filesystem_is_quiet_frozen_and_unmounted_and_in_use_otherwise(variant):
    with Filesystems() as filesystems:
        image = make(filesystems, *VARIANTS[variant])
        assert state_of(image)["state"] == "quiet"
        mount = filesystems.mount(image, "fs", "-o", "loop")
        run("fsfreeze", "-f", mount)
        frozen = state_of(image)
        run("fsfreeze", "-u", mount)
        assert frozen["state"] == "quiet" and not frozen["unmounted"], frozen
        write(mount)
        live = state_of(image)
        assert live["state"] == "in use", live
        run("fsfreeze", "-f", mount)
        frozen = state_of(image)
        again = state_of(image)
        run("fsfreeze", "-u", mount)
        assert frozen["state"] == "quiet" and not frozen["unmounted"], frozen
        assert again["generation"] == frozen["generation"]
        write(mount)
        run("umount", mount)
        unmounted = state_of(image)
        assert unmounted["state"] == "quiet", unmounted
        assert unmounted["unmounted"] == variant.startswith("xfs"), unmounted


@pytest.mark.parametrize("fs_type", ["ext4", "xfs", "btrfs"])
def test_fifty_of_fifty_frozen_under_load_are_quiet_and_fifty_live_in_use(fs_type):
    with Filesystems(guard_seconds=300) as filesystems:
        image = make(filesystems, *MKFS[fs_type])
        mount = filesystems.mount(image, "fs", "-o", "loop")
        with Load(mount):
            write(mount)
            for number in range(ROUNDS):
                live = state_of(image)
                assert live["state"] == "in use", (number, live)
                run("fsfreeze", "-f", mount)
                frozen = state_of(image)
                run("fsfreeze", "-u", mount)
                assert frozen["state"] == "quiet", (number, frozen)
                write(mount, rounds=2)


def test_orphans_are_told_and_do_not_count():
    with Filesystems() as filesystems:
        image = make(filesystems, *VARIANTS["ext4"])
        mount = filesystems.mount(image, "fs", "-o", "loop")
        with open(mount / "deleted", "wb") as file:
            file.write(b"x")
            os.unlink(mount / "deleted")
            run("fsfreeze", "-f", mount)
            frozen = state_of(image)
            run("fsfreeze", "-u", mount)
        assert frozen["state"] == "quiet", frozen
        assert "deleted but open" in frozen["facts"]["orphans"]


@pytest.mark.parametrize("mkfs", [["mkfs.ext2", "-qF"], ["mkfs.ext4", "-qF", "-O", "^has_journal"]])
def test_without_a_journal_nothing_is_known_once_it_was_mounted(mkfs):
    with Filesystems() as filesystems:
        image = make(filesystems, mkfs, "64M")
        assert state_of(image)["state"] == "quiet"
        mount = filesystems.mount(image, "fs", "-o", "loop")
        write(mount)
        assert state_of(image)["state"] == "unknown"
        run("fsfreeze", "-f", mount)
        frozen = state_of(image)
        run("fsfreeze", "-u", mount)
        assert frozen["state"] == "unknown" and frozen["remedy"], frozen
        run("umount", mount)
        assert state_of(image)["state"] == "quiet"


def test_a_journal_or_log_elsewhere_is_reported_as_such():
    with Filesystems() as filesystems:
        journal = filesystems.directory / "journal"
        run("truncate", "-s", "128M", journal)
        loop = run("losetup", "-f", "--show", journal).strip()
        try:
            run("mke2fs", "-qF", "-b", "4096", "-O", "journal_dev", loop)
            image = make(filesystems, ["mkfs.ext4", "-qF", "-b", "4096", "-J", f"device={loop}"],
                         "64M")
            assert state_of(image)["state"] == "unknown"
            assert "another device" in state_of(image)["because"]
        finally:
            run("losetup", "-d", loop)
        image = make(filesystems, ["mkfs.xfs", "-qf", "-l", f"logdev={journal},size=64m"], "320M",
                     "xfs")
        assert "another device" in state_of(image)["because"]


@pytest.mark.parametrize("fs_type, offset", [("ext4", 1024 + 0x80), ("xfs", 300),
                                             ("btrfs", 65536 + 300)])
def test_a_damaged_superblock_is_unknown_and_said_to_be(fs_type, offset):
    with Filesystems() as filesystems:
        image = make(filesystems, *MKFS[fs_type])
        with open(image, "r+b") as file:
            file.seek(offset)
            file.write(b"\xff")
        state = state_of(image)
        assert state["state"] == "unknown" and "checksum" in state["because"], state


@pytest.mark.parametrize("profile", ["single", "raid1"])
def test_a_btrfs_of_two_devices_is_one_filesystem(profile):
    with Filesystems() as filesystems:
        images = [filesystems.directory / f"{name}.img" for name in ("a", "b")]
        for image in images:
            run("truncate", "-s", "256M", image)
        loops = [run("losetup", "-f", "--show", image).strip() for image in images]
        try:
            run("mkfs.btrfs", "-qf", "-d", profile, "-m", profile, *loops)
            mount = filesystems.mount(loops[0], "fs", "-o", f"device={loops[1]}")
            write(mount)
            live = read_states(*map(copy, images))
            run("fsfreeze", "-f", mount)
            copies = list(map(copy, images))
            run("fsfreeze", "-u", mount)
            write(mount)
            run("umount", mount)
            assert [state["state"] for state in live] == ["in use"], live
            frozen = read_states(*copies)
            assert [state["state"] for state in frozen] == ["quiet"], frozen
            assert frozen[0]["volume"] == "a.copy, b.copy"
            alone = read_states(copies[0])
            assert alone[0]["state"] == "unknown" and "device 2 (" in alone[0]["because"], alone
            mixed = read_states(images[0], copies[1])
            assert "not of one moment" in mixed[0]["because"], mixed
        finally:
            for loop in loops:
                run("losetup", "-d", loop)


def test_an_xfs_log_that_went_round_is_read_over_its_end():
    with Filesystems() as filesystems:
        image = make(filesystems, MKFS["xfs"][0], "320M")
        mount = filesystems.mount(image, "fs", "-o", "loop,logbsize=256k")
        for _ in range(60):
            live = state_of_log(image)
            if live >= 2:
                break
            write_names(mount)
        assert live >= 2, "the log never went round"
        write(mount)
        assert state_of(image)["state"] == "in use"
        run("fsfreeze", "-f", mount)
        frozen = state_of(image)
        run("fsfreeze", "-u", mount)
        assert frozen["state"] == "quiet", frozen


def write_names(mount):
    """Fills the log: directories' blocks and inodes are what it holds."""
    directory = mount / "names"
    directory.mkdir(exist_ok=True)
    for number in range(4000):
        (directory / (f"{number:08}" * 20)).touch()
    run("sync", "-f", mount)
    shutil.rmtree(directory)
    run("sync", "-f", mount)


def state_of_log(image):
    return read_states(image)[0]["generation"] >> 32
