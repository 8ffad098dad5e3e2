# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of a guest of a real libvirtd: quiesce-probe's own, and virsh's under its eyes."""

import json
import shlex

import pytest
from test_libvirt import (  # noqa: F401 (fixtures, by their names)
    guest_of_libvirt, libvirt_daemon, pytestmark, run_probe)
from writers import Writers

FROZEN, NOT_FROZEN, UNPROVEN, COULD_NOT_RUN = range(4)


@pytest.fixture(name="folder")
def new_folder(domain, tmp_path):
    """For images; it lives as long as the guest, which goes on in them."""
    folder = domain.host.folder / f"{domain.name}-{tmp_path.name}"
    folder.mkdir()
    return folder


def images_in_use(domain):
    lines = domain.host.virsh("domblklist", domain.name).splitlines()[2:]
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


def images(named):
    return {name: image.strip() for name, image in named.items()}


def watch_virsh(domain, folder, *words):
    """watch --json, while virsh takes a snapshot."""
    disks = [word for name in images_in_use(domain)
             for word in ("--diskspec", f"{name},file={folder}/{name}.qcow2")]
    snapshot = shlex.join(["virsh", "-c", domain.host.uri, "snapshot-create-as", domain.name,
                           "--disk-only", "--atomic", "--no-metadata", *disks, *words])
    # Long enough for the writers to be seen on both sides of it.
    command = f"sleep 2; {snapshot}; status=$?; sleep 1; exit $status"
    with Writers(domain):
        result = run_probe(domain.host, "watch", domain.name, "--json", "--", "sh", "-c", command)
    report = json.loads(result.stdout)
    assert report["command"]["exit-status"] == 0, result.stderr
    return result.returncode, report


def test_a_snapshot_through_libvirt_is_frozen_and_the_guest_goes_on(domain, folder):
    before = images(images_in_use(domain))
    with Writers(domain) as writers:
        result = run_probe(domain.host, "snapshot", domain.name, "--to", folder, "--json")
        writers.wait_for_progress()
    report = json.loads(result.stdout)
    assert report["taken"] is True, result
    assert result.returncode == FROZEN, report
    assert {disk["name"]: disk["image"] for disk in report["snapshots"]} == before
    assert images(images_in_use(domain)) == \
        {disk["name"]: disk["new-image"] for disk in report["snapshots"]}
    print(f"hold {report['window']['hold-ms']} ms, snapshot {report['snapshot-ms']} ms")


def test_a_snapshot_that_libvirt_refuses_leaves_nothing_behind(domain, folder):
    folder.chmod(0o555)  # the daemon is not root
    before = images_in_use(domain)
    result = run_probe(domain.host, "snapshot", domain.name, "--to", folder)
    assert result.returncode == COULD_NOT_RUN, result
    assert "the guest is thawed" in result.stderr and "nothing was left behind" in result.stderr
    assert images_in_use(domain) == before and not list(folder.iterdir())


def test_virsh_is_seen_to_freeze_for_its_snapshot(domain, folder):
    status, report = watch_virsh(domain, folder, "--quiesce")
    if not report["agent"]["quiesced"]:
        assert status in (UNPROVEN, NOT_FROZEN), report  # too short a freeze to be seen from outside
        return
    (freeze,) = report["freezes"]
    assert freeze["command"] == "guest-fsfreeze-freeze" and freeze["intact"], report
    assert freeze["thaw-command"] == "guest-fsfreeze-thaw"
    assert freeze["filesystem-count"] == 4 and report["nobody-froze"] is False
    claim = next(piece for piece in report["evidence"] if piece["source"] == "claim")
    assert claim["stance"] == "for", report["evidence"]
    assert status in (FROZEN, UNPROVEN), report  # by how long virsh held it
    print(f"virsh held {freeze['held-ms']} ms: {report['verdict']}")


def test_virsh_without_quiesce_is_seen_to_freeze_nobody(domain, folder):
    status, report = watch_virsh(domain, folder)
    if not report["agent"]["quiesced"] and status == UNPROVEN:
        return  # with counters alone an emulated guest that stumbles may be thought to be frozen
    assert status == NOT_FROZEN, report
    assert report["nobody-froze"] is True and report["freezes"] == []
