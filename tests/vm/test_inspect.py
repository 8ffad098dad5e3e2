# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe on snapshots of a real guest, as QEMU takes them, and on its disks while it runs.

QUIESCED_SNAPSHOTS=50 takes that many of each kind in place of a few."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from guest import MOUNT_POINTS
from waiting import wait_until
from writers import Writers

sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

from fake_agent import FakeAgent

FROZEN, NOT_FROZEN, UNPROVEN = range(3)
SNAPSHOTS = int(os.environ.get("QUIESCED_SNAPSHOTS", "4"))
FS_TYPES = ("ext4", "xfs", "btrfs")
QCOW2 = ("--format", "qcow2")  # has to be said where an image names others below it


@pytest.fixture(name="guest", scope="module")
def guest_whose_btrfs_seldom_commits(guest):
    """Right after a commit, until the next fsync, nothing on a btrfs tells that it is in use."""
    guest.shell("mount -o remount,commit=900 /srv/btrfs")
    return guest


@pytest.fixture(name="agent")
def connected_agent(guest):
    """A host; whatever a test does, it leaves the guest thawed."""
    with guest.agent() as agent:
        agent.sync()
        yield agent
        if agent.call("guest-fsfreeze-status") != "thawed":
            agent.call("guest-fsfreeze-thaw", timeout=120)


@pytest.fixture(name="inspect")
def inspect_images(probe):
    def inspect(*arguments):
        result = subprocess.run([probe, "inspect", *arguments, "--json"], capture_output=True,
                                text=True, timeout=120, check=False)
        assert result.returncode in (FROZEN, NOT_FROZEN, UNPROVEN), result.stderr
        return result.returncode, json.loads(result.stdout)

    return inspect


class Disks:
    """The guest's disks as QEMU knows them now."""

    def __init__(self, guest):
        self._guest = guest
        self._taken = 0

    def active(self):
        """Each disk's file that is being written to."""
        with self._guest.qmp() as qmp:
            return {entry["device"]: Path(entry["inserted"]["file"])
                    for entry in qmp.call("query-block") if entry["device"] in FS_TYPES}

    def new(self, suffix):
        self._taken += 1
        return {fs_type: self._guest.folder / f"{fs_type}-{self._taken}.{suffix}"
                for fs_type in FS_TYPES}

    def transaction(self, kind, paths, name):
        with self._guest.qmp() as qmp:
            qmp.call("transaction", actions=[
                {"type": kind, "data": {"device": fs_type, **name(path)}}
                for fs_type, path in paths.items()])

    def snapshot(self):
        """External snapshots of all disks in one moment: what was written to until then."""
        before = self.active()
        self.transaction("blockdev-snapshot-sync", self.new("qcow2"),
                         lambda path: {"snapshot-file": str(path), "format": "qcow2"})
        return before

    def back_up(self):
        """Raw copies of all disks in one moment."""
        paths = self.new("raw")
        self.transaction("drive-backup", paths, lambda path: {
            "target": str(path), "format": "raw", "sync": "full"})
        with self._guest.qmp() as qmp:
            wait_until(lambda: not qmp.call("query-block-jobs"), "the backup", 120)
        return paths

    def save(self, name):
        """savevm, the internal snapshot of everything, and a copy of the files it is in."""
        paths = self.new("qcow2")
        with self._guest.qmp() as qmp:
            complaint = qmp.call("human-monitor-command", timeout=120,
                                 command_line=f"savevm {name}")
            assert complaint == ""
            qmp.call("stop")
            for fs_type, path in self.active_files(qmp).items():
                shutil.copyfile(path, paths[fs_type])
            qmp.call("cont")
        return paths

    @staticmethod
    def active_files(qmp):
        return {entry["device"]: entry["inserted"]["file"]
                for entry in qmp.call("query-block") if entry["device"] in FS_TYPES}


@pytest.fixture(name="disks", scope="module")
def disks_of_the_guest(guest):
    return Disks(guest)


@pytest.fixture(name="verify")
def verify_with_disks(probe, guest):
    """Runs verify with no witness beside the agent's claim but the counters and the disks."""
    def verify(socket, *arguments):
        result = subprocess.run(
            [probe, "verify", "--socket", socket, "--qmp", guest.qmp_socket, "--no-canary",
             *arguments, "--json"], capture_output=True, text=True, timeout=240, check=False)
        assert result.returncode in (FROZEN, NOT_FROZEN, UNPROVEN), result.stderr
        report = json.loads(result.stdout)
        return result.returncode, next(
            piece for piece in report["evidence"] if piece["source"] == "disk"), report

    return verify


class Liar(FakeAgent):
    """Stands between the host and the guest's agent, and speaks like one that tells no UUIDs."""

    PASSED_ON = ("guest-get-fsinfo", "guest-fsfreeze-status", "guest-fsfreeze-thaw")

    def __init__(self, path, agent):
        super().__init__(path)
        for command in self.PASSED_ON:
            self.answers[command] = lambda _, command=command: agent.call(command, timeout=120)


@pytest.fixture(name="liar")
def agent_between(tmp_path, agent):
    with Liar(tmp_path / "liar.sock", agent) as liar:
        yield liar


def frozen(agent, take):
    """What take() returns, taken while the guest is frozen."""
    assert agent.call("guest-fsfreeze-freeze", timeout=120) == len(MOUNT_POINTS)
    taken = take()
    assert agent.call("guest-fsfreeze-thaw", timeout=120) == len(MOUNT_POINTS)
    return taken


def assert_told(inspect, images, expected, *options):
    """Each disk for itself, and all together as one guest."""
    for fs_type, image in images.items():
        status, report = inspect(image, *options)
        found = [entry["type"] for entry in report["disk-filesystems"]]
        assert found == [fs_type], report
        assert status == expected, report["disk-filesystems"]
        assert report["images"][0]["bytes-read"] < 8 << 20, report
    status, report = inspect(*images.values(), *options)
    assert status == expected, report
    assert report["consistency"] == (
        "filesystem-consistent" if expected == FROZEN else "crash-consistent")


def test_external_snapshots_tell_frozen_from_not(guest, agent, disks, inspect):
    taken = []
    with Writers(guest) as writers:
        for _ in range(SNAPSHOTS):
            writers.wait_for_progress()
            taken.append((disks.snapshot(), NOT_FROZEN))
            taken.append((frozen(agent, disks.snapshot), FROZEN))
    for images, expected in taken:
        assert_told(inspect, images, expected, *QCOW2)


def test_raw_backups_tell_frozen_from_not(guest, agent, disks, inspect):
    with Writers(guest) as writers:
        live = disks.back_up()
        quiet = frozen(agent, disks.back_up)
        writers.wait_for_progress()
    assert_told(inspect, live, NOT_FROZEN)
    assert_told(inspect, quiet, FROZEN)


def test_internal_snapshots_tell_frozen_from_not(guest, agent, disks, inspect):
    with Writers(guest) as writers:
        live = disks.save("live")
        writers.wait_for_progress()
        quiet = frozen(agent, lambda: disks.save("quiet"))
        writers.wait_for_progress()
    assert_told(inspect, live, NOT_FROZEN, *QCOW2, "--snapshot", "live")
    assert_told(inspect, quiet, FROZEN, *QCOW2, "--snapshot", "quiet")


def test_verify_sees_the_running_disks_go_quiet(guest, verify):
    with Writers(guest) as writers:
        status, piece, report = verify(guest.agent_socket)
        writers.wait_for_progress()
    assert status == FROZEN, report
    assert piece["stance"] == "for", piece
    states = {entry["type"]: (entry["before"]["state"], entry["hold"]["state"])
              for entry in report["disk-filesystems"]}
    assert states == {fs_type: ("in use", "quiet") for fs_type in FS_TYPES}
    assert {entry["hold"]["readings"] for entry in report["disk-filesystems"]} == {2}
    assert report["window"]["hold-ms"] < 3000


def test_verify_leaves_no_export_behind(guest, verify):
    verify(guest.agent_socket)
    with guest.qmp() as qmp:
        assert qmp.call("query-block-exports") == []
        qmp.call("nbd-server-start", addr={"type": "unix", "data": {
            "path": str(guest.folder / "nbd.sock")}})
    try:
        _, piece, _ = verify(guest.agent_socket)
        assert piece["stance"] == "silent" and piece["remedy"], piece
    finally:
        with guest.qmp() as qmp:
            qmp.call("nbd-server-stop")


def test_an_agent_that_only_claims_is_found_out_by_the_disks(guest, verify, liar):
    liar.answers["guest-fsfreeze-freeze"] = lambda _: liar.freeze(len(MOUNT_POINTS))
    liar.answers["guest-fsfreeze-status"] = lambda _: "frozen" if liar.frozen else "thawed"
    liar.answers["guest-fsfreeze-thaw"] = lambda _: liar.thaw()
    with Writers(guest):
        status, piece, report = verify(liar.path)
    assert status == NOT_FROZEN, report
    assert piece["stance"] == "against", piece


@pytest.mark.parametrize("left_out", FS_TYPES)
def test_an_agent_that_leaves_one_out_is_found_out_by_the_disks(guest, agent, verify, liar,
                                                                left_out):
    def freeze(_):
        frozen_ones = [name for name in MOUNT_POINTS if name != f"/srv/{left_out}"]
        agent.call("guest-fsfreeze-freeze-list", timeout=120, mountpoints=frozen_ones)
        return len(MOUNT_POINTS)

    def thaw(_):
        count = agent.call("guest-fsfreeze-thaw", timeout=120)
        return len(MOUNT_POINTS) if count else 0

    liar.answers["guest-fsfreeze-freeze"] = freeze
    liar.answers["guest-fsfreeze-thaw"] = thaw
    with Writers(guest):
        status, piece, report = verify(liar.path)
    assert status == NOT_FROZEN, report
    assert piece["stance"] == "against", piece
    assert left_out in piece["summary"]


def test_an_agent_that_thaws_at_once_is_found_out_by_the_disks(guest, agent, verify, liar):
    def freeze(_):
        count = agent.call("guest-fsfreeze-freeze", timeout=120)
        agent.call("guest-fsfreeze-thaw", timeout=120)
        return liar.freeze(count)

    liar.answers["guest-fsfreeze-freeze"] = freeze
    liar.answers["guest-fsfreeze-status"] = lambda _: "frozen" if liar.frozen else "thawed"
    liar.answers["guest-fsfreeze-thaw"] = lambda _: liar.thaw()
    with Writers(guest):
        status, piece, report = verify(liar.path)
    assert status == NOT_FROZEN, report
    assert piece["stance"] == "against", piece
