# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe with real agents on this machine's kernel, and with a real QEMU's monitor.
Loop-mounted filesystems only, never all: what is "the guest" here is the machine itself."""

import signal
import subprocess
import time

import pytest
from agent import QEMU_GA, QUIESCED, Agent, wait_until
from fake_agent import FakeAgent
from filesystems import Filesystems, Writer, run as run_tool
from probe import ERROR, FROZEN, NOT_FROZEN, UNPROVEN, Probe, run

# qemu-ga thaws every filesystem that it sees mounted: it is to see the test's own only.
ALONE = """#!/bin/sh
[ "$ALONE" ] || ALONE=1 exec unshare --mount --propagation private "$0" "$@"
awk '$1 ~ "^/dev/loop" { print $2 }' /proc/mounts | while read -r path; do
    case $path in MINE/*) ;; *) umount -l "$path" ;; esac
done
exec PROGRAM "$@"
"""


@pytest.fixture(name="filesystems")
def filesystems_fixture():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="agent", params=[QUIESCED, QEMU_GA], ids=["quiesced", "qemu-ga"])
def agent_fixture(request, tmp_path, filesystems):  # the filesystems outlive the agent
    """Either agent; to be started once the filesystems are there."""
    if not request.param.exists():
        pytest.skip(f"{request.param} is not installed (package qemu-guest-agent)")
    wrapper = tmp_path / "alone"
    script = ALONE.replace("MINE", str(filesystems.directory))
    wrapper.write_text(script.replace("PROGRAM", str(request.param)), encoding="utf-8")
    wrapper.chmod(0o755)
    with Agent(tmp_path, wrapper) as agent:
        agent.is_quiesced = request.param == QUIESCED
        yield agent


def arguments(agent, *mount_points, hold=1):
    """Of a verify of these filesystems and no other."""
    assert mount_points, "this would freeze the machine"
    words = ["verify", "--hold", hold, "--socket", agent.socket_path]
    for mount_point in mount_points:
        words += ["--mountpoint", mount_point]
    return words


def wait_until_frozen(writer):
    wait_until(lambda: time.monotonic() - writer.times[-1][1] > 0.4, "the filesystem is frozen")


@pytest.mark.parametrize("fs_types", [("ext4",), ("xfs",), ("btrfs",), ("ext4", "xfs", "btrfs")],
                         ids="+".join)
def test_a_frozen_filesystem_is_proven_by_writers(agent, filesystems, fs_types):
    mount_points = [filesystems.add(fs_type, fs_type) for fs_type in fs_types]
    agent.start()
    agent.hang_up()
    result = run(*arguments(agent, *mount_points), "--json")
    assert result.status == FROZEN, result
    assert result.json["verdict"] == "FROZEN"
    assert result.json["consistency"] == "filesystem-consistent"
    assert result.json["agent"]["quiesced"] == agent.is_quiesced
    assert result.json["window"]["frozen-count"] == len(fs_types)
    assert result.json["window"]["thawed-count"] == len(fs_types)
    canaries = {canary["mountpoint"]: canary for canary in result.json["canaries"]}
    assert set(canaries) == {str(mount_point) for mount_point in mount_points}
    for canary in canaries.values():
        assert canary["writes-before"] > 0 < canary["writes-after"]
        assert canary["writes-during"] == 0
        assert canary["longest-gap-ms"] >= 900
    for mount_point in mount_points:
        assert [path.name for path in mount_point.iterdir() if path.name != "lost+found"] == []


def test_a_filesystem_that_somebody_thaws_is_not_frozen(agent, filesystems):
    mount_point = filesystems.add("data")
    agent.start()
    agent.hang_up()
    writer = Writer(mount_point)
    writer.wait_for_write()
    probe = Probe(*arguments(agent, mount_point, hold=3), "--json")
    wait_until_frozen(writer)
    run_tool("fsfreeze", "-u", mount_point)
    result = probe.end()
    writer.stop()
    assert result.status == NOT_FROZEN, result
    assert result.piece("canary")["stance"] == "against"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_hold_leaves_the_filesystem_writable(agent, filesystems, number):
    mount_point = filesystems.add("data")
    agent.start()
    agent.hang_up()
    writer = Writer(mount_point)
    writer.wait_for_write()
    probe = Probe(*arguments(agent, mount_point, hold=60))
    wait_until_frozen(writer)
    probe.signal(number)
    result = probe.end(within=20)
    writer.wait_for_write()
    writer.stop()
    assert result.status == ERROR, result
    assert number.name in result.errors


def test_an_agent_killed_during_the_hold_is_no_frozen_guest(filesystems, tmp_path):
    mount_point = filesystems.add("data")
    with Agent(tmp_path) as agent:
        agent.start()
        agent.hang_up()
        writer = Writer(mount_point)
        writer.wait_for_write()
        probe = Probe(*arguments(agent, mount_point, hold=5), "--timeout", 1)
        wait_until_frozen(writer)
        agent.kill()
        agent.wait()
        writer.wait_for_write()
        writer.stop()
        result = probe.end(within=30)
    assert result.status in (ERROR, NOT_FROZEN), result


def test_a_read_only_filesystem_does_not_silence_the_other_writers(filesystems, agent):
    mount_points = [filesystems.add("data"), filesystems.add("fixed")]
    run_tool("mount", "-o", "remount,ro", mount_points[1])
    agent.start()
    agent.hang_up()
    result = run(*arguments(agent, *mount_points), "--json")
    if agent.is_quiesced:  # it leaves the other out, though it was asked for
        assert result.status == UNPROVEN, result
        assert result.piece("canary")["stance"] == "for"
        assert result.json["window"]["skipped"][0]["mountpoint"] == str(mount_points[1])
        return
    assert result.status == FROZEN, result
    assert [canary["read-only"] for canary in result.json["canaries"]] == [False, True]


def test_freeze_status_and_thaw_with_a_real_agent(agent, filesystems):
    mount_point = filesystems.add("data")
    agent.start()
    agent.hang_up()
    common = ["--json", "--socket", agent.socket_path]
    frozen = run("freeze", *common, "--mountpoint", mount_point)
    state = run("status", *common)
    thawed = run("thaw", *common)
    assert frozen.json["window"]["frozen-count"] == 1, frozen
    assert state.json["state"] == "frozen"
    assert thawed.json["window"]["thawed-count"] == 1
    assert thawed.json["agent"]["quiesced"] == agent.is_quiesced
    assert ("intact" in thawed.json["window"]) == agent.is_quiesced
    assert run("status", *common).json["state"] == "thawed"


# ---- QEMU's own monitor

@pytest.fixture(name="monitor")
def monitor_fixture(tmp_path):
    """The QMP socket of a stopped virtual machine with a -drive, a -blockdev and a CD-ROM."""
    path = tmp_path / "qmp.sock"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-S", "-display", "none", "-nodefaults",
               "-qmp", f"unix:{path},server=on,wait=off",
               "-drive", "driver=null-co,if=virtio,id=root", "-drive", "if=ide,media=cdrom,id=cd",
               "-blockdev", "driver=null-co,node-name=data",
               "-device", "virtio-blk-pci,drive=data,id=data-disk"]
    try:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("qemu-system-x86_64 is not installed")
    with machine:
        wait_until(path.exists, "QEMU's monitor")
        yield path
        machine.kill()


def test_a_real_monitor_gives_the_counters_of_the_writable_disks(monitor, tmp_path):
    with FakeAgent(tmp_path / "agent.sock") as agent:
        result = run("verify", "--json", "--hold", 0.5, "--socket", agent.path, "--qmp", monitor)
    assert result.status == UNPROVEN, result
    names = [device["name"] for device in result.json["devices"]]
    assert names == ["root", "/machine/peripheral/data-disk/virtio-backend"]
    assert all(device["hold"]["intervals"] >= 4 for device in result.json["devices"])
    assert "no device wrote" in result.piece("counters")["summary"]
