# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rows of the benchmark's table that say what the protocol costs, and what an agent takes while
it does nothing. The host is a C program, bench-client.c; see there what is timed."""

import subprocess
import tempfile
import time
from pathlib import Path

from agent import BUILD

CLIENT = BUILD / "tests" / "bench" / "bench-client"
MIB = 1024 * 1024
ROW_BYTES = 64 * MIB  # a sample moves about that much
LARGE_BYTES = 45 * MIB


def run_client(agent, *words):
    """Through the connection that the agent has: qemu-ga takes one host at a time."""
    answer = subprocess.run([CLIENT, *map(str, words)], stdin=agent.host.stream, check=True,
                            capture_output=True, text=True, timeout=100)
    return tuple(float(word) for word in answer.stdout.split())


def pids_of(agent):
    """The agent's process and its children: quiesced has two processes."""
    pid = agent.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


def field(pid, file, name):
    """A number of /proc, by the name before the colon."""
    with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


class SpeedRow:
    """Needs no more than the agent that runs."""

    unit, scale = "", 1
    pause = 0
    most_samples = 1000

    def set_up(self):
        pass

    def tear_down(self):
        pass


class PinnedPing(SpeedRow):
    unit = "us"
    titles = ("ping, one CPU: round trip", "ping, one CPU: agent's CPU time")

    def __init__(self, count):
        self.count = count

    def sample(self, agent):
        return run_client(agent, "ping", self.count, agent.process.pid)


class Pipeline(SpeedRow):
    unit, scale = "k/s", 1e-3
    titles = ("pings, 64 under way",)
    more_is_better = True

    def __init__(self, count):
        self.count = count

    def sample(self, agent):
        return run_client(agent, "pipeline", self.count)


class Transfer(SpeedRow):
    """guest-file-read or guest-file-write, of a file on a tmpfs."""

    unit = "MB/s"
    more_is_better = True

    def __init__(self, what, title, size, row_bytes=ROW_BYTES):
        self.what, self.size = what, size
        self.count = max(row_bytes // size, 1)
        self.titles = (f"guest-file-{what} {title}",)
        self.folder = None

    def set_up(self):
        self.folder = tempfile.TemporaryDirectory(prefix="quiesced-bench-", dir="/dev/shm")
        if self.what == "read":
            self.path.write_bytes(bytes(range(256)) * (self.size // 256))

    @property
    def path(self):
        return Path(self.folder.name) / "file"

    def sample(self, agent):
        return run_client(agent, self.what, self.size, self.count, self.path)

    def tear_down(self):
        if self.folder is not None:
            self.folder.cleanup()
        self.folder = None


class PeakMemory(Transfer):
    """The most that the process that reads ever had in memory, with one large read."""

    unit, scale = "MiB", 1 / 1024
    most_samples = 5
    more_is_better = False

    def __init__(self):
        super().__init__("read", "45 MiB", LARGE_BYTES)
        self.titles = ("45 MiB read: peak memory", "45 MiB read: memory after it")

    def sample(self, agent):
        with agent.twin() as fresh:
            run_client(fresh, "read", self.size, 1, self.path)
            pid = fresh.process.pid
            return field(pid, "status", "VmHWM"), field(pid, "status", "VmRSS")


class IdleMemory(SpeedRow):
    unit, scale = "MiB", 1 / 1024
    titles = ("idle: PSS, all processes", "idle: RSS of the agent", "idle: private, all processes")
    most_samples = 10

    def sample(self, agent):
        with agent.twin() as fresh:
            pids = pids_of(fresh)
            private = sum(field(pid, "smaps_rollup", name) for pid in pids
                          for name in ("Private_Clean", "Private_Dirty"))
            return (sum(field(pid, "smaps_rollup", "Pss") for pid in pids),
                    field(fresh.process.pid, "status", "VmRSS"), private)


class Start(SpeedRow):
    unit = "ms"
    titles = ("start to first reply",)

    def sample(self, agent):
        with tempfile.TemporaryDirectory(prefix="quiesced-bench-", dir="/dev/shm") as folder:
            command = [str(word).replace(str(agent.folder), folder) for word in agent.command]
            answer = subprocess.run([CLIENT, "start", f"{folder}/agent.sock", *command],
                                    env=agent.environment, check=True, capture_output=True,
                                    text=True, timeout=100)
            return (float(answer.stdout),)


class Wakeups(SpeedRow):
    """Times that a process went to sleep, which it can only do after it woke up."""

    unit = "/s"
    titles = ("idle: wakeups, host connected", "idle: wakeups, no host")
    most_samples = 3

    def __init__(self, seconds):
        self.seconds = seconds

    def per_second(self, pids):
        def count():
            return sum(field(pid, "status", "voluntary_ctxt_switches") for pid in pids)
        time.sleep(0.5)  # until what the last call left behind is done
        start = count()
        time.sleep(self.seconds)
        return (count() - start) / self.seconds

    def sample(self, agent):
        with agent.twin() as fresh:
            pids = pids_of(fresh)
            connected = self.per_second(pids)
            fresh.host.close()
            return connected, self.per_second(pids)


class VerboseLog(Transfer):
    unit, scale = "KiB", 1 / 1024
    most_samples = 3
    more_is_better = False

    def __init__(self):
        super().__init__("write", "1 MiB", MIB, 16 * MIB)
        self.titles = ("-v: log of 16 writes of 1 MiB",)

    def sample(self, agent):
        with agent.twin("-v") as fresh:
            before = fresh.log.stat().st_size
            run_client(fresh, "write", self.size, self.count, self.path)
            return (fresh.log.stat().st_size - before,)


ROWS = {
    "ping-pinned": PinnedPing(5000),
    "pipeline": Pipeline(50000),
    "read-64k": Transfer("read", "64 KiB", 64 * 1024),
    "read-1m": Transfer("read", "1 MiB", MIB),
    "read-16m": Transfer("read", "16 MiB", 16 * MIB),
    "read-45m": Transfer("read", "45 MiB", LARGE_BYTES),
    "write-64k": Transfer("write", "64 KiB", 64 * 1024, 16 * MIB),
    "write-1m": Transfer("write", "1 MiB", MIB, 16 * MIB),
    "write-8m": Transfer("write", "8 MiB", 8 * MIB, 16 * MIB),
    "memory-read": PeakMemory(),
    "memory-idle": IdleMemory(),
    "start": Start(),
    "wakeups": Wakeups(5),
    "log": VerboseLog(),
}

QUICK_ROWS = {
    "ping-pinned": PinnedPing(500),
    "pipeline": Pipeline(2000),
    "read-1m": Transfer("read", "1 MiB", MIB, 4 * MIB),
    "write-1m": Transfer("write", "1 MiB", MIB, 2 * MIB),
    "memory-read": PeakMemory(),
    "memory-idle": IdleMemory(),
    "start": Start(),
    "wakeups": Wakeups(0.5),
    "log": VerboseLog(),
}
