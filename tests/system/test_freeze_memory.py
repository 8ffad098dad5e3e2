# SPDX-License-Identifier: LGPL-2.1-or-later
"""Out of memory while frozen: the freezer process thaws with what it has."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from agent import CommandError, wait_until
from filesystems import is_writable, run
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)

# Takes memory until there is no more, and goes on trying.
HOG = """
import time
pieces = []
while True:
    pieces.append(bytearray(1 << 20))
"""
HOGS = f"while :; do /usr/bin/python3 -c '{HOG}'; done"


def memory_controller():
    """The folder of the memory controller's hierarchy, and whether that is version 1."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, folder, fs_type, options = line.split()[:4]
        if fs_type == "cgroup" and "memory" in options.split(","):
            return Path(folder), True
        controllers = Path(folder) / "cgroup.controllers"
        if fs_type == "cgroup2" and "memory" in controllers.read_text(encoding="utf-8").split():
            return Path(folder), False
    return None, False


class MemoryGroup:
    """A control group of its own; its processes are ended with it."""

    def __init__(self, parent, is_v1):
        self.is_v1 = is_v1
        if not is_v1:
            (parent / "cgroup.subtree_control").write_text("+memory", encoding="utf-8")
        self.folder = parent / f"quiesced-test-{os.getpid()}"
        self.folder.mkdir()

    def _write(self, name, value):
        (self.folder / name).write_text(str(value), encoding="utf-8")

    def _read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")

    def enter(self):
        """A command's prefix that moves it into the group."""
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.folder]

    def spawn(self, *command):
        return subprocess.Popen([*self.enter(), *command], stderr=subprocess.DEVNULL,
                                start_new_session=True)

    def close_in(self, spare_bytes=0):
        """The limit is what is used now, and a little."""
        used = int(self._read("memory.usage_in_bytes" if self.is_v1 else "memory.current"))
        self._write("memory.limit_in_bytes" if self.is_v1 else "memory.max", used + spare_bytes)

    def open_up(self):
        self._write("memory.limit_in_bytes" if self.is_v1 else "memory.max",
                    -1 if self.is_v1 else "max")

    def stop_at_the_limit(self):
        """Whoever wants more memory sleeps until there is some; nobody is killed."""
        self._write("memory.oom_control", 1)

    def is_stopped(self):
        return "under_oom 1" in self._read("memory.oom_control")

    def hits(self):
        """How often the limit was in the way."""
        if self.is_v1:
            return int(self._read("memory.failcnt"))
        return int(re.search(r"^max (\d+)", self._read("memory.events"), re.MULTILINE)[1])

    def end(self):
        self.open_up()
        for pid in self._read("cgroup.procs").split():
            os.kill(int(pid), signal.SIGKILL)
        wait_until(lambda: not self._read("cgroup.procs"), "the group is empty")
        self.folder.rmdir()


@pytest.fixture(name="group")
def group_fixture(agent, tmp_path):
    """A control group with the agent in it. The program is a copy made by a member, so that its
    pages are the group's and can be taken from it."""
    parent, is_v1 = memory_controller()
    if parent is None:
        pytest.skip("no memory controller")
    group = MemoryGroup(parent, is_v1)
    try:
        copy = tmp_path / "quiesced"
        run(*group.enter(), "cp", agent.program, copy)
        run("sync", "-f", copy)
        agent.program = copy
        yield group
    finally:
        group.open_up()
        agent.stop()
        group.end()


def test_the_freezer_thaws_while_its_control_group_is_at_its_limit(agent, filesystems, group):
    mount_point = filesystems.add("one")
    agent.start(prefix=group.enter())
    assert freeze(agent, mount_point) == 1
    group.close_in(64 << 20)  # so that the hogs are always the largest, and killed, not the daemon
    hogs = group.spawn("sh", "-c", HOGS)
    before = wait_until(group.hits, "the limit is hit")
    wait_until(lambda: group.hits() > before + 100, "the limit is hit again and again")
    began = time.monotonic()
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert is_writable(mount_point)
    assert time.monotonic() - began < 10
    os.killpg(hogs.pid, signal.SIGKILL)
    hogs.wait()


def test_the_hold_timeout_is_kept_though_nobody_in_the_group_gets_memory(
        agent, filesystems, group):
    if not group.is_v1:
        pytest.skip("only version 1 of control groups lets processes wait for memory")
    mount_point = filesystems.add("one")
    agent.start(prefix=group.enter())
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=4000)
    frozen = time.monotonic()
    group.stop_at_the_limit()
    hog = group.spawn("/usr/bin/python3", "-c", HOG)
    group.close_in()
    wait_until(group.is_stopped, "the group is stopped")
    assert not is_writable(mount_point)
    wait_until(lambda: is_writable(mount_point), "the freezer process thaws", 10)
    assert 4 <= time.monotonic() - frozen < 10
    os.killpg(hog.pid, signal.SIGKILL)
    hog.wait()
    group.open_up()
    with pytest.raises(CommandError, match="hold-timeout"):
        agent.call("guest-fsfreeze-thaw")


CAP_SYS_RESOURCE = 24


def can_protect_itself():
    """Whether this machine's root may lower a process's oom_score_adj; some containers' may not."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"CapEff:\s+(\w+)", status)[1], 16) >> CAP_SYS_RESOURCE & 1


def test_the_memory_of_the_freezer_process_is_locked_and_it_is_the_last_to_be_killed(agent):
    agent.start()
    freezer = Path(f"/proc/{agent.freezer_pid()}")
    status = (freezer / "status").read_text(encoding="utf-8")
    kib = {name: int(value) for name, value in re.findall(r"(Vm\w+):\s+(\d+) kB", status)}
    assert kib["VmLck"] > kib["VmSize"] // 2
    score = (freezer / "oom_score_adj").read_text(encoding="utf-8").strip()
    assert score == ("-1000" if can_protect_itself() else "0")


def test_the_thaw_asks_the_kernel_for_no_memory_and_opens_nothing(agent, filesystems, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    mounts = [filesystems.add("one"), filesystems.add("two", "xfs")]
    agent.start()
    freeze(agent, *mounts)
    trace_path = tmp_path / "trace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-o", trace_path, "-p",
                               str(agent.freezer_pid())], stderr=subprocess.PIPE, text=True)
    status = Path(f"/proc/{agent.freezer_pid()}/task")
    wait_until(lambda: all("TracerPid:\t0" not in (t / "status").read_text(encoding="utf-8")
                           for t in status.iterdir()), "strace looks on")
    assert agent.call("guest-fsfreeze-thaw") == 2
    strace.terminate()
    strace.wait()
    lines = trace_path.read_text(encoding="utf-8").splitlines()
    thaws = [i for i, line in enumerate(lines) if re.search(r"ioctl\(.*FITHAW", line)]
    assert len(thaws) == 2, lines
    for line in lines[:thaws[-1]]:
        assert not re.search(r"\b(mmap|mremap|brk|open|openat|clone3?|fork)\(", line), line


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_a_freezer_process_that_may_not_lock_its_memory_says_so_at_start(agent):
    agent.start(prefix=["prlimit", "--memlock=0:0", "setpriv", "--bounding-set=-ipc_lock"])
    agent.wait_for_log(r"warning freeze: the freezer process cannot lock its memory \(Operation "
                       r"not permitted\).*give it CAP_IPC_LOCK")
