# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe --domain where the program that talks to libvirt is missing, or no use."""

import shutil
import subprocess
import time

import pytest
from probe import ERROR, PROBE
from wire import wait_until


@pytest.fixture(name="folder")
def folder_of_the_prober(tmp_path):
    """With quiesce-probe alone in it, which looks beside itself first."""
    shutil.copy(PROBE, tmp_path)
    return tmp_path


def put_program(folder, script):
    program = folder / "quiesce-probe-libvirt"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def ping(folder):
    return subprocess.run([folder / "quiesce-probe", "ping", "--domain", "vm1", "--timeout", "1"],
                          capture_output=True, text=True, timeout=60, check=False)


def test_a_prober_without_libvirt_says_what_to_install(folder):
    result = ping(folder)
    assert result.returncode == ERROR
    assert "/quiesce-probe-libvirt, which is not there" in result.stderr
    assert "-Dlibvirt=enabled" in result.stderr


def test_a_program_that_ends_is_an_error(folder):
    put_program(folder, "exit 1")
    result = ping(folder)
    assert result.returncode == ERROR and "ended on its own" in result.stderr


def test_a_program_that_hangs_costs_the_timeout_and_is_gone(folder):
    put_program(folder, f"echo $$ >{folder}/pid; exec sleep 1000")
    begin = time.monotonic()
    result = ping(folder)
    assert result.returncode == ERROR and "did not answer within 1000 ms" in result.stderr
    assert time.monotonic() - begin < 10
    pid = (folder / "pid").read_text().strip()
    wait_until(lambda: subprocess.run(["kill", "-0", pid], capture_output=True,
                                      check=False).returncode, "it is gone", 10)


def test_a_program_that_talks_nonsense_is_an_error(folder):
    put_program(folder, "echo '\"nonsense\"' >&0; exec sleep 1000")
    assert ping(folder).returncode == ERROR
