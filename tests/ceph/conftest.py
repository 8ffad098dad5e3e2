# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test guest of tests/vm with its disks in a Ceph cluster of its own."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "vm"), str(HERE.parent)]

import cluster as ceph
from guest import Guest
from guest_report import pytest_runtest_makereport  # noqa: F401, a hook

BUILD = Path(os.environ.get("QUIESCED_BUILD", HERE.parents[1] / "build"))


@pytest.fixture(name="cluster", scope="session")
def running_cluster():
    reason = ceph.missing()
    if reason:
        pytest.skip(reason)
    with ceph.Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def guest(cluster):
    """Each of its disks, ext4, xfs and btrfs, is an RBD image of that name."""
    def import_disks(images):
        for name, path in images.items():
            cluster.run("rbd", "import", path, f"{ceph.POOL}/{name}")
        return {name: cluster.address(name) for name in images}

    with Guest(BUILD, logs=BUILD / "guest" / "logs" / "ceph", disks=import_disks) as guest:
        yield guest


@pytest.fixture(scope="session")
def probe():
    """The path of quiesce-probe."""
    return BUILD / "prober" / "quiesce-probe"
