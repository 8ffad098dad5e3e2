# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe snapshot: the disks of a real guest at work, through its real QEMU."""

import json
import subprocess

import pytest
from waiting import wait_until
from writers import Writers

FROZEN, UNPROVEN, COULD_NOT_RUN = 0, 2, 3


@pytest.fixture(name="folder")
def new_folder(any_guest, tmp_path):
    """For images; it lives as long as the guest, which goes on in them."""
    folder = any_guest.folder / tmp_path.name
    folder.mkdir()
    return folder


def take(probe, guest, folder, *words):
    return subprocess.run(
        [probe, "snapshot", "--socket", guest.agent_socket, "--qmp", guest.qmp_socket,
         "--to", folder, *words], capture_output=True, text=True, timeout=240, check=False)


def images_in_use(guest):
    with guest.qmp() as qmp:
        return {block["device"]: block["inserted"]["file"] for block in qmp.call("query-block")}


def ext4_needs_recovery(image, folder):
    """Whether the filesystem in an image was in use when the image was last written to."""
    raw = folder / "raw"
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", image, raw], check=True)
    head = subprocess.run(["dumpe2fs", "-h", raw], check=True, capture_output=True, text=True)
    raw.unlink()
    features = next(line for line in head.stdout.splitlines() if "Filesystem features" in line)
    return "needs_recovery" in features


def test_the_snapshot_of_a_busy_guest_is_frozen_and_the_guest_goes_on(any_guest, probe, folder,
                                                                     tmp_path):
    before = images_in_use(any_guest)
    with Writers(any_guest) as writers:
        result = take(probe, any_guest, folder, "--json")
        writers.wait_for_progress()
    report = json.loads(result.stdout)
    assert report["taken"] is True, result.stdout + result.stderr
    assert report["guest-may-be-frozen"] is False
    assert result.returncode == FROZEN, report
    assert {disk["name"]: disk["image"] for disk in report["snapshots"]} == before
    assert images_in_use(any_guest) == \
        {disk["name"]: disk["new-image"] for disk in report["snapshots"]}
    assert sorted(path.name for path in folder.iterdir()) == \
        sorted(f"{name}.qcow2" for name in before)
    stances = {piece["source"]: piece["stance"] for piece in report["evidence"]}
    assert stances["claim"] == "for" == stances["disk"], report["evidence"]
    assert stances["counters"] == "silent"
    # Little more than QEMU needed for the snapshot.
    assert report["snapshot-ms"] < report["window"]["hold-ms"] < report["snapshot-ms"] + 500
    assert not ext4_needs_recovery(before["ext4"], tmp_path)
    print(f"hold {report['window']['hold-ms']} ms, snapshot {report['snapshot-ms']} ms")


def test_the_image_that_the_guest_goes_on_in_is_none(any_guest, probe, folder, tmp_path):
    """The check above can tell: an image of a filesystem at work needs recovery."""
    assert take(probe, any_guest, folder).returncode in (FROZEN, UNPROVEN)
    with Writers(any_guest) as writers:
        writers.wait_for_progress()
    assert ext4_needs_recovery(folder / "ext4.qcow2", tmp_path)


def test_a_snapshot_that_qemu_refuses_leaves_nothing_behind(any_guest, probe, folder):
    before = images_in_use(any_guest)
    with any_guest.qmp() as qmp, Writers(any_guest) as writers:
        qmp.call("drive-backup", device="xfs", job_id="in-the-way", sync="full", speed=1,
                 target=str(any_guest.folder / f"{folder.name}.backup"))
        result = take(probe, any_guest, folder)
        writers.wait_for_progress()
        qmp.call("block-job-cancel", device="in-the-way", force=True)
        wait_until(lambda: not qmp.call("query-block-jobs"), "the job's end")
    assert result.returncode == COULD_NOT_RUN, result
    assert "transaction" in result.stderr and "the guest is thawed" in result.stderr
    assert "nothing was left behind" in result.stderr
    assert list(folder.iterdir()) == []
    assert images_in_use(any_guest) == before


def test_a_folder_with_such_an_image_is_refused_before_the_freeze(any_guest, probe, folder):
    (folder / "xfs.qcow2").touch()
    result = take(probe, any_guest, folder, "--json")
    assert result.returncode == COULD_NOT_RUN, result
    assert "xfs.qcow2 is there already" in result.stderr
    assert "window" not in json.loads(result.stdout)
    assert [path.name for path in folder.iterdir()] == ["xfs.qcow2"]
