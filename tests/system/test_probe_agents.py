# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe with real agents on this machine's kernel, and with a real QEMU's monitor.
Loop-mounted filesystems only, never all: what is "the guest" here is the machine itself."""

import re
import signal
import subprocess
import time
from pathlib import Path

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


def device_of(mount_point):
    return run_tool("findmnt", "-no", "SOURCE", mount_point).strip()


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


# ---- what quiesced remembers

@pytest.fixture(name="quiesced")
def quiesced_fixture(tmp_path, filesystems):  # the filesystems outlive the agent
    with Agent(tmp_path) as agent:
        # Nothing of this machine's own, even if somebody leaves out --mountpoint.
        agent.configure(f"[freeze]\ninclude-mountpoints={filesystems.directory}/*\n")
        yield agent


def probe_quiesced(agent, verb, *words):
    return run(verb, "--socket", agent.socket_path, *words)


def test_the_history_tells_intact_windows_from_broken_and_failed_ones(quiesced, filesystems):
    mount_point = filesystems.add("data")
    hook = quiesced.directory / "hook"
    hook.write_text(f"#!/bin/sh\ntest ! -e {hook}.fails\n", encoding="utf-8")
    hook.chmod(0o755)
    quiesced.start(f"-F{hook}")
    quiesced.hang_up()
    assert probe_quiesced(quiesced, "history").output == "nothing has been frozen yet\n"
    for broken in (False, True):
        frozen = probe_quiesced(quiesced, "freeze", "--mountpoint", mount_point)
        assert frozen.status == 0, frozen
        if broken:
            run_tool("fsfreeze", "-u", mount_point)
        assert probe_quiesced(quiesced, "thaw").status == 0
    Path(f"{hook}.fails").touch()
    assert probe_quiesced(quiesced, "freeze", "--mountpoint", mount_point).status == ERROR

    rows = [re.split("  +", line)
            for line in probe_quiesced(quiesced, "history").output.splitlines()]
    assert rows[0] == ["when (UTC)", "who froze", "filesystems", "held", "window", "because"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", row[0]) for row in rows[1:])
    assert [row[1:3] + row[-2:] for row in rows[1:]] == [
        ["quiesce-freeze", "1", rows[1][3], "intact"],
        ["quiesce-freeze", "1", "BROKEN",
         f"{mount_point} (ext4 on {device_of(mount_point)}) was thawed by somebody else during the "
         "hold"],
        ["quiesce-freeze", "0", "failed", rows[3][-1]]]
    assert str(hook) in rows[3][-1]

    last = probe_quiesced(quiesced, "history", "--count", 1, "--json").json["windows"]
    assert len(last) == 1 and str(hook) in last[0]["error"]
    assert probe_quiesced(quiesced, "history", "--count", 65).status == ERROR


def test_the_history_outlives_the_agent(quiesced, filesystems):
    mount_point = filesystems.add("data")
    quiesced.start()
    quiesced.hang_up()
    probe_quiesced(quiesced, "freeze", "--mountpoint", mount_point)
    probe_quiesced(quiesced, "thaw")
    before = probe_quiesced(quiesced, "history", "--json").json["windows"]
    quiesced.stop()
    quiesced.start()
    quiesced.hang_up()
    assert probe_quiesced(quiesced, "history", "--json").json["windows"] == before != []


def test_the_log_is_read_while_the_guest_and_the_log_file_are_frozen(quiesced, filesystems):
    mount_point = filesystems.add("data")
    quiesced.log_path = mount_point / "log"
    quiesced.start()
    quiesced.hang_up()
    probe_quiesced(quiesced, "freeze", "--mountpoint", mount_point)
    frozen = probe_quiesced(quiesced, "log", "--json")
    lines = probe_quiesced(quiesced, "log", "--lines", 3).output.splitlines()
    probe_quiesced(quiesced, "thaw")
    assert any("FROZEN: 1 filesystem" in line for line in frozen.json["lines"]), frozen
    assert len(lines) == 3
    assert "FROZEN: 1 filesystem" in quiesced.log_path.read_text(encoding="utf-8")


def test_a_thaw_shows_what_was_mounted_during_the_hold(quiesced, filesystems):
    mount_point = filesystems.add("data")
    quiesced.start()
    quiesced.hang_up()
    for words in ([], ["--json"]):
        probe_quiesced(quiesced, "freeze", "--mountpoint", mount_point)
        late = filesystems.add(f"late{len(words)}", size="16M")
        result = probe_quiesced(quiesced, "thaw", *words)
        if words:
            assert str(late) in [f["mountpoint"] for f in result.json["window"]["not-covered"]]
        else:
            assert re.search(rf"^{late} +ext4 +/dev/loop\d+ +was not frozen$", result.output,
                             re.MULTILINE), result


@pytest.mark.parametrize("verb", ["history", "log"])
def test_an_agent_that_remembers_nothing_is_named(agent, verb):
    agent.start()
    agent.hang_up()
    result = probe_quiesced(agent, verb)
    assert result.status == (0 if agent.is_quiesced else ERROR), result
    assert ("only quiesced can answer this" in result.errors) != agent.is_quiesced


def test_a_freeze_and_a_thaw_that_have_nothing_to_do_say_so(agent, filesystems):
    mount_point = filesystems.add("data")
    agent.start()
    agent.hang_up()
    assert probe_quiesced(agent, "thaw").output.split() == ["thawed", "nothing", "was", "frozen"]
    none = probe_quiesced(agent, "freeze", "--mountpoint", "/nowhere")
    assert none.status == ERROR and "nothing was frozen" in none.errors, none
    assert probe_quiesced(agent, "freeze", "--mountpoint", mount_point).status == 0
    again = probe_quiesced(agent, "freeze", "--mountpoint", mount_point)
    assert again.status == ERROR and "the guest is frozen already" in again.errors, again
    assert probe_quiesced(agent, "thaw").status == 0


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
