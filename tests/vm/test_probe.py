# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe on the host against a real guest, with quiesced inside and with qemu-ga."""

import json
import signal
import subprocess
import time

import pytest
from waiting import wait_until
from writers import Writers

FROZEN, COULD_NOT_RUN = 0, 3


@pytest.fixture(name="run_probe")
def probe_on_the_guest(probe, any_guest):
    def run_probe(verb, *arguments):
        return subprocess.run(
            [probe, verb, "--socket", any_guest.agent_socket, *arguments],
            capture_output=True, text=True, timeout=240, check=False)

    return run_probe


def stands_still(guest):
    counts = guest.write_counts()
    time.sleep(0.5)
    return guest.write_counts() == counts


def test_verify_finds_a_busy_guest_frozen_by_all_its_evidence(any_guest, run_probe):
    with Writers(any_guest) as writers:
        result = run_probe("verify", "--qmp", any_guest.qmp_socket, "--json")
        assert result.returncode == FROZEN, result.stdout + result.stderr
        report = json.loads(result.stdout)
        assert report["verdict"] == "FROZEN"
        stances = {piece["source"]: piece["stance"] for piece in report["evidence"]}
        assert stances == {"claim": "for", "counters": "for", "canary": "for", "disk": "for"}
        assert report["window"]["frozen-count"] == report["window"]["thawed-count"] == 4
        writers.wait_for_progress()


def test_verify_needs_no_qmp_and_no_load_to_find_the_guest_frozen(run_probe):
    result = run_probe("verify")
    assert result.returncode == FROZEN, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].startswith("verdict   FROZEN")


def test_freeze_status_and_thaw_do_what_they_say(any_guest, run_probe):
    with Writers(any_guest) as writers:
        assert run_probe("freeze").returncode == 0
        assert "frozen" in run_probe("status").stdout
        assert stands_still(any_guest)
        assert run_probe("thaw").returncode == 0
        assert "thawed" in run_probe("status").stdout
        writers.wait_for_progress()


def test_an_interrupted_verify_leaves_the_guest_thawed(any_guest, probe):
    with Writers(any_guest) as writers:
        verify = subprocess.Popen(
            [probe, "verify", "--socket", any_guest.agent_socket, "--hold", "120"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: stands_still(any_guest), "the guest is frozen")
        verify.send_signal(signal.SIGINT)
        errors = verify.communicate(timeout=60)[1]
        assert verify.returncode == COULD_NOT_RUN, errors
        writers.wait_for_progress()


def test_a_guest_without_an_agent_is_an_error_in_time(guest, probe):
    guest.shell("guest-agent stop")
    try:
        start = time.monotonic()
        result = subprocess.run(
            [probe, "ping", "--socket", guest.agent_socket, "--timeout", "2"],
            capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == COULD_NOT_RUN
        assert time.monotonic() - start < 20
    finally:
        guest.shell("guest-agent start quiesced")
