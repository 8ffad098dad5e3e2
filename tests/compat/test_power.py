# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-shutdown and guest-suspend-*, beside qemu-ga, with programs that write down how they were
called in place of this machine's own. The real ones: tests/vm/test_power.py."""

import pytest

from agent import CommandError
from wire import wait_until

# In a mount namespace of the test's own: nothing of this machine is touched.
SETUP = """set -e
for program in /bin/systemctl /sbin/shutdown; do mount --bind "$PROGRAM" "$(readlink -f $program)"; done
exec "$@"
"""
PREFIX = ("unshare", "-m", "sh", "-c", SETUP, "sh")


def start(agent, script):
    """Starts an agent for which all of these programs are script; returns where it writes to."""
    record = agent.directory / "record"
    program = agent.directory / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> {record}\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    agent.environment = {"PROGRAM": str(program)}
    agent.start(prefix=PREFIX)
    return record


def recorded(record):
    return wait_until(lambda: record.exists() and record.read_text(encoding="utf-8"), "a program was called")


@pytest.mark.parametrize("mode, switches", [
    (None, "-P +0"), ("powerdown", "-P +0"), ("halt", "-H +0"), ("reboot", "-r +0")])
def test_shutdown_is_called_as_by_qemu_ga(pair, mode, switches):
    for agent in pair.agents.values():
        agent.stop()
        record = start(agent, "")
        agent.host.request("guest-shutdown", **({"mode": mode} if mode else {}))
        program, *words = recorded(record).split()
        assert program.endswith("shutdown") and switches in " ".join(words)
        agent.host.expect_silence()
        assert agent.call("guest-ping") == {}


@pytest.mark.parametrize("mode", ["x", "", "Powerdown", "power down"])
def test_a_mode_that_there_is_not_has_the_same_error(pair, mode):
    answers = pair.ask("guest-shutdown", mode=mode)
    ours, theirs = answers["quiesced"], answers["qemu-ga"]
    assert ours.error_class == theirs.error_class == "GenericError"
    assert ours.text.rstrip(")") == theirs.text  # qemu-ga leaves its parenthesis open


def test_a_shutdown_that_fails_tells_why(agent):
    start(agent, "echo 'no, it is my turn' >&2; exit 3")
    with pytest.raises(CommandError, match="cannot power down: /sbin/shutdown: exit status 3: no, it is my turn"):
        agent.call("guest-shutdown")


def test_what_is_called_gets_a_clean_environment(agent):
    record = agent.directory / "environment"
    start(agent, f"env > {record}.new; mv {record}.new {record}")
    agent.host.request("guest-shutdown")
    names = {line.partition("=")[0] for line in recorded(record).splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.parametrize("kind", ["disk", "hybrid", "ram"])
def test_a_sleep_that_the_kernel_does_not_know_is_an_error(agent, kind):
    with open("/sys/power/state", encoding="ascii") as state:
        if state.read().strip():
            pytest.skip("this machine's kernel can sleep")
    record = start(agent, "")
    with pytest.raises(CommandError, match="not supported by the guest: its kernel cannot suspend to"):
        agent.call(f"guest-suspend-{kind}")
    assert not record.exists()
