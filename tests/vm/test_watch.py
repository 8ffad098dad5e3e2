# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe watch against a real guest that somebody else freezes, or not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from writers import Writers

FROZEN, NOT_FROZEN, UNPROVEN = 0, 1, 2
HOLD_SECONDS = 2

# A backup tool that snapshots a disk and asks no guest.
SNAPSHOT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
from clients import QmpClient
with QmpClient.connect(sys.argv[1]) as qmp:
    qmp.call("blockdev-snapshot-sync", device="ext4", snapshot_file=sys.argv[2])
"""


class Watch:
    def __init__(self, probe, guest, *words):
        self._process = subprocess.Popen(
            [probe, "watch", "--json", "--socket", guest.agent_socket, "--qmp", guest.qmp_socket,
             *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def end(self, within=120):
        output, self.errors = self._process.communicate(timeout=within)
        self.status = self._process.returncode
        self.report = json.loads(output)
        return self

    def stances(self):
        return {piece["source"]: piece["stance"] for piece in self.report["evidence"]}


def is_quiesced(guest):
    with guest.agent() as agent:
        agent.sync()
        return any(command["name"] == "quiesce-history"
                   for command in agent.call("guest-info")["supported_commands"])


def freeze_and_thaw(probe, guest):
    to_guest = f"--socket {guest.agent_socket}"
    return f"{probe} freeze {to_guest} && sleep {HOLD_SECONDS} && {probe} thaw {to_guest}"


@pytest.fixture(name="busy_guest")
def guest_with_writers(any_guest):
    with Writers(any_guest) as writers:
        yield any_guest
        writers.wait_for_progress()


def assert_frozen(watch, quiesced):
    """What is known when the guest was frozen: with quiesced everything, else what the disks show."""
    watch.end()
    assert watch.stances()["counters"] == "for", watch.report
    assert watch.report["nobody-froze"] is False
    if not quiesced:
        assert watch.status == UNPROVEN, watch.report
        longest = max(still["to-at-us"] - still["from-at-us"] for still in watch.report["stills"])
        assert HOLD_SECONDS * 0.7 < longest / 1e6 < HOLD_SECONDS + 5
        return
    assert (watch.status, watch.report["verdict"]) == (FROZEN, "FROZEN"), watch.report
    assert watch.report["consistency"] == "filesystem-consistent"
    (freeze,) = watch.report["freezes"]
    assert freeze["command"] == "quiesce-freeze" and freeze["thaw-command"] == "quiesce-thaw"
    assert freeze["intact"] is True and freeze["filesystem-count"] == 4
    assert HOLD_SECONDS * 1000 <= freeze["held-ms"] < (HOLD_SECONDS + 5) * 1000
    busy = [device for device in freeze["devices"] if device["before"]["writes"] > 0]
    assert busy and all(device["hold"]["intervals"] >= 5 and device["hold"]["writes"] == 0
                        for device in busy)


def test_a_command_that_freezes_through_the_same_socket_is_seen_to_do_so(busy_guest, probe):
    watch = Watch(probe, busy_guest, "--", "sh", "-c", freeze_and_thaw(probe, busy_guest))
    assert_frozen(watch, is_quiesced(busy_guest))
    assert watch.report["command"]["exit-status"] == 0, watch.errors


def test_a_freeze_by_another_client_is_seen_until_ctrl_c(busy_guest, probe):
    quiesced = is_quiesced(busy_guest)
    watch = Watch(probe, busy_guest)
    time.sleep(2)  # part of what is watched: the guest at work
    subprocess.run(freeze_and_thaw(probe, busy_guest), shell=True, check=True, timeout=120,
                   stdout=subprocess.DEVNULL)
    time.sleep(1)
    watch.interrupt()
    assert_frozen(watch, quiesced)


def test_a_snapshot_that_nobody_froze_for_is_called_so(busy_guest, probe, tmp_path):
    watch = Watch(probe, busy_guest, "--", sys.executable, "-c", SNAPSHOT,
                  busy_guest.folder / "harness.sock", busy_guest.folder / f"{tmp_path.name}.qcow2")
    quiesced = is_quiesced(busy_guest)
    watch.end()
    assert watch.report["command"]["exit-status"] == 0, watch.errors
    if not quiesced and watch.status == UNPROVEN:
        return  # with counters alone an emulated guest that stumbles may be thought to be frozen
    assert (watch.status, watch.report["verdict"]) == (NOT_FROZEN, "NOT FROZEN"), watch.report
    assert watch.report["nobody-froze"] is True and watch.report["freezes"] == []
    assert watch.report["consistency"] == "crash-consistent"
    if quiesced:
        assert watch.stances()["claim"] == "against"


def test_what_a_failed_command_ended_with_is_told_beside_the_verdict(guest, probe):
    watch = Watch(probe, guest, "--", "sh", "-c", "exit 7").end()
    assert watch.report["command"]["exit-status"] == 7
    assert (watch.status, watch.report["verdict"]) == (NOT_FROZEN, "NOT FROZEN"), watch.report
