# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-get-fsinfo beside qemu-ga's, on loop-mounted filesystems of this machine's own kernel."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

import pytest
from agent import QEMU_GA, QUIESCED, Agent, wait_until
from filesystems import Filesystems, run

MNT_DETACH = 2


@pytest.fixture(name="filesystems")
def filesystems_fixture():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="agent")
def agent_fixture(tmp_path, filesystems):  # the filesystems outlive the agent
    directory = tmp_path / "quiesced"
    directory.mkdir()
    with Agent(directory) as agent:
        agent.start()
        yield agent


@pytest.fixture(name="qemu_ga")
def qemu_ga_fixture(tmp_path, filesystems):  # pylint: disable=unused-argument
    if not QEMU_GA.exists():
        pytest.skip("qemu-ga is not installed (package qemu-guest-agent)")
    directory = tmp_path / "qemu-ga"
    directory.mkdir()
    with Agent(directory, QEMU_GA) as agent:
        agent.start()
        yield agent


def fsinfo(agent, directory):
    """The entries of the mounts below a directory, for others come and go meanwhile."""
    return [entry for entry in agent.call("guest-get-fsinfo")
            if entry["mountpoint"].startswith(f"{directory}/")]


def root_disks(agent):
    root, = (entry for entry in agent.call("guest-get-fsinfo") if entry["mountpoint"] == "/")
    return root["disk"]


def without(entry, *members):
    return {name: value for name, value in entry.items() if name not in members}


def test_the_same_filesystems_are_listed_as_by_qemu_ga(agent, qemu_ga, filesystems):
    data = filesystems.add("ext4", "ext4")
    filesystems.add("xfs", "xfs")
    btrfs = filesystems.add("btrfs", "btrfs")
    run("btrfs", "subvolume", "create", btrfs / "sub")
    device = run("findmnt", "-no", "SOURCE", btrfs).strip()
    filesystems.mount(device, "subvolume", "-o", "subvol=sub")
    filesystems.mount(data, "bind", "--bind")
    filesystems.mount(filesystems.image("ext4", name="readonly"), "readonly", "-o", "loop,ro")
    filesystems.mount("tmpfs", "tmpfs", "-t", "tmpfs")
    (data / "payload").write_bytes(b"x" * 1_000_000)
    run("sync", "-f", data)

    ours = fsinfo(agent, filesystems.directory)
    theirs = fsinfo(qemu_ga, filesystems.directory)
    # Newer than 7.2 is the privileged size; the disks of loop files are told below.
    assert [without(entry, "disk", "total-bytes-privileged") for entry in ours] == \
        [without(entry, "disk", "total-bytes-privileged") for entry in theirs]
    assert {entry["mountpoint"].rpartition("/")[2] for entry in ours} == \
        {"ext4", "xfs", "btrfs", "subvolume", "bind", "readonly"}
    for entry in ours:
        size = os.statvfs(entry["mountpoint"])
        assert entry["total-bytes-privileged"] == size.f_blocks * size.f_frsize


def test_the_root_disk_has_the_address_that_qemu_ga_gives(agent, qemu_ga):
    assert root_disks(agent) == root_disks(qemu_ga)


def test_a_loop_file_has_the_disk_of_the_filesystem_it_lies_on(agent, filesystems):
    outer = filesystems.add("outer")
    filesystems.add("inner", below=outer, size="16M")
    entries = {entry["mountpoint"]: entry for entry in fsinfo(agent, filesystems.directory)}
    assert entries[str(filesystems.directory / "inner")]["disk"] == root_disks(agent)


def test_every_member_of_a_btrfs_is_known(agent, filesystems):
    """Two members, one in a file on the root filesystem, one in a file on tmpfs: only the first
    has a disk below it, whichever of the two is mounted."""
    memory = filesystems.mount("tmpfs", "memory", "-t", "tmpfs")
    devices = []
    try:
        for directory in (filesystems.directory, memory):
            image = directory / "member.img"
            run("truncate", "-s", "160M", image)
            devices.append(run("losetup", "-f", "--show", image).strip())
        run("mkfs.btrfs", "-qf", *devices)
        for device in devices:
            run("btrfs", "device", "scan", device)
        for device in reversed(devices):
            mount_point = filesystems.directory / "pool"
            filesystems.mount(device, "pool")
            entry, = (entry for entry in fsinfo(agent, filesystems.directory)
                      if entry["type"] == "btrfs")
            assert entry["disk"] == root_disks(agent)
            run("umount", mount_point)
            filesystems.mounts.remove(mount_point)
    finally:
        for device in devices:
            run("losetup", "-d", device)


def test_odd_names_arrive_as_they_are(agent, filesystems):
    names = ["with space", "new\nline", "hash#tag", "quote\"and\\backslash", "ünïcode"]
    image = filesystems.image("ext4", size="16M")
    first = filesystems.mount(image, names[0], "-o", "loop")
    for name in names[1:]:
        (filesystems.directory / name).mkdir()
        run("mount", "--bind", first, filesystems.directory / name)
        filesystems.mounts.append(filesystems.directory / name)
    listed = {entry["mountpoint"] for entry in fsinfo(agent, filesystems.directory)}
    assert listed == {str(filesystems.directory / name) for name in names}


def test_a_covered_mount_does_not_borrow_the_size_of_what_covers_it(agent, filesystems):
    below = filesystems.add("place", size="16M")
    filesystems.mount("tmpfs", "place", "-t", "tmpfs", "-o", "size=1G")
    entry, = fsinfo(agent, filesystems.directory)
    assert entry["mountpoint"] == str(below)
    assert "total-bytes" not in entry and "used-bytes" not in entry


class SilentFuse:
    """A FUSE mount whose server never answers: whoever looks at it waits."""

    def __init__(self, mount_point):
        self.mount_point = mount_point
        self.libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        self.mount_point.mkdir()
        self.device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        if self.libc.mount(b"silent", str(self.mount_point).encode(), b"fuse", 0, options) != 0:
            os.close(self.device)
            pytest.skip(f"cannot mount FUSE: {os.strerror(ctypes.get_errno())}")
        return self

    def __exit__(self, *_):
        # Whoever waits gets an error from then on.
        os.close(self.device)
        self.libc.umount2(str(self.mount_point).encode(), MNT_DETACH)


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no FUSE")
def test_a_hung_fuse_mount_delays_neither_fsinfo_nor_the_plan(agent, filesystems):
    data = filesystems.add("data", size="16M")
    with SilentFuse(filesystems.directory / "silent") as silent:
        stuck = subprocess.Popen(["stat", "-f", silent.mount_point], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            stuck.wait(1)
        began = time.monotonic()
        assert [entry["mountpoint"] for entry in fsinfo(agent, filesystems.directory)] == [str(data)]
        plan = subprocess.run([QUIESCED, "--show-plan"], capture_output=True, text=True,
                              timeout=20, check=True).stdout
        assert str(data) in plan and str(silent.mount_point) in plan
        assert time.monotonic() - began < 10
    stuck.wait(20)


class StoppedFuse:
    """A filesystem in an image, served through FUSE by fuse2fs, which can be stopped."""

    def __init__(self, filesystems, name):
        self.mount_point = filesystems.directory / name
        self.image = filesystems.image("ext4", name=name)
        self.server = None

    def __enter__(self):
        self.mount_point.mkdir()
        # Attributes and names must not come from the kernel's cache.
        self.server = subprocess.Popen(["fuse2fs", "-f", "-o", "attr_timeout=0,entry_timeout=0", self.image,
                                        self.mount_point])
        wait_until(self.mount_point.is_mount, f"fuse2fs serves {self.mount_point}")
        return self

    def stop(self):
        self.server.send_signal(signal.SIGSTOP)

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGCONT)
        run("umount", self.mount_point)
        self.server.wait(20)


@pytest.mark.skipif(not shutil.which("fuse2fs"), reason="package fuse2fs is not installed")
def test_a_loop_file_on_a_hung_fuse_mount_delays_neither(agent, filesystems):
    """The kernel would ask the FUSE server about the loop device's file."""
    with StoppedFuse(filesystems, "served") as served:
        inner = filesystems.add("inner", below=served.mount_point, size="16M")
        try:
            served.stop()
            began = time.monotonic()
            entry, = fsinfo(agent, filesystems.directory)
            assert entry["mountpoint"] == str(inner)
            plan = subprocess.run([QUIESCED, "--show-plan"], capture_output=True, text=True,
                                  timeout=20, check=True).stdout
            assert str(inner) in plan
            assert time.monotonic() - began < 10
        finally:
            served.server.send_signal(signal.SIGCONT)
            run("umount", inner)
            filesystems.mounts.remove(inner)
