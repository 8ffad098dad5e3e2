# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-get-disks and guest-get-diskstats, beside qemu-ga. Device mapper, md and NVMe: in the
guest."""

import subprocess

import pytest

from filesystems import Filesystems

PARTITIONS = "label: gpt\nsize=4MiB\nsize=2MiB\n"


@pytest.fixture(name="loop")
def partitioned_loop_device(tmp_path):
    image = tmp_path / "partitioned.img"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["sfdisk", "-q", str(image)], input=PARTITIONS, text=True, check=True, timeout=30)
    device = subprocess.run(["losetup", "--find", "--show", str(image)], check=True,
                            capture_output=True, text=True, timeout=30).stdout.strip()
    # By partx(8), as not every kernel reads partition tables by itself.
    subprocess.run(["partx", "--add", device], check=True, timeout=30)
    yield device
    subprocess.run(["partx", "--delete", device], check=True, timeout=30)
    subprocess.run(["losetup", "-d", device], check=True, timeout=30)


def by_name(rows):
    return {row["name"]: row for row in rows}


def test_the_same_disks(pair, loop):
    with Filesystems() as filesystems:
        filesystems.add("mounted")
        answers = pair.ask("guest-get-disks")
    ours, theirs = (by_name(answers[name].value) for name in ("quiesced", "qemu-ga"))
    assert ours == theirs
    assert ours[loop] == {"name": loop, "partition": False, "dependencies": []}
    assert ours[f"{loop}p1"] == {"name": f"{loop}p1", "partition": True, "dependencies": [loop]}


def test_a_disk_comes_before_its_partitions(agent, loop):
    agent.start()
    names = [row["name"] for row in agent.call("guest-get-disks")]
    at = names.index(loop)
    assert names[at:at + 3] == [loop, f"{loop}p1", f"{loop}p2"]


def test_the_same_counters(pair, loop):
    answers = pair.ask("guest-get-diskstats")
    ours, theirs = (by_name(answers[name].value) for name in ("quiesced", "qemu-ga"))
    assert ours.keys() == theirs.keys()
    for name, row in ours.items():
        assert (row["major"], row["minor"]) == (theirs[name]["major"], theirs[name]["minor"])
        assert row["stats"].keys() == theirs[name]["stats"].keys()
    name = loop.removeprefix("/dev/")
    assert ours[name] == theirs[name]  # nobody uses it


def test_the_counters_are_the_kernels(agent, loop):
    agent.start()
    with open(loop, "rb", buffering=0) as device:
        device.read(1 << 20)
    name = loop.removeprefix("/dev/")
    with open("/proc/diskstats", encoding="ascii") as file:
        kernel = next(line.split() for line in file if line.split()[2] == name)
    stats = by_name(agent.call("guest-get-diskstats"))[name]["stats"]
    assert [stats["read-ios"], stats["read-merges"], stats["read-sectors"]] == [int(n) for n in kernel[3:6]]
    assert stats["read-sectors"] >= 2048
