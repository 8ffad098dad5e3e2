# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-canary: writers that the host starts, reads and stops, around a freeze by whomever."""

from pathlib import Path

import pytest
from agent import CommandError, wait_until
from filesystems import is_writable, run
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)


def start(agent, *mount_points, **more):
    return agent.call("quiesce-canary", action="start", mountpoints=[str(m) for m in mount_points],
                      **more)


def read(agent):
    return agent.call("quiesce-canary", action="read")


def writes(agent):
    return [filesystem["writes"] for filesystem in read(agent)["filesystems"]]


def canary_processes(agent):
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="utf-8")
    return [pid for pid in children.split() if "canary" in name_of(pid)]


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has just ended


@pytest.mark.parametrize("fs_type", ["ext4", "xfs", "btrfs"])
def test_canaries_fall_silent_while_frozen_and_go_on_after(agent, filesystems, fs_type):
    frozen, free = filesystems.add("frozen", fs_type), filesystems.add("free")
    agent.start()
    started = start(agent, frozen, free)
    assert started["running"] and 59000 < started["limit-left-ms"] <= 60000
    assert [f["mountpoint"] for f in started["filesystems"]] == [str(frozen), str(free)]
    wait_until(lambda: min(writes(agent)) > 3, "both write")
    assert freeze(agent, frozen) == 1
    before = writes(agent)
    wait_until(lambda: writes(agent)[1] > before[1] + 20, "the other one goes on")
    assert writes(agent)[0] <= before[0] + 1  # one may have ended just before the freeze
    silent = writes(agent)[0]
    assert agent.call("guest-fsfreeze-thaw") == 1
    wait_until(lambda: writes(agent)[0] > silent, "it writes again")
    first, second = agent.call("quiesce-canary", action="stop")["filesystems"]
    assert first["longest-gap-ms"] >= 200 > second["longest-gap-ms"]
    assert first["gap-end-at-us"] - first["gap-start-at-us"] == \
        pytest.approx(first["longest-gap-ms"] * 1000, abs=2)


def test_a_stopped_run_writes_no_more_and_can_be_read_until_the_next(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    assert read(agent) == {"running": False, "filesystems": []}
    start(agent, mount_point)
    wait_until(lambda: writes(agent)[0] > 3, "it writes")
    agent.call("quiesce-canary", action="stop")
    wait_until(lambda: not canary_processes(agent), "nobody is left to write")
    stopped = read(agent)
    assert not stopped["running"] and stopped["filesystems"][0]["writes"] > 3
    assert read(agent) == stopped
    run("umount", mount_point)
    run("mount", "-o", "loop", filesystems.directory / "one.img", mount_point)
    assert start(agent, mount_point)["filesystems"][0]["writes"] < 3
    agent.call("quiesce-canary", action="stop")


def test_a_run_ends_at_its_limit_though_the_host_is_lost(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    start(agent, mount_point, limit_ms=300)
    agent.hang_up()
    agent.wait_for_log("canaries ended at their limit")
    wait_until(lambda: not canary_processes(agent), "nobody is left to write")
    assert read(agent)["running"] is False


def test_an_agent_that_dies_leaves_no_writer(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    start(agent, mount_point, limit_ms=3600000)
    wait_until(lambda: writes(agent)[0] > 0, "it writes")
    writer = Path("/proc") / canary_processes(agent)[0]
    agent.kill()
    agent.wait()
    wait_until(lambda: not writer.exists(), "the writers have ended")


def test_there_is_one_run_at_a_time_and_none_begins_while_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    start(agent, mount_point)
    with pytest.raises(CommandError, match="canaries are running already.*stop them first"):
        start(agent, mount_point)
    agent.call("quiesce-canary", action="stop")
    assert freeze(agent, mount_point) == 1
    with pytest.raises(CommandError, match="cannot start canaries while .* frozen"):
        start(agent, mount_point)
    assert read(agent)["running"] is False
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert len(canary_processes(agent)) == 0


def test_a_run_may_be_stopped_while_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    start(agent, mount_point)
    wait_until(lambda: writes(agent)[0] > 3, "it writes")
    freeze(agent, mount_point)
    assert agent.call("quiesce-canary", action="stop")["running"] is False
    assert agent.call("guest-fsfreeze-thaw") == 1
    wait_until(lambda: not canary_processes(agent), "the writer ended with the thaw")
    assert is_writable(mount_point)


def test_a_filesystem_without_room_is_left_in_peace(agent, filesystems):
    mount_point = filesystems.add("full", size="16M")
    with open(mount_point / "fill", "wb", buffering=0) as fill, pytest.raises(OSError):
        while True:
            fill.write(b"x" * 65536)
    (mount_point / "fill").open("r+b").truncate((mount_point / "fill").stat().st_size - 65536)
    agent.start()
    start(agent, mount_point)
    wait_until(lambda: "error" in read(agent)["filesystems"][0], "it gives up")
    assert "No space left" in read(agent)["filesystems"][0]["error"]
    assert writes(agent)[0] <= 1


@pytest.mark.parametrize("arguments,message", [
    ({"action": "sing"}, "Parameter 'action' is not known: \"sing\""),
    ({"action": "start", "limit_ms": 0}, "'limit-ms' is out of range: 0"),
    ({"action": "start", "limit_ms": 3600001}, "'limit-ms' is out of range: 3600001"),
    ({"action": "start", "mountpoints": ["/nowhere"]}, "/nowhere: not a mount point"),
    ({"action": "start", "mountpoints": []}, "no filesystem to write to"),
])
def test_what_cannot_be_done_is_an_error_that_says_why(agent, arguments, message):
    agent.start()
    with pytest.raises(CommandError, match=message):
        agent.call("quiesce-canary", **arguments)
    assert read(agent) == {"running": False, "filesystems": []}
