# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agent tells of a guest's hardware and switches there, on hardware that this machine has
not got or that is not to be switched off."""

from pathlib import Path

import pytest
from wire import CommandError

MAKE_ZOO = Path(__file__).resolve().parent / "make-zoo"


@pytest.fixture(name="agent")
def connected_agent(workshop_guest):
    with workshop_guest.agent() as agent:
        agent.sync()
        yield agent


def disks(agent):
    return {row["name"]: row for row in agent.call("guest-get-disks", timeout=60)}


def online(agent):
    return {row["logical-id"]: row["online"] for row in agent.call("guest-get-vcpus")}


def test_a_processor_is_switched_off_and_on(workshop_guest, agent):
    assert online(agent) == {0: True, 1: True}
    assert agent.call("guest-set-vcpus", vcpus=[{"logical-id": 1, "online": False}], timeout=60) == 1
    assert online(agent) == {0: True, 1: False}
    assert workshop_guest.shell("cat /sys/devices/system/cpu/online").strip() == "0"
    assert len(agent.call("guest-get-cpustats")) == 1
    assert agent.call("guest-set-vcpus", vcpus=[{"logical-id": 1, "online": True}], timeout=60) == 1
    assert online(agent) == {0: True, 1: True}


def test_a_memory_block_is_switched_off_and_on(workshop_guest, agent):
    blocks = agent.call("guest-get-memory-blocks")
    size = agent.call("guest-get-memory-block-info")["size"]
    assert all(block["online"] for block in blocks) and len(blocks) * size >= 512 << 20
    for block in reversed(blocks):
        index = block["phys-index"]
        (reply,) = agent.call("guest-set-memory-blocks", mem_blks=[{"phys-index": index, "online": False}],
                              timeout=120)
        if reply["response"] == "success":
            break
        assert reply == {"phys-index": index, "response": "operation-failed", "error-code": reply["error-code"]}
    else:
        pytest.skip("the guest's kernel gives no block away")
    state = f"/sys/devices/system/memory/memory{index}/state"
    assert workshop_guest.shell(f"cat {state}").strip() == "offline"
    assert {b["phys-index"]: b["online"] for b in agent.call("guest-get-memory-blocks")}[index] is False
    (reply,) = agent.call("guest-set-memory-blocks", mem_blks=[{"phys-index": index, "online": True}])
    assert reply == {"phys-index": index, "response": "success"}
    assert workshop_guest.shell(f"cat {state}").strip() == "online"


def test_an_nvme_drive_tells_of_its_health(agent):
    drive = disks(agent)["/dev/nvme0n1"]
    assert drive["address"]["bus-type"] == "nvme"
    smart = drive["smart"]
    assert smart["type"] == "nvme" and smart["critical-warning"] == 0
    assert 250 < smart["temperature"] < 400  # kelvin
    assert smart["power-cycles-lo"] >= 0 and smart["host-read-commands-lo"] > 0


def test_stacked_disks_name_what_they_lie_on(workshop_guest, agent):
    workshop_guest.shell(MAKE_ZOO.read_text(encoding="utf-8"), timeout=300)
    found = disks(agent)
    assert found["/dev/md0"]["dependencies"] == ["/dev/sda", "/dev/sdb"]
    mapped = {row["alias"]: row for row in found.values() if "alias" in row}
    assert mapped["vault"]["dependencies"] == ["/dev/md0"]
    assert mapped["volume"]["dependencies"] == [mapped["vault"]["name"]]
    partitions = [row for row in found.values() if row["partition"] and row["dependencies"] == ["/dev/sde"]]
    assert len(partitions) == 5
    assert found["/dev/sda"]["address"]["bus-type"] == "scsi" and "address" not in found["/dev/md0"]


def test_sleep_that_the_kernel_does_not_know_is_an_error(workshop_guest, agent):
    states = workshop_guest.shell("cat /sys/power/state").split()
    if "disk" in states:
        pytest.skip("the guest's kernel can suspend to disk")
    with pytest.raises(CommandError, match="its kernel cannot suspend to disk"):
        agent.call("guest-suspend-disk")


def test_the_guest_ends_when_it_is_told_to(guest):
    """The guest has no shutdown(8): a script does what that would do in the end."""
    guest.shell("printf '#!/bin/sh\\necho \"$*\" >/dev/kmsg\\nexec poweroff -f\\n' >/sbin/shutdown; "
                "chmod +x /sbin/shutdown")
    with guest.agent() as agent:
        agent.sync()
        agent.request("guest-shutdown", mode="powerdown")
        guest.wait_until_down()
    assert "-h -P +0" in (guest.logs / "console.log").read_text(encoding="utf-8", errors="replace")
