# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesced and Debian's qemu-ga, started side by side and asked the same."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

from agent import Agent  # noqa: E402 (needs the path above)
from pair import Pair  # noqa: E402


@pytest.fixture
def pair(tmp_path):
    with Pair(tmp_path) as both:
        yield both


@pytest.fixture(name="agent")
def quiesced(tmp_path):
    """A quiesced alone, for where qemu-ga would hang or differ by intent."""
    with Agent(tmp_path) as agent:
        yield agent
