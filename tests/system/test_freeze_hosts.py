# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that talk out of turn around a freeze: each request has an answer that is defined, and what
the guest says of itself is what the filesystem does."""

import json
import signal

import pytest
from agent import CommandError, wait_until
from filesystems import is_writable
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)
from test_freeze_faults import stalling_fixture  # noqa: F401 (fixture)


def line(command, **arguments):
    return json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"


def test_a_freeze_and_three_thaws_sent_in_one_go_are_carried_out_in_order(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.send(line("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)]) +
               line("guest-fsfreeze-status") + 2 * line("guest-fsfreeze-thaw") +
               line("quiesce-thaw") + line("guest-fsfreeze-status"))
    replies = [agent.host.receive_reply()["return"] for _ in range(6)]
    assert replies[:4] == [1, "frozen", 1, 0]
    assert (replies[4]["count"], replies[4]["broken-reason"]) == (0, "nothing was frozen")
    assert replies[5] == "thawed"
    assert is_writable(mount_point)


def test_a_host_that_leaves_before_the_answer_to_its_thaw_has_thawed(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    agent.kill(signal.SIGSTOP)  # it finds the request and the end of the conversation at once
    agent.host.request("guest-fsfreeze-thaw")
    agent.hang_up()
    agent.kill(signal.SIGCONT)
    wait_until(lambda: is_writable(mount_point), "thawed")
    assert agent.call("guest-fsfreeze-status") == "thawed"
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_half_a_thaw_is_completed_by_the_same_host_alone(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    whole = line("guest-fsfreeze-thaw")
    agent.send(whole[:20])
    with agent.connect() as second:
        second.send(whole[20:])  # the other half, but not of this conversation
        assert "error" in second.receive_reply()
        assert second.call("guest-fsfreeze-status") == "frozen"
        assert not is_writable(mount_point)
        agent.send(whole[20:])
        assert agent.host.receive_reply() == {"return": 1}
        assert second.call("guest-fsfreeze-status") == "thawed"


def test_two_hosts_that_thaw_at_once_are_both_answered(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    with agent.connect() as second:
        for _ in range(10):
            freeze(agent, mount_point)
            agent.host.request("guest-fsfreeze-thaw")
            second.request("guest-fsfreeze-thaw")
            replies = [host.receive_reply()["return"] for host in (agent.host, second)]
            assert 1 in replies and set(replies) <= {0, 1}
            assert agent.call("guest-fsfreeze-status") == "thawed"


def test_a_freeze_right_behind_a_thaw_takes_nobody_the_answer_to_theirs(
        agent, filesystems, tmp_path):
    mount_point = filesystems.add("one")
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n[ $1 = freeze ] && exit\n"
                    f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n", encoding="utf-8")
    hook.chmod(0o755)
    agent.start(f"--fsfreeze-hook={hook}")
    freeze(agent, mount_point)
    with agent.connect() as second:
        agent.send(line("guest-fsfreeze-thaw") +
                   line("guest-fsfreeze-freeze-list", mountpoints=[str(mount_point)]))
        wait_until(lambda: second.call("quiesce-status")["state"] == "thawing", "the hook runs")
        second.request("guest-fsfreeze-thaw")
        wait_until(lambda: agent.log.count("guest-fsfreeze-thaw in state") == 2, "both wait")
        (tmp_path / "go").touch()
        assert second.receive_reply() == {"return": 1}
        assert [agent.host.receive_reply()["return"] for _ in range(2)] == [1, 1]
        assert second.call("guest-fsfreeze-status") == "frozen"
        assert second.call("guest-fsfreeze-thaw") == 1


def test_a_second_freeze_while_the_first_is_under_way_is_refused_and_harms_nothing(
        agent, filesystems, stalling):
    other = filesystems.add("other")
    agent.start()
    stalling.stall_freezes()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point)],
                       presync_timeout_ms=300, freeze_timeout_ms=60000)
    with agent.connect() as second:
        wait_until(lambda: second.call("quiesce-status")["state"] == "freezing", "freezing")
        with pytest.raises(CommandError, match="frozen state"):
            freeze(second, other)
        with pytest.raises(CommandError, match="frozen state"):
            second.call("quiesce-freeze", mountpoints=[str(other)])
        assert is_writable(other)
        stalling.release()
        assert agent.host.receive_reply()["return"]["count"] == 1
        assert second.call("guest-fsfreeze-thaw") == 1
    assert agent.call("guest-fsfreeze-thaw") == 0
