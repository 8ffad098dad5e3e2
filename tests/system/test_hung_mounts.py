# SPDX-License-Identifier: LGPL-2.1-or-later
"""A FUSE server that has stopped answering holds up no freeze of what does not depend on it."""

import re
import shutil
import signal
import time

import pytest
from agent import Agent
from filesystems import Filesystems, is_writable, run
from test_fsinfo import StoppedFuse

DEADLINE = 5
pytestmark = pytest.mark.skipif(not shutil.which("fuse2fs"), reason="fuse2fs is not installed")


@pytest.fixture(name="filesystems")
def filesystems_fixture():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="served")
def served_fixture(filesystems):
    """A FUSE mount; a test stops its server, which goes on before anything is unmounted."""
    with StoppedFuse(filesystems, "served") as served:
        yield served
        served.server.send_signal(signal.SIGCONT)
        while filesystems.mounts:
            run("umount", filesystems.mounts[-1])
            filesystems.mounts.pop()


@pytest.fixture(name="agent")
def agent_fixture(tmp_path, served):  # pylint: disable=unused-argument
    with Agent(tmp_path) as agent:
        yield agent


def freeze_within_deadline(agent, mount_point):
    began = time.monotonic()
    assert agent.call("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)]) == 1
    assert time.monotonic() - began < DEADLINE
    assert not is_writable(mount_point)
    assert agent.call("guest-fsfreeze-thaw") == 1


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_nothing_is_asked_of_a_hung_mount_nor_of_a_loop_file_on_it(
        agent, filesystems, served, tmp_path):
    data = filesystems.add("data", size="16M")
    filesystems.add("inner", below=served.mount_point, size="16M")
    trace = tmp_path / "trace"
    agent.start(prefix=["strace", "-D", "-f", "-o", trace, "-e", "trace=%file,%fstat,ioctl"])
    served.stop()
    freeze_within_deadline(agent, data)
    calls = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    assert any(f'"{data}"' in call and "open" in call for call in calls)
    assert not [call for call in calls if str(served.mount_point) in call]
    assert not [call for call in calls if re.search(r'"[^"]*/inner"', call)]


def test_a_filesystem_mounted_on_a_hung_mount_is_reached_by_another_mount_of_it(
        agent, filesystems, served):
    (served.mount_point / "below").mkdir()
    filesystems.mount(filesystems.image("ext4", name="data", size="16M"), "served/below",
                      "-o", "loop")
    bind = filesystems.mount(served.mount_point / "below", "bind", "--bind")
    agent.start()
    served.stop()
    freeze_within_deadline(agent, bind)
