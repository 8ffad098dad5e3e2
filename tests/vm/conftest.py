# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests for the tests of this folder: one per module and agent, with its console and the agent's
log shown when a test fails."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from guest import Guest
from guest_report import pytest_runtest_makereport  # noqa: F401, a hook

BUILD = Path(os.environ.get("QUIESCED_BUILD", HERE.parents[1] / "build"))


def boot(request, agent, workshop=0):
    name = Path(request.node.name).stem.replace("[", "-").replace("]", "")
    logs = BUILD / "guest" / "logs" / f"{name}-{agent}"
    with Guest(BUILD, agent, logs, workshop) as guest:
        yield guest


@pytest.fixture(name="guest", scope="module")
def quiesced_guest(request):
    yield from boot(request, "quiesced")


@pytest.fixture(scope="module")
def peer_guest(request):
    """With Debian's qemu-ga."""
    yield from boot(request, "qemu-ga")


@pytest.fixture(scope="module")
def workshop_guest(request):
    """With quiesced, blank disks sda to sde, and what it takes to build filesystems on them."""
    yield from boot(request, "quiesced", workshop=5)


@pytest.fixture(scope="module", params=["quiesced", "qemu-ga"])
def any_guest(request):
    """What any agent must do, ours and the one we replace."""
    name = {"quiesced": "guest", "qemu-ga": "peer_guest"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture(scope="session")
def probe():
    """The path of quiesce-probe."""
    return BUILD / "prober" / "quiesce-probe"
