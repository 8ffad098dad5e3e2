# SPDX-License-Identifier: LGPL-2.1-or-later
"""The channel vsock-listen, over the guest kernel's own loopback (VMADDR_CID_LOCAL, vsock(7))."""

PORT = 1234
HOST = f"socat -t 20 - VSOCK-CONNECT:1:{PORT}"


def test_an_agent_on_vsock_serves_one_host_after_the_other_and_two_at_once(workshop_guest):
    guest = workshop_guest
    guest.shell(f"quiesced -m vsock-listen -p 1:{PORT} -t /run/vsock -f /run/vsock.pid "
                "-l /run/vsock.log -d")
    try:
        for _ in range(3):
            answer = guest.shell(f"echo '{{\"execute\": \"guest-ping\"}}' | {HOST}")
            assert '{"return": {}}' in answer
        guest.shell(f"mkfifo /run/first; {HOST} </run/first >/run/first.out & "
                    "exec 9>/run/first; echo '{\"execute\": \"guest-ping\"}' >&9; "
                    f"echo '{{\"execute\": \"guest-sync\", \"arguments\": {{\"id\": 7}}}}' | {HOST} "
                    ">/run/second.out; exec 9>&-; wait")
        assert guest.shell("cat /run/first.out").strip() == '{"return": {}}'
        assert guest.shell("cat /run/second.out").strip() == '{"return": 7}'
    finally:
        guest.run("kill $(cat /run/vsock.pid)")
