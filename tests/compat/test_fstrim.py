# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-fstrim. Where a minimum of 1 PiB is asked for nothing is trimmed; trimming what is free does no
harm to the machine."""

import subprocess

import pytest

from agent import CommandError
from filesystems import Filesystems



# Nothing but / and the test's own: a filesystem that somebody else has frozen would be waited for.
SETUP = """set -e
findmnt -rno TARGET | tac | while read -r mount; do
    case $mount in /|/proc*|/sys*|/dev*|"$KEEP"*) ;; *) umount -l "$mount" ;; esac
done
exec "$@"
"""
PREFIX = ("unshare", "-m", "sh", "-c", SETUP, "sh")


def start(agent, filesystems):
    agent.environment = {"KEEP": str(filesystems.directory)}
    agent.start(prefix=PREFIX)


@pytest.fixture(name="filesystems")
def some_filesystems():
    with Filesystems() as filesystems:
        yield filesystems


def results(agent, **arguments):
    return {row["path"]: row for row in agent.call("guest-fstrim", timeout=120, **arguments)["paths"]}


def test_every_filesystem_is_reported_and_what_is_free_is_trimmed(agent, filesystems):
    mount_point = filesystems.add("trimmed")
    image = mount_point.parent / "trimmed.img"
    with open(mount_point / "file", "wb") as file:
        file.write(b"x" * (8 << 20))
    subprocess.run(["sync", "-f", mount_point], check=True)
    (mount_point / "file").unlink()
    subprocess.run(["sync", "-f", mount_point], check=True)
    before = image.stat().st_blocks if image.exists() else None
    start(agent, filesystems)
    row = results(agent)[str(mount_point)]
    assert row["trimmed"] >= 8 << 20 and "error" not in row and row["minimum"] >= 0
    if before is not None:
        assert image.stat().st_blocks < before - (4 << 20) // 512


def test_a_minimum_that_is_too_large_is_an_error_of_each_filesystem(pair, filesystems):
    mount_point = str(filesystems.add("one"))
    for agent in pair.agents.values():
        agent.stop()
        start(agent, filesystems)
        row = results(agent, minimum=1 << 50)[mount_point]
        assert row == {"path": mount_point, "error": "failed to trim: Invalid argument"}


def test_the_agent_answers_others_meanwhile_and_refuses_a_second_trim(agent, filesystems):
    for number in range(4):
        filesystems.add(f"fs{number}")
    start(agent, filesystems)
    with agent.connect() as other:
        agent.host.request("guest-fstrim", minimum=1 << 50)
        assert other.call("guest-ping") == {}
        try:
            other.call("guest-fstrim", minimum=1 << 50)
        except CommandError as error:
            assert "being trimmed already" in error.text
        assert agent.host.receive_reply(120)["return"]["paths"]


def test_a_filesystem_is_trimmed_once_however_often_it_is_mounted(agent, filesystems):
    mount_point = filesystems.add("one")
    again = filesystems.directory / "again"
    again.mkdir()
    subprocess.run(["mount", "--bind", mount_point, again], check=True)
    try:
        start(agent, filesystems)
        paths = results(agent, minimum=1 << 50).keys()
        assert len(paths & {str(mount_point), str(again)}) == 1
    finally:
        subprocess.run(["umount", again], check=True)
