# SPDX-License-Identifier: LGPL-2.1-or-later
"""What quiesce-probe says of snapshots that Ceph takes of a running guest's disks, with and without
a freeze: the guest's disks are RBD images, and QEMU takes no part in the snapshot."""

import json
import shlex
import subprocess

import pytest
from writers import Writers

FROZEN, NOT_FROZEN = 0, 1
# Here a snapshot takes less than a tenth of a second, and so does the hold.
INTERVAL_SECONDS = "0.01"

pytestmark = pytest.mark.parametrize("disk", ["ext4", "xfs", "btrfs"])


@pytest.fixture(name="busy_guest")
def guest_with_writers(guest):
    with Writers(guest) as writers:
        yield guest
        writers.wait_for_progress()


def run(probe, verb, *arguments):
    """The report of one run of quiesce-probe, and its exit status."""
    result = subprocess.run([probe, verb, "--json", *arguments], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert result.stdout, result
    return json.loads(result.stdout), result.returncode


def watch(probe, guest, *command):
    report, status = run(probe, "watch", "--interval", INTERVAL_SECONDS, "--socket",
                         guest.agent_socket, "--qmp", guest.qmp_socket, "--", *command)
    assert report["command"]["exit-status"] == 0, report
    return report, status


def stances(report):
    return {piece["source"]: piece["stance"] for piece in report["evidence"]}


def assert_inspect_agrees(probe, cluster, snapshot, watched):
    """On the snapshot itself, read through its rbd: address, with nothing but what is on it."""
    report, status = run(probe, "inspect", cluster.address(snapshot))
    assert list(stances(report)) == ["disk"]
    assert (status, report["verdict"], report["consistency"]) == watched, report
    return report


def test_a_snapshot_that_nobody_froze_for_is_called_so_by_watch_and_by_inspect(
        busy_guest, cluster, probe, disk):
    snapshot = f"{disk}@live"
    report, status = watch(probe, busy_guest,
                           *cluster.command("rbd", "snap", "create", f"rbd/{snapshot}"))
    verdict = (NOT_FROZEN, "NOT FROZEN", "crash-consistent")
    assert (status, report["verdict"], report["consistency"]) == verdict, report
    assert report["nobody-froze"] is True and report["freezes"] == []
    assert stances(report)["claim"] == "against"
    report = assert_inspect_agrees(probe, cluster, snapshot, verdict)
    assert stances(report)["disk"] == "against"


def test_a_snapshot_inside_freeze_and_thaw_is_called_frozen_by_watch_and_by_inspect(
        busy_guest, cluster, probe, disk):
    snapshot = f"{disk}@frozen"
    socket = shlex.join(["--socket", str(busy_guest.agent_socket)])
    take = shlex.join(cluster.command("rbd", "snap", "create", f"rbd/{snapshot}"))
    report, status = watch(
        probe, busy_guest, "sh", "-c",
        f"{probe} freeze {socket} && {take}; taken=$?; {probe} thaw {socket} && exit $taken")
    verdict = (FROZEN, "FROZEN", "filesystem-consistent")
    assert (status, report["verdict"], report["consistency"]) == verdict, report
    assert report["nobody-froze"] is False
    (freeze,) = report["freezes"]
    assert freeze["command"] == "quiesce-freeze" and freeze["intact"] is True
    assert freeze["filesystem-count"] == 4
    assert stances(report)["claim"] == "for" and stances(report)["counters"] == "for"
    report = assert_inspect_agrees(probe, cluster, snapshot, verdict)
    assert stances(report)["disk"] == "for"
