# SPDX-License-Identifier: LGPL-2.1-or-later
"""Agents for the tests of this folder; what they said is shown when a test fails."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from agent import QEMU_GA, Agent


@pytest.fixture(name="agent")
def quiesced(tmp_path):
    """A quiesced that the test starts with the options it needs."""
    with Agent(tmp_path) as agent:
        yield agent


@pytest.fixture(name="peer")
def qemu_ga(tmp_path):
    """Debian's qemu-ga, to be started likewise: what we stand in for."""
    if not QEMU_GA.exists():
        pytest.skip(f"{QEMU_GA} is not installed (package qemu-guest-agent)")
    folder = tmp_path / "peer"
    folder.mkdir()
    with Agent(folder, QEMU_GA) as agent:
        yield agent


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        for name, value in item.funcargs.items():
            if isinstance(value, Agent):
                report.sections.append((name, value.evidence()))
