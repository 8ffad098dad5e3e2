# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rows of the benchmark's table: each sets up what it measures, takes one sample of an agent
after the other, and clears away. A sample is a number for each of the row's titles."""

import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from agent import BUILD
from filesystems import Filesystems

WRITERS = BUILD / "tests" / "bench" / "bench-writers"
# A freeze right after a thaw costs a fraction of the first one, and nobody freezes so.
PAUSE_SECONDS = 0.3
# All samples of a row, of both agents.
ROW_SECONDS = 900


class Ping:
    """A round trip from Python; most of it is the client."""

    unit, scale = "us", 1e6
    titles = ("ping",)
    most_samples = 1000
    pause = 0

    def set_up(self):
        pass

    def sample(self, agent):
        start = time.perf_counter()
        agent.call("guest-ping")
        return (time.perf_counter() - start,)

    def tear_down(self):
        pass


class FreezeRow:
    """Freezes and thaws some filesystems of its own."""

    unit, scale = "ms", 1e3
    pause = PAUSE_SECONDS
    most_samples = 1000

    def __init__(self, title, count, fs_type="ext4", size=None):
        self.titles = (f"{title}: freeze", f"{title}: thaw")
        self.count, self.fs_type, self.size = count, fs_type, size
        if count > 100:
            self.most_samples = 5
        self.filesystems = None

    def set_up(self):
        self.filesystems = Filesystems(guard_seconds=ROW_SECONDS)
        numbers = range(self.count)
        # One after the other 256 of them take minutes.
        with ThreadPoolExecutor(8) as pool:
            images = list(pool.map(
                lambda n: self.filesystems.image(self.fs_type, name=f"fs{n}", size=self.size),
                numbers))
        for number, image in zip(numbers, images):
            self.filesystems.mount(image, f"fs{number}", "-o", "loop")
        self.sync()

    def sync(self):
        # Of all of them and what they lie on, so that no sample pays for the last one's.
        for path in (*self.filesystems.mounts, self.filesystems.directory):
            subprocess.run(["sync", "-f", path], check=True)

    def freeze_and_thaw(self, agent):
        """The moments before the freeze, between, and after the thaw."""
        mount_points = [str(path) for path in self.filesystems.mounts]
        start = time.perf_counter()
        frozen = agent.call("guest-fsfreeze-freeze-list", mountpoints=mount_points)
        middle = time.perf_counter()
        thawed = agent.call("guest-fsfreeze-thaw")
        end = time.perf_counter()
        assert frozen == thawed == self.count, f"{agent.name}: froze {frozen}, thawed {thawed}"
        return start, middle, end

    def sample(self, agent):
        start, middle, end = self.freeze_and_thaw(agent)
        return middle - start, end - middle

    def tear_down(self):
        if self.filesystems is None:
            return
        self.filesystems.__exit__(None, None, None)
        self.filesystems = None


class WrittenRow(FreezeRow):
    """The same while programs write: what it costs them, beside how long it takes."""

    def __init__(self, title, count, size, mode="paced", dirty_mib=0, writers_each=1):
        super().__init__(title, count, size=size)
        # A stall: a write that was under way while all was frozen. The longest write may be one
        # that waited for the disk while the pre-sync kept it busy.
        self.titles += (f"{title}: worst stall", f"{title}: median stall",
                        f"{title}: longest write")
        self.mode, self.dirty_mib, self.writers_each = mode, dirty_mib, writers_each
        self.writers = None
        if dirty_mib >= 1000:
            self.most_samples = 5

    def set_up(self):
        super().set_up()
        self.writers = subprocess.Popen(
            [WRITERS, self.mode, *self.filesystems.mounts * self.writers_each],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The first time the files grow; every sample overwrites them.
        self.order("dirty", self.dirty_mib)
        self.sync()

    def order(self, *words):
        print(*words, file=self.writers.stdin, flush=True)
        answer = self.writers.stdout.readline()
        assert answer, "the writers have ended"
        return [float(word) for word in answer.split()]

    def sample(self, agent):
        if self.dirty_mib:
            self.sync()
            self.order("dirty", self.dirty_mib)
        self.order("mark")
        start, middle, end = self.freeze_and_thaw(agent)
        longest = [us / 1e6 for us in self.order("longest")]
        # perf_counter() reads CLOCK_MONOTONIC, as the writers do.
        stalls = [us / 1e6 for us in self.order("across", int(middle * 1e6))]
        # Who was between two writes was not held up.
        return (middle - start, end - middle, max(stalls),
                statistics.median([stall for stall in stalls if stall > 0] or [0]), max(longest))

    def tear_down(self):
        if self.writers is not None:
            self.writers.kill()
            self.writers.stdin.close()
            self.writers.stdout.close()
            # A writer in a frozen filesystem ends with the thaw.
            if self.filesystems is not None:
                for mount in self.filesystems.mounts:
                    subprocess.run(["fsfreeze", "-u", mount], stderr=subprocess.DEVNULL,
                                   check=False)
            self.writers.wait()
            self.writers = None
        super().tear_down()


ROWS = {
    "ping": Ping(),
    "clean-1": FreezeRow("1 clean ext4", 1),
    "clean-8": FreezeRow("8 clean ext4", 8),
    "clean-64": FreezeRow("64 clean ext4", 64),
    "clean-256": FreezeRow("256 clean ext4", 256),
    "clean-xfs": FreezeRow("8 clean xfs", 8, "xfs"),
    "clean-btrfs": FreezeRow("8 clean btrfs", 8, "btrfs"),
    "dirty-8": WrittenRow("8 x 50 MiB dirty", 8, "256M", dirty_mib=50),
    "dirty-1": WrittenRow("1 GiB dirty", 1, "2G", dirty_mib=1024),
    "files": WrittenRow("small files, fsync", 1, "256M", "files", writers_each=4),
}

# Every kind of row, small.
QUICK_ROWS = {
    "ping": Ping(),
    "clean-8": FreezeRow("8 clean ext4", 8),
    "clean-xfs": FreezeRow("2 clean xfs", 2, "xfs"),
    "clean-btrfs": FreezeRow("2 clean btrfs", 2, "btrfs"),
    "dirty-2": WrittenRow("2 x 8 MiB dirty", 2, "64M", dirty_mib=8),
    "files": WrittenRow("small files, fsync", 1, "64M", "files", writers_each=2),
}
