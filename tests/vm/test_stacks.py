# SPDX-License-Identifier: LGPL-2.1-or-later
"""A zoo of filesystems on real stacks of devices (make-zoo builds it): each is frozen once, before
what it lies on, or left out for the right reason."""

from pathlib import Path

import pytest
from guest import MOUNT_POINTS

MAKE_ZOO = Path(__file__).resolve().parent / "make-zoo"
ZOO = {f"/zoo/{name}" for name in ("volume", "first", "second", "third", "pool", "inside", "f2fs",
                                  "jfs", "nilfs2")}
EVERYTHING = ZOO | set(MOUNT_POINTS)

# Each lies on the next.
CHAINS = [
    ["/zoo/third", "/zoo/second", "/zoo/first", "/zoo/volume"],
    ["/zoo/inside", "/zoo/pool"],
    ["/srv/nested", "/srv/ext4"],
]
REASONS = {
    "/zoo/memory": "pseudo filesystem, holds nothing on a disk",
    "/zoo/vfat": "its type cannot be frozen",
    "/zoo/exfat": "its type cannot be frozen",
    "/zoo/iso9660": "read-only image, nothing ever writes to it",
    "/zoo/squashfs": "read-only image, nothing ever writes to it",
    "/zoo/overlay": "stacked filesystem, writes land on filesystems frozen by themselves",
    "/zoo/served": "FUSE filesystem, the kernel cannot freeze it",
}
TRACING = "/sys/kernel/tracing"


@pytest.fixture(name="zoo", scope="module")
def guest_with_a_zoo(workshop_guest):
    workshop_guest.shell(MAKE_ZOO.read_text(), timeout=300)
    return workshop_guest


@pytest.fixture(name="agent")
def connected_agent(zoo):
    """A host; whatever a test does, it leaves the guest thawed."""
    with zoo.agent() as agent:
        agent.sync()
        yield agent
        agent.call("guest-fsfreeze-thaw", timeout=120)


class CallTrace:
    """Counts the kernel's own freeze and thaw functions."""

    FUNCTIONS = ("freeze_super", "thaw_super")

    def __init__(self, guest):
        self._guest = guest

    def __enter__(self):
        self._guest.shell(f"cd {TRACING} && echo {' '.join(self.FUNCTIONS)} >set_ftrace_filter && "
                          "echo function >current_tracer && echo >trace && echo 1 >tracing_on")
        return self

    def __exit__(self, *_):
        self._guest.shell(f"cd {TRACING} && echo nop >current_tracer && echo >set_ftrace_filter")

    def counts(self):
        trace = self._guest.shell(f"cat {TRACING}/trace")
        return tuple(trace.count(f": {function} <-") for function in self.FUNCTIONS)


def writes_to(guest, mount_points):
    guest.shell("\n".join(
        f"dd if=/dev/zero of={mount_point}/probe bs=4k count=1 conv=fsync status=none || exit 1"
        for mount_point in sorted(mount_points)))


def assert_ordered(waves):
    for chain in CHAINS:
        assert [waves[name] for name in chain] == sorted({waves[name] for name in chain}), chain


def test_every_filesystem_is_frozen_once_and_before_what_it_lies_on(zoo, agent):
    writes_to(zoo, EVERYTHING)
    with CallTrace(zoo) as trace:
        reply = agent.call("quiesce-freeze", timeout=120)
        assert trace.counts() == (len(EVERYTHING), 0)
        thawed = agent.call("quiesce-thaw", timeout=120)
        assert trace.counts() == (len(EVERYTHING), len(EVERYTHING))
    waves = {entry["mountpoint"]: entry["wave"] for entry in reply["filesystems"]}
    assert set(waves) == EVERYTHING
    assert_ordered(waves)
    frozen_at = {entry["mountpoint"]: entry["frozen-at-us"] for entry in reply["filesystems"]}
    thawed_at = {entry["mountpoint"]: entry["thawed-at-us"] for entry in thawed["filesystems"]}
    for chain in CHAINS:
        for upper, lower in zip(chain, chain[1:]):
            assert frozen_at[upper] <= frozen_at[lower]
            assert thawed_at[lower] <= thawed_at[upper]
    assert thawed["intact"]
    writes_to(zoo, EVERYTHING)


def test_what_is_left_out_is_told_with_its_reason(agent):
    reply = agent.call("quiesce-freeze", timeout=120)
    reasons = {entry["mountpoint"]: entry["reason"] for entry in reply["skipped"]}
    assert {name: reason for name, reason in reasons.items() if name.startswith("/zoo")} == REASONS


def test_a_stopped_fuse_server_delays_no_freeze(zoo, agent):
    zoo.shell("kill -STOP $(pidof fuse2fs)")
    try:
        assert agent.call("guest-fsfreeze-freeze", timeout=20) == len(EVERYTHING)
        assert agent.call("guest-fsfreeze-thaw", timeout=20) == len(EVERYTHING)
    finally:
        zoo.shell("kill -CONT $(pidof fuse2fs)")


def test_a_filesystem_of_another_namespace_is_frozen_before_the_one_below_it(zoo, agent):
    zoo.shell("""
        truncate -s 16M /zoo/volume/private.img
        /usr/sbin/mke2fs -q -F -t ext4 /zoo/volume/private.img
        mkdir -p /zoo/private
        cat >/run/private <<'END'
mount -t ext4 -o loop /zoo/volume/private.img /zoo/private || exit
echo $$ >/run/private.pid
exec sleep 1000
END
        setsid unshare -m sh /run/private </dev/null >/dev/null 2>&1 3>&- &
        while ! [ -s /run/private.pid ]; do sleep 0.1; done""")
    try:
        zoo.shell("! mountpoint -q /zoo/private")
        with CallTrace(zoo) as trace:
            reply = agent.call("quiesce-freeze", timeout=120)
            assert trace.counts() == (len(EVERYTHING) + 1, 0)
        waves = {entry["mountpoint"]: entry["wave"] for entry in reply["filesystems"]}
        assert set(waves) == EVERYTHING | {"/zoo/private"}
        assert waves["/zoo/private"] < waves["/zoo/volume"]
        zoo.shell("kill -9 $(cat /run/private.pid)")
        assert agent.call("guest-fsfreeze-thaw", timeout=120) == len(EVERYTHING) + 1
        writes_to(zoo, EVERYTHING)
    finally:
        zoo.run("kill -9 $(cat /run/private.pid)")


def test_the_plan_can_be_read_beforehand(zoo):
    lines = [line.split() for line in zoo.shell("quiesced --show-plan").splitlines()]
    waves = {words[2]: int(words[1]) for words in lines if words[0] == "wave"}
    # That the kernel cannot freeze their type is only seen when it is tried.
    assert set(waves) == EVERYTHING | {"/zoo/vfat", "/zoo/exfat"}
    assert_ordered(waves)
    left_out = {words[0]: " ".join(words[3:]) for words in lines if words[0].startswith("/zoo")}
    assert left_out == {name: REASONS[name] for name in set(REASONS) - set(waves)}
