# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks that misbehave around a real freeze: none keeps a filesystem frozen or the host waiting."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from agent import TIMEOUT, CommandError, wait_until
from filesystems import is_writable
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)


class HookFolder:
    """A directory of hooks, which note in one file what they were called with."""

    def __init__(self, folder):
        self.folder = folder / "hooks"
        self.folder.mkdir()
        self.calls_path = folder / "calls"

    def add(self, name, script=""):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\necho {name} $1 >>{self.calls_path}\n{script}\n",
                        encoding="utf-8")
        path.chmod(0o755)
        return path

    @property
    def calls(self):
        text = self.calls_path.read_text(encoding="utf-8") if self.calls_path.exists() else ""
        return text.splitlines()

    def start(self, agent, settings=""):
        agent.configure(f"[general]\nfsfreeze-hook={self.folder}\n[freeze]\n{settings}\n")
        agent.start()


@pytest.fixture(name="hooks")
def hooks_fixture(tmp_path):
    return HookFolder(tmp_path)


def has_ended(pid):
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True


def read_pid(path):
    wait_until(lambda: path.exists() and path.read_text(encoding="utf-8").endswith("\n"), "a pid")
    return int(path.read_text(encoding="utf-8"))


def test_when_the_third_hook_fails_those_that_ran_are_thawed_in_reverse(agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    hooks.add("10-first")
    hooks.add("20-second")
    third = hooks.add("30-third", "[ $1 = thaw ] || { echo no database >&2; exit 3; }")
    hooks.add("40-never")
    hooks.start(agent)
    with pytest.raises(CommandError, match=f"hook {third} freeze: exit status 3: no database"):
        freeze(agent, mount_point)
    assert is_writable(mount_point)
    assert hooks.calls == ["10-first freeze", "20-second freeze", "30-third freeze",
                           "30-third thaw", "20-second thaw", "10-first thaw"]
    assert agent.call("guest-fsfreeze-thaw") == 0
    assert "frozen: " not in agent.log


def test_a_failure_that_is_to_be_ignored_is_reported_and_the_freeze_goes_on(
        agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    failing = hooks.add("10-failing", "exit 1")
    hooks.add("20-good")
    hooks.start(agent, "hook-failure=ignore")
    reply = agent.call("quiesce-freeze", mountpoints=[str(mount_point)])
    assert reply["count"] == 1
    assert not is_writable(mount_point)
    assert [(h["path"], "error" in h) for h in reply["hooks"]] == \
        [(str(failing), True), (str(hooks.folder / "20-good"), False)]
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert hooks.calls == ["10-failing freeze", "20-good freeze", "20-good thaw",
                           "10-failing thaw"]


def test_a_hook_that_hangs_is_killed_with_all_that_it_started(agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    pid_path = hooks.folder.parent / "pid"
    hooks.add("10-good")
    hanging = hooks.add("20-hanging", "[ $1 = thaw ] && exit; trap '' TERM\n"
                        f"sleep 1000 & echo $! >{pid_path}; wait; sleep 1000")
    hooks.start(agent, "hook-timeout=3")
    agent.host.request("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)])
    child = read_pid(pid_path)
    with agent.connect() as second:
        assert second.call("quiesce-status")["state"] == "freezing"
    assert is_writable(mount_point)
    assert f"hook {hanging} freeze: still running after 3 s: killed" in \
        agent.host.receive_reply()["error"]["desc"]
    wait_until(lambda: has_ended(child), "the child of the hook is killed")
    assert is_writable(mount_point)
    assert hooks.calls[2:] == ["20-hanging thaw", "10-good thaw"]


def test_a_background_child_that_keeps_the_output_open_holds_up_nobody(agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    pid_path = hooks.folder.parent / "pid"
    hooks.add("hook", f"[ $1 = thaw ] || {{ sleep 1000 & echo $! >{pid_path}; }}")
    hooks.start(agent, "hook-timeout=15")
    began = time.monotonic()
    assert freeze(agent, mount_point) == 1
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert time.monotonic() - began < 10
    child = read_pid(pid_path)
    assert not has_ended(child)
    os.kill(child, signal.SIGKILL)


def test_a_hundred_megabytes_of_output_leave_the_log_small_and_the_hook_unharmed(
        agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    hooks.add("hook", "echo begin $1; head -c 104857600 /dev/zero | tr '\\0' x; echo; echo end")
    hooks.start(agent)
    assert freeze(agent, mount_point) == 1
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log(r"hook: \d{9} more bytes of output left out", count=2)
    assert "hook: begin freeze" in agent.log
    assert agent.log_path.stat().st_size < 128 * 1024
    status = Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8")
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 32 * 1024


@pytest.mark.parametrize("script,error", [("[ $1 = freeze ] || exit 7", "exit status 7"),
                                          ("[ $1 = freeze ] || sleep 1000", "still running after")])
def test_a_thaw_hook_that_fails_or_hangs_comes_after_the_thaw(
        agent, filesystems, hooks, script, error):
    mount_point = filesystems.add("one")
    hooks.add("hook", script)
    hooks.start(agent, "hook-timeout=2")
    freeze(agent, mount_point)
    agent.host.request("guest-fsfreeze-thaw")
    wait_until(lambda: is_writable(mount_point), "the filesystem waits for no hook", 10)
    assert agent.host.receive_reply()["return"] == 1
    agent.wait_for_log(f"error hook: hook {hooks.folder}/hook thaw: {error}")


def test_hooks_are_thawed_whoever_ends_the_window(agent, filesystems, hooks):
    mount_point = filesystems.add("one")
    hooks.add("hook")
    hooks.start(agent, "hold-timeout=0.2")
    freeze(agent, mount_point)
    wait_until(lambda: hooks.calls == ["hook freeze", "hook thaw"], "the hold-timeout thaws hooks")
    with pytest.raises(CommandError, match="hold-timeout"):
        agent.call("guest-fsfreeze-thaw")
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=TIMEOUT * 1000)
    os.kill(agent.freezer_pid(), signal.SIGKILL)
    wait_until(lambda: hooks.calls[2:] == ["hook freeze", "hook thaw"],
               "the freezer's death thaws hooks")
