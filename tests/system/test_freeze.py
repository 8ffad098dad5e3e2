# SPDX-License-Identifier: LGPL-2.1-or-later
"""The freeze engine on the machine's own kernel: loop-mounted filesystems only, never all."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from agent import Agent, CommandError, wait_until
from filesystems import Filesystems, Writer, is_writable, run

TRACING = Path("/sys/kernel/tracing")
RCU = Path("/sys/kernel/rcu_expedited")


@pytest.fixture(name="filesystems")
def filesystems_fixture():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="agent")
def agent_fixture(tmp_path, filesystems):  # the filesystems outlive the agent
    with Agent(tmp_path) as agent:
        yield agent


def freeze(agent, *mount_points):
    return agent.call("guest-fsfreeze-freeze-list", mountpoints=[str(m) for m in mount_points])


@pytest.mark.parametrize("fs_type", ["ext4", "xfs", "btrfs"])
def test_a_writer_blocks_between_freeze_and_thaw_and_goes_on_after(agent, filesystems, fs_type):
    mount_point = filesystems.add("data", fs_type)
    agent.start()
    writer = Writer(mount_point)
    writer.wait_for_write()
    assert freeze(agent, mount_point) == 1
    frozen = time.monotonic()
    time.sleep(0.5)
    before_thaw = time.monotonic()
    assert agent.call("guest-fsfreeze-thaw") == 1
    writer.wait_for_write()
    writer.stop()
    assert writer.writes_within(frozen, before_thaw) == 0


class FreezeTrace:
    """Counts FIFREEZE and FITHAW by the kernel's own tracepoint, in a tracing instance of its own.
    (A locked-down kernel refuses the function tracer; tests/vm watches freeze_super itself.)"""

    FIFREEZE, FITHAW = 0xC0045877, 0xC0045878

    def __init__(self):
        if not (TRACING / "instances").exists():
            run("mount", "-t", "tracefs", "tracefs", TRACING)
        self.instance = TRACING / "instances" / f"quiesced-{os.getpid()}"
        self.event = self.instance / "events/syscalls/sys_enter_ioctl"

    def __enter__(self):
        self.instance.mkdir()
        (self.event / "filter").write_text(f"cmd == {self.FIFREEZE} || cmd == {self.FITHAW}")
        (self.event / "enable").write_text("1")
        return self

    def __exit__(self, *_):
        (self.event / "enable").write_text("0")
        self.instance.rmdir()

    def count(self, request):
        return (self.instance / "trace").read_text(encoding="utf-8").count(f"cmd: 0x{request:x}")


def test_each_filesystem_is_frozen_and_thawed_by_one_call(agent, filesystems):
    mounts = [filesystems.add(name, name) for name in ("ext4", "xfs", "btrfs")]
    bind = filesystems.mount(mounts[0], "bind", "--bind")
    agent.start()
    with FreezeTrace() as trace:
        assert freeze(agent, *mounts, bind) == 3
        assert agent.call("guest-fsfreeze-thaw") == 3
        assert (trace.count(trace.FIFREEZE), trace.count(trace.FITHAW)) == (3, 3)


def test_a_nest_of_loop_files_freezes_and_thaws_without_a_hang(agent, filesystems):
    outer = filesystems.add("outer", size="200M")
    inner = filesystems.add("inner", below=outer)
    bind = filesystems.mount(outer, "bind", "--bind")
    agent.start()
    for _ in range(3):
        (inner / "dirty").write_bytes(os.urandom(4 << 20))
        assert freeze(agent, outer, inner, bind) == 2
        assert agent.call("guest-fsfreeze-thaw") == 2
    frozen = re.findall(r"frozen: (\S+) .* wave (\d)", agent.log)
    assert frozen[:2] == [(str(inner), "0"), (str(outer), "1")]


def test_the_log_tells_the_story_with_the_times_at_which_things_happened(agent, filesystems):
    mount_point = filesystems.add("logged", "ext4")
    agent.log_path = mount_point / "agent.log"  # on the filesystem that is frozen
    agent.start()
    freeze(agent, mount_point)
    time.sleep(0.3)
    agent.call("guest-fsfreeze-thaw")
    agent.wait_for_log(r"THAWED: 1 filesystem.* window intact")
    stamp = {}
    for line in agent.log.splitlines():
        for word in ("frozen: ", "thawed: "):
            if f"freeze: {word}{mount_point} (ext4 on /dev/loop" in line:
                stamp[word] = float(line[17:26].split(":")[-1].rstrip("Z"))
    assert 0.3 <= (stamp["thawed: "] - stamp["frozen: "]) % 60 < 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_daemon_leaves_nothing_frozen(agent, filesystems, number):
    mounts = [filesystems.add("one"), filesystems.add("two", "xfs")]
    agent.start()
    freeze(agent, *mounts)
    assert not is_writable(mounts[0])
    agent.kill(number)
    died = time.monotonic()
    agent.wait()
    for mount_point in mounts:
        wait_until(lambda m=mount_point: is_writable(m), f"{mount_point} is writable")
    # The promise is one second; the probes above took part of it on a busy machine.
    assert time.monotonic() - died < 5
    agent.hang_up()
    agent.start()
    with pytest.raises(CommandError, match="the agent died while filesystems were frozen"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0
    assert freeze(agent, *mounts) == 2
    assert agent.call("guest-fsfreeze-thaw") == 2


def test_a_killed_freezer_process_is_replaced_and_the_window_is_broken(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    first = agent.freezer_pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: is_writable(mount_point), "writable again")
    with pytest.raises(CommandError, match="the freezer process died"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0
    assert agent.freezer_pid() not in (None, first)
    assert freeze(agent, mount_point) == 1
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_both_killed_at_once_are_made_up_for_by_the_next_start(agent, filesystems):
    mounts = [filesystems.add("one"), filesystems.add("two")]
    agent.start()
    freeze(agent, *mounts)
    freezer = agent.freezer_pid()
    os.kill(agent.pid, signal.SIGSTOP)  # or it would notice its freezer's end first
    os.kill(freezer, signal.SIGKILL)
    agent.kill()
    agent.wait()
    assert not is_writable(mounts[0])
    agent.hang_up()
    agent.start()
    for mount_point in mounts:
        wait_until(lambda m=mount_point: is_writable(m), f"{mount_point} is writable")
    with pytest.raises(CommandError, match="the agent died while filesystems were frozen"):
        agent.call("guest-fsfreeze-thaw")


def test_the_thaw_option_thaws_what_both_left_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    freezer = agent.freezer_pid()
    os.kill(agent.pid, signal.SIGSTOP)
    os.kill(freezer, signal.SIGKILL)
    agent.kill()
    agent.wait()
    run(agent.program, "--thaw", "-t", agent.state_dir)
    assert is_writable(mount_point)


def test_a_stopped_daemon_does_not_keep_the_guest_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=700)
    agent.kill(signal.SIGSTOP)
    wait_until(lambda: is_writable(mount_point), "writable again")
    agent.kill(signal.SIGCONT)
    with pytest.raises(CommandError, match="hold-timeout"):
        agent.call("guest-fsfreeze-thaw")


def test_thaw_after_auto_thaw_is_an_error_once(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.configure("[general]\n[freeze]\nhold-timeout=1\n")
    agent.start()
    assert freeze(agent, mount_point) == 1
    wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "thawed by itself")
    assert is_writable(mount_point)
    with pytest.raises(CommandError, match=r"hold-timeout of 1 s: thawed by itself at \d{4}-"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_a_filesystem_that_somebody_else_thaws_breaks_the_window(agent, filesystems):
    mounts = [filesystems.add("one"), filesystems.add("two")]
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(m) for m in mounts])
    run("fsfreeze", "-u", mounts[1])
    reply = agent.call("quiesce-thaw")
    assert reply["count"] == 1
    assert reply["intact"] is False
    assert f"{mounts[1]} (ext4 on " in reply["broken-reason"]
    assert [f["outcome"] for f in reply["filesystems"]] == ["thawed", "thawed-by-others"]


def test_a_filesystem_that_somebody_else_froze_is_left_to_them(agent, filesystems):
    mounts = [filesystems.add("one"), filesystems.add("two")]
    agent.start()
    run("fsfreeze", "-f", mounts[1])
    reply = agent.call("quiesce-freeze", mountpoints=[str(m) for m in mounts])
    assert reply["count"] == 1
    assert [(s["mountpoint"], s["reason"]) for s in reply["skipped"]] == \
        [(str(mounts[1]), "somebody else had frozen it before; it is left to them")]
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert not is_writable(mounts[1])
    run("fsfreeze", "-u", mounts[1])


def test_canaries_are_silent_inside_the_hold_and_sing_around_it(agent, filesystems):
    mounts = [filesystems.add(name, name) for name in ("ext4", "xfs", "btrfs")]
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(m) for m in mounts], canary=True)
    time.sleep(0.5)
    reply = agent.call("quiesce-thaw")
    assert reply["intact"] is True
    for filesystem in reply["filesystems"]:
        canary = filesystem["canary"]
        assert canary["writes-before"] >= 3 and canary["writes-after"] >= 1
        assert canary["writes-during"] == 0
        assert canary["longest-gap-ms"] >= reply["held-ms"] >= 500


def test_canaries_see_that_somebody_else_thawed(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], canary=True)
    run("fsfreeze", "-u", mount_point)
    wait_until(lambda: is_writable(mount_point), "writable")
    time.sleep(0.2)
    reply = agent.call("quiesce-thaw")
    assert reply["filesystems"][0]["canary"]["writes-during"] > 0


def test_rcu_is_expedited_for_the_freeze_alone(agent, filesystems):
    before = RCU.read_text(encoding="utf-8")
    agent.start()
    freeze(agent, filesystems.add("one"))
    assert RCU.read_text(encoding="utf-8") == before
    agent.call("guest-fsfreeze-thaw")
    assert RCU.read_text(encoding="utf-8") == before


def test_an_unmounted_path_is_left_out_and_said_so(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    reply = agent.call("quiesce-freeze", mountpoints=[str(mount_point), "/nowhere"])
    assert reply["count"] == 1
    assert {s["mountpoint"]: s["reason"] for s in reply["skipped"]}["/nowhere"]
    agent.call("guest-fsfreeze-thaw")


def test_a_failing_hook_stops_the_freeze_and_the_host_hears_why(agent, filesystems, tmp_path):
    mount_point = filesystems.add("one")
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\necho $1 >>%s\n[ $1 = thaw ]\n" % (tmp_path / "calls"),
                    encoding="utf-8")
    hook.chmod(0o755)
    agent.start(f"--fsfreeze-hook={hook}")
    with pytest.raises(CommandError, match=str(hook)):
        freeze(agent, mount_point)
    assert is_writable(mount_point)
    assert agent.call("guest-fsfreeze-status") == "thawed"
    assert (tmp_path / "calls").read_text(encoding="utf-8").split() == ["freeze", "thaw"]


def test_a_second_host_is_answered_during_the_hold_and_can_thaw(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    with agent.connect() as second:
        freeze(agent, mount_point)
        assert second.call("guest-ping") == {}
        with pytest.raises(CommandError, match="frozen state"):
            second.call("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)])
        assert second.call("guest-fsfreeze-thaw") == 1
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_a_host_that_leaves_while_frozen_finds_the_guest_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    agent.hang_up()
    assert agent.call("guest-fsfreeze-status") == "frozen"
    assert agent.call("guest-fsfreeze-thaw") == 1
