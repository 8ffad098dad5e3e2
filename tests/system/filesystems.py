# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filesystems of a test's own, on loop devices, with somebody standing by to thaw them.

    with Filesystems(tmp_path) as filesystems:
        srv = filesystems.add("srv", "xfs")
        ...

A filesystem that stays frozen would take the test, and the machine's next sync, with it: a guard
process thaws all of them when the test's process ends or its time is over."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from agent import wait_until

GUARD_SECONDS = 120
MKFS = {
    "ext4": (["mkfs.ext4", "-qF"], "64M"),
    "xfs": (["mkfs.xfs", "-qf"], "320M"),
    "btrfs": (["mkfs.btrfs", "-qf"], "128M"),
}

# Reads mount points from its standard input for as long as the test lives; then thaws them all, side
# by side, since a thaw may sleep until another has been done.
GUARD = """
import select, subprocess, sys, time
paths, deadline = [], time.monotonic() + float(sys.argv[1])
while time.monotonic() < deadline:
    if select.select([0], [], [], 1)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        paths.append(line.strip())
for path in paths:
    subprocess.Popen(["fsfreeze", "-u", path], stderr=subprocess.DEVNULL)
"""


def run(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


def is_writable(mount_point):
    """Writes to the filesystem; a process that gets stuck in it is left to the thaw."""
    probe = subprocess.Popen(["touch", mount_point / "probe"])
    try:
        return probe.wait(0.5) == 0
    except subprocess.TimeoutExpired:
        return False


class Filesystems:
    def __init__(self, directory=None, guard_seconds=GUARD_SECONDS):
        # Not below pytest's tmp_path: its clean-up must never meet a frozen mount.
        self.directory = Path(directory or tempfile.mkdtemp(prefix="quiesced-test-"))
        self.mounts = []
        self.guard = subprocess.Popen(
            ["/usr/bin/python3", "-c", GUARD, str(guard_seconds)], stdin=subprocess.PIPE,
            text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        thaws = [subprocess.Popen(["fsfreeze", "-u", mount], stderr=subprocess.DEVNULL)
                 for mount in self.mounts]
        wait_until(lambda: all(thaw.poll() is not None for thaw in thaws), "everything is thawed")
        for mount in reversed(self.mounts):
            wait_until(lambda m=mount: subprocess.run(["umount", m], stderr=subprocess.DEVNULL,
                                                      check=False).returncode == 0
                       or not os.path.ismount(m), f"{mount} is unmounted")
        self.guard.stdin.close()
        self.guard.wait()
        shutil.rmtree(self.directory)

    def _guard(self, mount):
        self.guard.stdin.write(f"{mount}\n")
        self.guard.stdin.flush()

    def mount(self, source, name, *options):
        """Mounts source on a directory of that name and returns it."""
        mount_point = self.directory / name
        mount_point.mkdir(exist_ok=True)
        self._guard(mount_point)
        run("mount", *options, source, mount_point)
        self.mounts.append(mount_point)
        return mount_point

    def image(self, fs_type, below=None, name=None, size=None):
        """A file with a fresh filesystem in it, below a directory."""
        mkfs, default_size = MKFS[fs_type]
        path = Path(below or self.directory) / f"{name or fs_type}.img"
        run("truncate", "-s", size or default_size, path)
        run(*mkfs, path)
        return path

    def add(self, name, fs_type="ext4", below=None, size=None):
        """Makes and mounts a filesystem; its image lies below a directory, perhaps of another
        filesystem."""
        image = self.image(fs_type, below, name, size)
        return self.mount(image, name, "-o", "loop")


class Writer:
    """A thread that writes to a filesystem again and again and remembers when it could."""

    def __init__(self, directory):
        self.path = Path(directory) / "writer"
        self.times = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with open(self.path, "wb", buffering=0) as file:
            while not self._stop.is_set():
                began = time.monotonic()
                file.write(b"x" * 512)
                self.times.append((began, time.monotonic()))
                time.sleep(0.005)

    def wait_for_write(self, since=None):
        """Waits for a write that was begun after the moment (default: now) and has ended."""
        since = time.monotonic() if since is None else since
        wait_until(lambda: self.times and self.times[-1][0] >= since, f"a write to {self.path}")

    def writes_within(self, start, end):
        """How many writes were begun and ended between two moments."""
        return sum(1 for began, ended in list(self.times) if began >= start and ended <= end)

    def stop(self):
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), f"a write to {self.path} never ended"
