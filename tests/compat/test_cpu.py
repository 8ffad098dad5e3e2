# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processors and memory, beside qemu-ga. Nothing of this machine is switched off; that is done in
the guest (tests/vm/test_hotplug.py)."""

import os
import signal
import subprocess

import pytest

from wire import wait_until

SWITCH = {"logical-id": 0, "online": True}


def by(key, rows):
    return sorted(rows, key=lambda row: row[key])


def test_the_same_processors_in_ascending_order(pair):
    answers = pair.ask("guest-get-vcpus")
    ours = answers["quiesced"].value
    assert ours == by("logical-id", answers["qemu-ga"].value)
    assert len(ours) == os.cpu_count()


@pytest.mark.parametrize("vcpus", [
    [], [SWITCH], [SWITCH, SWITCH], [{**SWITCH, "can-offline": False}],
    [{"logical-id": 99, "online": True}], [SWITCH, {"logical-id": 99, "online": True}],
    [{"logical-id": -1, "online": True}], [{"logical-id": 1 << 40, "online": False}],
    [{"logical-id": 0}], [{"online": True}], [{**SWITCH, "more": 1}], [5], "x",
])
def test_switching_processors(pair, vcpus):
    pair.same("guest-set-vcpus", vcpus=vcpus)


def test_the_boot_processor_cannot_be_switched_off(pair):
    if any(row["can-offline"] for row in pair.ask("guest-get-vcpus")["quiesced"].value
           if row["logical-id"] == 0):
        pytest.skip("this kernel lets processor 0 be switched off")
    off = {"logical-id": 0, "online": False}
    pair.same_text("guest-set-vcpus", vcpus=[off])
    assert pair.same("guest-set-vcpus", vcpus=[SWITCH, off, SWITCH]).value == 1


def test_the_times_of_each_processor_are_milliseconds_since_the_start(pair):
    answers = pair.ask("guest-get-cpustats")
    ours, theirs = (by("cpu", answers[name].value) for name in ("quiesced", "qemu-ga"))
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for our_row, their_row in zip(ours, theirs):
        assert our_row["type"] == their_row["type"] and our_row["cpu"] == their_row["cpu"]
        for name in our_row.keys() - {"type", "cpu"}:
            assert abs(our_row[name] - their_row[name]) < 20_000, name


def test_the_load_averages_are_the_kernels(agent):
    agent.start()
    with open("/proc/loadavg", encoding="ascii") as file:
        kernel = [float(word) for word in file.read().split()[:3]]
    load = agent.call("guest-get-load")
    assert list(load) == ["load1m", "load5m", "load15m"]
    assert list(load.values()) == pytest.approx(kernel, abs=1)


def test_the_same_memory_blocks_in_ascending_order(pair):
    answers = pair.ask("guest-get-memory-blocks")
    assert answers["quiesced"].value == by("phys-index", answers["qemu-ga"].value)
    pair.same("guest-get-memory-block-info")


@pytest.mark.parametrize("blocks", [
    [], [{"phys-index": 0, "online": True}], [{"phys-index": 99999999, "online": True}],
    [{"phys-index": 99999999, "online": False}, {"phys-index": 0, "online": True, "can-offline": True}],
    [{"phys-index": 0}], [{"online": True}], [5], 5,
])
def test_switching_memory(pair, blocks):
    pair.same("guest-set-memory-blocks", mem_blks=blocks)


# Opening a pipe's only end hangs as switching a block off does whose pages cannot be moved.
HUNG_MEMORY = """set -e
mount -t tmpfs none /sys/devices/system/memory
mkdir /sys/devices/system/memory/memory7
mkfifo /sys/devices/system/memory/memory7/state
exec "$@"
"""


def test_memory_that_cannot_be_switched_off_holds_up_nobody(agent):
    agent.start(prefix=("unshare", "-m", "sh", "-c", HUNG_MEMORY, "sh"))
    blocks = [{"phys-index": 99, "online": True}, {"phys-index": 7, "online": False}]
    with agent.connect() as other:
        agent.host.request("guest-set-memory-blocks", mem_blks=blocks)
        assert other.call("guest-ping") == {}
        worker = wait_until(lambda: subprocess.run(["pgrep", "-P", str(agent.pid), "quiesced-memory"], timeout=20,
                                                   capture_output=True, text=True).stdout, "the process is there")
        os.kill(int(worker), signal.SIGKILL)
        assert agent.host.receive_reply(20)["return"] == [
            {"phys-index": 99, "response": "not-found", "error-code": 2},
            {"phys-index": 7, "response": "operation-failed", "error-code": 4}]
