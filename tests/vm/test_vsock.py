# SPDX-License-Identifier: LGPL-2.1-or-later
"""The channel vsock-listen, over the guest kernel's own loopback (VMADDR_CID_LOCAL, vsock(7))."""

import json

import pytest

PORT = 1234
HOST = f"socat -t 20 - VSOCK-CONNECT:1:{PORT}"


@pytest.fixture(name="guest", scope="module")
def guest_with_an_agent_on_vsock(workshop_guest):
    workshop_guest.shell(f"quiesced -m vsock-listen -p 1:{PORT} -t /run/vsock -f /run/vsock.pid "
                         "-l /run/vsock.log -d")
    yield workshop_guest
    workshop_guest.run("kill $(cat /run/vsock.pid)")


def test_an_agent_on_vsock_serves_one_host_after_the_other_and_two_at_once(guest):
    for _ in range(3):
        answer = guest.shell(f"echo '{{\"execute\": \"guest-ping\"}}' | {HOST}")
        assert '{"return": {}}' in answer
    guest.shell(f"mkfifo /run/first; {HOST} </run/first >/run/first.out & "
                "exec 9>/run/first; echo '{\"execute\": \"guest-ping\"}' >&9; "
                f"echo '{{\"execute\": \"guest-sync\", \"arguments\": {{\"id\": 7}}}}' | {HOST} "
                ">/run/second.out; exec 9>&-; wait")
    assert guest.shell("cat /run/first.out").strip() == '{"return": {}}'
    assert guest.shell("cat /run/second.out").strip() == '{"return": 7}'


def test_the_prober_reaches_an_agent_by_vsock(guest):
    ping = json.loads(guest.shell("quiesce-probe ping --vsock 1 --count 3 --json"))
    assert ping["guest"] == f"vsock 1:{PORT}" and "socket" not in ping
    assert ping["agent"]["quiesced"] and ping["round-trip"]["samples"] == 3
    report = json.loads(guest.shell(
        f"quiesce-probe verify --vsock 1:{PORT} --mountpoint /srv/ext4 --mountpoint /srv/xfs "
        "--mountpoint /srv/nested --json", timeout=120))
    assert report["verdict"] == "FROZEN"
    assert report["window"]["frozen-count"] == report["window"]["thawed-count"] == 3


def test_a_vsock_port_without_an_agent_is_an_error_with_a_remedy(guest):
    status, output = guest.run("quiesce-probe ping --vsock 1:4321 --timeout 2 2>&1")
    assert status == 3
    assert "vsock 1:4321" in output and "-m vsock-listen" in output
