# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filesystems that are mounted only in another mount namespace: a container's volume, the private
mount of a service. Loop-mounted ones of the tests' own, frozen by name, never all."""

import fcntl
import os
import signal
import subprocess

import pytest
from agent import QUIESCED, Agent, wait_until
from filesystems import Filesystems, Writer, run

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
REASON = "mounted only in another mount namespace, excluded by other-namespaces of the configuration"


class Container:
    """A mount namespace with a filesystem that is mounted nowhere else. Two processes live in it,
    `oldest` and `youngest`. It holds a descriptor of its own, to thaw at the end in any case."""

    def __init__(self, filesystems):
        self.mount_point = filesystems.directory / "private"
        self.mount_point.mkdir()
        image = filesystems.image("ext4", name="private", size="32M")
        self.oldest = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c",
             'mount -o loop "$0" "$1" || exit; sleep 1000 & exec sleep 1000', image, self.mount_point])
        self.path = f"/proc/{self.oldest.pid}/root{self.mount_point}"
        wait_until(self._mounted, "the private mount")
        self.youngest = wait_until(self._find_youngest, "the second process")
        self.descriptor = os.open(self.path, os.O_RDONLY)

    def _mounted(self):
        assert self.oldest.poll() is None
        with open(f"/proc/{self.oldest.pid}/mountinfo", encoding="utf-8") as mounts:
            return f" {self.mount_point} " in mounts.read()

    def _find_youngest(self):
        listed = subprocess.run(["pgrep", "-P", str(self.oldest.pid), "sleep"], text=True,
                                capture_output=True, check=False).stdout
        return int(listed) if listed else None

    def kill(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if self.oldest.pid in pids:
            self.oldest.wait()

    def close(self):
        try:
            fcntl.ioctl(self.descriptor, FITHAW, 0)
        except OSError:
            pass  # thawed, as it should be
        os.close(self.descriptor)
        for pid in (self.oldest.pid, self.youngest):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.oldest.wait()


@pytest.fixture(name="container")
def container_fixture():
    with Filesystems() as filesystems:
        container = Container(filesystems)
        yield container
        container.close()


@pytest.fixture(name="agent")
def agent_fixture(tmp_path, container):  # pylint: disable=unused-argument
    with Agent(tmp_path) as agent:
        yield agent


def freeze(agent, container):
    return agent.call("quiesce-freeze", mountpoints=[str(container.mount_point)],
                      hold_timeout_ms=60_000)


def test_a_writer_inside_the_namespace_blocks_until_the_thaw(agent, container):
    assert not os.path.ismount(container.mount_point)
    agent.start()
    writer = Writer(container.path)
    writer.wait_for_write()
    reply = freeze(agent, container)
    assert [entry["mountpoint"] for entry in reply["filesystems"]] == [str(container.mount_point)]
    stalled = len(writer.times)
    with pytest.raises(AssertionError):
        wait_until(lambda: len(writer.times) > stalled + 1, "a write", timeout=1)
    reply = agent.call("quiesce-thaw")
    assert reply["count"] == 1 and reply["intact"] is True
    writer.wait_for_write()
    writer.stop()


def test_the_configuration_can_leave_it_out_and_the_reason_says_so(agent, container):
    agent.configure("[freeze]\nother-namespaces=false\n")
    agent.start()
    reply = freeze(agent, container)
    assert reply["count"] == 0 and reply["filesystems"] == []
    assert [(entry["mountpoint"], entry["reason"]) for entry in reply["skipped"]] == \
        [(str(container.mount_point), REASON)]


def test_the_end_of_the_namespace_during_the_hold_does_not_keep_it_frozen(agent, container):
    agent.start()
    assert freeze(agent, container)["count"] == 1
    container.kill(container.youngest, container.oldest.pid)
    reply = agent.call("quiesce-thaw")
    assert reply["count"] == 1
    assert [entry["outcome"] for entry in reply["filesystems"]] == ["thawed"]
    fcntl.ioctl(container.descriptor, FIFREEZE, 0)  # refused if it were frozen yet
    fcntl.ioctl(container.descriptor, FITHAW, 0)


def test_the_death_of_the_process_that_showed_the_namespace_does_not_hide_it(
        agent, container, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\n[ $1 = thaw ] || kill -9 {container.oldest.pid}\n",
                    encoding="utf-8")
    hook.chmod(0o755)
    agent.start(f"--fsfreeze-hook={hook}")
    assert freeze(agent, container)["count"] == 1
    assert container.oldest.wait(20) != 0
    assert agent.call("quiesce-thaw")["count"] == 1


def test_the_plan_names_a_process_of_the_namespace(container):
    plan = run(QUIESCED, "--show-plan")
    line, = (line for line in plan.splitlines() if f" {container.mount_point} " in line)
    assert line.endswith(f", in the mount namespace of process {container.oldest.pid}")
