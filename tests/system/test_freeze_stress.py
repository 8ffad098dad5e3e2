# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many freezes under load, with the daemon and its freezer process killed at random moments.

QUIESCED_CYCLES is how many (1000), QUIESCED_SEED repeats the random choices of an earlier run;
the moments themselves are the machine's."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from agent import Agent, CommandError, wait_until
from filesystems import Filesystems, Writer

CYCLES = int(os.environ.get("QUIESCED_CYCLES", "1000"))
SEED = int(os.environ.get("QUIESCED_SEED", str(random.SystemRandom().randrange(1 << 32))))

# Of the cycles: first everybody is killed, then the freezer process alone, at last nobody.
EVERYBODY_IS_KILLED = 0.4
THE_FREEZER_IS_KILLED = 0.7
KILLS_PER_CYCLE = 0.06

# What a leak of a few bytes a cycle stays below, and of one page a cycle does not.
RSS_GROWTH_KIB = 256

# Small files and fsync: what keeps a journal busy.
METADATA_LOAD = """
cd "$0" && while :; do
    for name in 1 2 3 4 5 6 7 8; do echo x >file-$name; done
    mv file-1 file-9; sync file-2; rm file-*; sleep 0.02
done
"""


class Footprint:
    """What a process holds."""

    def __init__(self, pid):
        proc = Path(f"/proc/{pid}")
        self.descriptors = len(list((proc / "fd").iterdir()))
        self.threads = len(list((proc / "task").iterdir()))
        self.rss_kib = next(int(line.split()[1])
                            for line in (proc / "status").read_text(encoding="utf-8").splitlines()
                            if line.startswith("VmRSS"))

    def __repr__(self):
        return f"{self.descriptors} descriptors, {self.threads} threads, {self.rss_kib} KiB"


def has_ended(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return ") Z " in status


def mounts(directory):
    """Where something is mounted below a directory; elsewhere others may mount what they like."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return sorted(line for line in lines if str(directory) in line)


class Stress:
    """Cycles of one agent over filesystems that are written to all the time."""

    def __init__(self, agent, mount_points):
        self.agent = agent
        self.directory = mount_points[0].parent
        self.mount_points = [str(m) for m in mount_points]
        self.writers = [Writer(m) for m in mount_points]
        self.load = [subprocess.Popen(["sh", "-c", METADATA_LOAD, m], stderr=subprocess.DEVNULL)
                     for m in self.mount_points]
        self.freezers = set()
        self.kills = {"daemon": 0, "freezer": 0, "both": 0}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for mount_point in self.mount_points:  # had the test failed, nobody else would
            subprocess.run(["fsfreeze", "-u", mount_point], stderr=subprocess.DEVNULL, check=False)
        for load in self.load:
            load.kill()
        for load in self.load:
            load.wait()
        for writer in self.writers:
            writer.stop()

    def start(self):
        self.agent.start()
        wait_until(lambda: self.agent.call("guest-fsfreeze-status") == "thawed", "recovered")
        self.remember_freezer()

    def remember_freezer(self):
        self.freezers.add(wait_until(self.agent.freezer_pid, "there is a freezer process"))

    def assert_nothing_is_frozen(self):
        for writer in self.writers:
            writer.wait_for_write()

    def cycle(self):
        """Freeze, hold for a moment, thaw; nothing disturbs it."""
        count = len(self.mount_points)
        assert self.agent.call("guest-fsfreeze-freeze-list", mountpoints=self.mount_points) == count
        time.sleep(random.random() * 0.005)
        assert self.agent.call("guest-fsfreeze-thaw") == count

    def kill(self, victim):
        """SIGKILL; in the right order, so that neither can make up for the other's end."""
        self.kills[victim] += 1
        freezer = self.agent.freezer_pid()
        if victim == "both":
            self.agent.kill(signal.SIGSTOP)
        if victim in ("freezer", "both"):
            os.kill(freezer, signal.SIGKILL)
        if victim in ("daemon", "both"):
            self.agent.kill()
            self.agent.wait()

    def disturbed_cycle(self, victim):
        """Kills somebody at a random moment between the request to freeze and the request to
        thaw. The answers depend on the moment; that everything is writable after it does not."""
        self.agent.host.request("guest-fsfreeze-freeze-list", mountpoints=self.mount_points)
        answered = random.random() < 0.5
        if answered:
            self.agent.host.receive_reply()
        else:
            time.sleep(random.random() * 0.03)
        self.kill(victim)
        if victim != "freezer":
            self.agent.hang_up()
            if victim == "daemon":  # the freezer process needs nobody's help
                self.assert_nothing_is_frozen()
            self.start()
        elif not answered:
            self.agent.host.receive_reply()
        self.thaw()
        self.assert_nothing_is_frozen()
        self.remember_freezer()

    def thaw(self):
        """Whoever was killed: one answer tells what became of the window, the next one nothing."""
        try:
            assert self.agent.call("guest-fsfreeze-thaw") in (0, len(self.mount_points))
        except CommandError as error:
            assert "died" in error.text, error.text
        assert self.agent.call("guest-fsfreeze-thaw") == 0
        assert self.agent.call("guest-fsfreeze-status") == "thawed"

    def run(self, cycles, victims):
        for _ in range(cycles):
            if victims and random.random() < KILLS_PER_CYCLE:
                self.disturbed_cycle(random.choice(victims))
            else:
                self.cycle()
        self.assert_nothing_is_frozen()

    def footprints(self):
        """Of the daemon and its freezer process, once the threads of the last cycle are gone."""
        freezer = self.agent.freezer_pid()
        wait_until(lambda: Footprint(freezer).threads == 1, "the freezer's threads have ended")
        return Footprint(self.agent.pid), Footprint(freezer)

    def speak_less(self):
        """The log's memory grows with what is said, up to its bound: not what is measured."""
        for _ in range(3):
            self.agent.kill(signal.SIGUSR2)
            self.agent.call("guest-ping")


@pytest.fixture(name="stress")
def stress_fixture(tmp_path):
    with Filesystems(guard_seconds=280) as filesystems, Agent(tmp_path) as agent:
        places = [filesystems.add(fs_type, fs_type) for fs_type in ("ext4", "xfs", "btrfs")]
        with Stress(agent, places) as stress:
            yield stress


def test_many_cycles_with_random_kills_leave_nothing_frozen_and_nothing_behind(stress):
    print(f"QUIESCED_CYCLES={CYCLES} QUIESCED_SEED={SEED}")
    random.seed(SEED)
    mounts_before = mounts(stress.directory)
    killing_all = int(CYCLES * EVERYBODY_IS_KILLED)
    killing_one = int(CYCLES * THE_FREEZER_IS_KILLED) - killing_all
    stress.start()
    stress.run(killing_all, ["daemon", "freezer", "both"])

    daemon_before, _ = stress.footprints()
    stress.run(killing_one, ["freezer"])

    stress.speak_less()
    stress.run(20, [])
    daemon_between, freezer_between = stress.footprints()
    stress.run(CYCLES - killing_all - killing_one, [])
    daemon, freezer = stress.footprints()
    print(f"killed: {stress.kills}")
    print(f"daemon: {daemon_before}; {daemon_between}; {daemon}")
    print(f"freezer: {freezer_between}; {freezer}")

    assert (daemon.descriptors, daemon.threads) == (daemon_before.descriptors, 1)
    assert freezer.descriptors == freezer_between.descriptors
    assert daemon.rss_kib <= daemon_between.rss_kib + RSS_GROWTH_KIB
    assert freezer.rss_kib <= freezer_between.rss_kib + RSS_GROWTH_KIB
    assert mounts(stress.directory) == mounts_before
    for pid in stress.freezers - {stress.agent.freezer_pid()}:
        wait_until(lambda p=pid: has_ended(p), f"freezer process {pid} has ended")
    assert stress.agent.state_dir.exists() and \
        [p.name for p in stress.agent.state_dir.iterdir() if p.name == "quiesced.state"] == []
