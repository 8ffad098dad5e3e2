# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults injected into real filesystems while the freeze engine works on them.

A device that stalls is made of two filesystems: `inner` lies in a file on `outer`. While somebody
freezes `outer` (fsfreeze -f), whatever writes to `inner`'s device sleeps in the kernel."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from agent import CommandError, wait_until
from filesystems import run, is_writable
from test_freeze import agent_fixture, filesystems_fixture, freeze  # noqa: F401 (fixtures)


class StallingDevice:
    """The filesystem .mount_point, whose device can be stalled and released."""

    def __init__(self, filesystems):
        self.outer = filesystems.add("outer", size="200M")
        self.mount_point = filesystems.add("inner", below=self.outer)

    def stall_freezes(self):
        """A sync finds nothing to do; a freeze has the journal to empty, and sleeps."""
        (self.mount_point / "clean").write_bytes(os.urandom(1 << 20))
        run("sync", "-f", self.mount_point)
        run("fsfreeze", "-f", self.outer)

    def stall_syncs(self):
        """Leaves dirty data behind: a sync sleeps too."""
        (self.mount_point / "dirty").write_bytes(os.urandom(1 << 20))
        run("fsfreeze", "-f", self.outer)

    def release(self):
        run("fsfreeze", "-u", self.outer)


def outcomes(host):
    return [f["outcome"] for f in host.call("quiesce-status")["filesystems"]]


@pytest.fixture(name="stalling")
def stalling_fixture(filesystems):
    return StallingDevice(filesystems)


def test_a_freeze_that_never_returns_costs_an_error_and_nobody_else_anything(
        agent, filesystems, stalling):
    other = filesystems.add("other", "xfs")
    agent.start()
    stalling.stall_freezes()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point), str(other)],
                       presync_timeout_ms=300, freeze_timeout_ms=1500)
    with agent.connect() as second:
        wait_until(lambda: "freezing" in outcomes(second), "FIFREEZE sleeps")
        pings = 0
        while second.call("quiesce-status")["state"] == "freezing":
            assert second.call("guest-ping") == {}
            pings += 1
            time.sleep(0.1)
        assert pings > 3
        assert is_writable(other)
        reply = agent.host.receive_reply()
        assert f"cannot freeze {stalling.mount_point} (ext4 on " in reply["error"]["desc"]
        assert "freeze-timeout of 1.5 s" in reply["error"]["desc"]
        with pytest.raises(CommandError, match="call of an earlier freeze of it still sleeps"):
            freeze(second, stalling.mount_point)
        assert freeze(second, other) == 1
        assert second.call("guest-fsfreeze-thaw") == 1
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "the late freeze is thawed")
    wait_until(lambda: agent.call("quiesce-status")["filesystems"] == [], "no straggler is left")
    assert freeze(agent, stalling.mount_point, other) == 2
    assert agent.call("guest-fsfreeze-thaw") == 2


def test_a_pre_sync_that_never_returns_does_not_stop_a_freeze_that_can_be(agent, stalling):
    agent.start()
    stalling.stall_syncs()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point)],
                       presync_timeout_ms=300, freeze_timeout_ms=20000)
    time.sleep(0.8)  # past the pre-sync's deadline, far before the freeze's
    stalling.release()
    assert agent.host.receive_reply()["return"]["count"] == 1
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log("pre-sync of .* was not over within 0.3 s")


def test_a_thaw_that_does_not_return_is_named_and_tried_until_it_works(
        agent, filesystems, stalling):
    other = filesystems.add("other")
    agent.start()
    assert freeze(agent, stalling.mount_point, other) == 2
    run("fsfreeze", "-f", stalling.outer)  # thawing `inner` writes to `outer`
    agent.host.request("guest-fsfreeze-thaw")
    wait_until(lambda: is_writable(other), "the other one is writable again")
    reply = agent.host.receive_reply(timeout=60)
    assert f"cannot thaw {stalling.mount_point} (ext4 on " in reply["error"]["desc"]
    assert agent.call("guest-ping") == {}
    left = agent.call("quiesce-status")["filesystems"]
    assert [f["mountpoint"] for f in left] == [str(stalling.mount_point)]
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "thawed in the end")
    wait_until(lambda: agent.call("quiesce-status")["filesystems"] == [], "status says so")
    agent.wait_for_log("the last filesystem that could not be thawed at first has been thawed")


def test_the_daemon_may_die_while_a_freeze_sleeps(agent, filesystems, stalling):
    """The freezer process stays behind until the call returns, and thaws then."""
    other = filesystems.add("other")
    agent.start()
    stalling.stall_freezes()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point), str(other)],
                       presync_timeout_ms=300, freeze_timeout_ms=60000)
    with agent.connect() as second:
        wait_until(lambda: sorted(outcomes(second)) == ["freezing", "frozen"], "one sleeps")
    agent.kill()
    agent.wait()
    wait_until(lambda: is_writable(other), "the other one is writable")
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "the late freeze is thawed")


def test_the_freezer_process_may_die_while_a_freeze_sleeps(agent, filesystems, stalling):
    other = filesystems.add("other")
    agent.start()
    stalling.stall_freezes()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point), str(other)],
                       presync_timeout_ms=300, freeze_timeout_ms=60000)
    with agent.connect() as second:
        wait_until(lambda: sorted(outcomes(second)) == ["freezing", "frozen"], "one sleeps")
        os.kill(agent.freezer_pid(), 9)
        assert second.call("guest-ping") == {}
        # The process lingers, with all its descriptors, for as long as its call sleeps.
        wait_until(lambda: is_writable(other), "the other one is writable again", 5)
    stalling.release()
    assert "the freezer process died" in agent.host.receive_reply(timeout=60)["error"]["desc"]
    for mount_point in (other, stalling.mount_point):
        wait_until(lambda m=mount_point: is_writable(m), f"{mount_point} is writable")
    assert freeze(agent, stalling.mount_point, other) == 2
    assert agent.call("guest-fsfreeze-thaw") == 2


def test_a_thaw_from_a_second_host_ends_a_freeze_under_way(agent, stalling):
    agent.start()
    stalling.stall_syncs()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point)],
                       presync_timeout_ms=60000)
    with agent.connect() as second:
        wait_until(lambda: second.call("quiesce-status")["state"] == "freezing", "freezing")
        second.request("guest-fsfreeze-thaw")
        reply = agent.host.receive_reply()
        assert "ended by a thaw command" in reply["error"]["desc"]
        assert second.receive_reply()["return"] == 0
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "writable")


def test_a_host_that_hangs_up_in_the_middle_of_a_freeze_leaves_a_state_that_can_be_thawed(
        agent, stalling):
    agent.start()
    stalling.stall_syncs()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point)],
                       presync_timeout_ms=500, freeze_timeout_ms=20000)
    agent.hang_up()
    stalling.release()
    wait_until(lambda: agent.call("guest-fsfreeze-status") == "frozen" and
               agent.call("quiesce-status")["state"] == "frozen", "the freeze goes on")
    agent.host.send(b'{"execute": "guest-fsfreeze-th')  # half a thaw
    agent.hang_up()
    assert agent.call("guest-fsfreeze-status") == "frozen"
    assert agent.call("guest-fsfreeze-thaw") == 1
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_a_filesystem_unmounted_lazily_during_the_hold_is_thawed(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    run("umount", "-l", mount_point)
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log("window intact")


def test_a_freeze_works_without_a_state_directory_and_says_what_that_costs(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.state_dir.rmdir()
    agent.state_dir.write_text("in the way", encoding="utf-8")
    assert freeze(agent, mount_point) == 1
    assert agent.call("guest-fsfreeze-thaw") == 1
    agent.wait_for_log("warning freeze: .*state.*the next start will not know what to thaw")


def test_a_full_disk_freezes_and_thaws(agent, filesystems):
    mount_point = filesystems.add("full", size="16M")
    with open(mount_point / "fill", "wb", buffering=0) as fill, pytest.raises(OSError):
        while True:
            fill.write(b"x" * 65536)
    agent.start()
    reply = agent.call("quiesce-freeze", mountpoints=[str(mount_point)], canary=True)
    assert reply["count"] == 1
    assert agent.call("quiesce-thaw")["count"] == 1


def test_a_filesystem_that_turned_read_only_is_skipped_with_the_reason(agent, filesystems):
    mount_point = filesystems.add("ro")
    agent.start()
    run("mount", "-o", "remount,ro", mount_point)
    reply = agent.call("quiesce-freeze", mountpoints=[str(mount_point)])
    assert reply["count"] == 0
    assert "read-only" in [s["reason"] for s in reply["skipped"]
                           if s["mountpoint"] == str(mount_point)][0]
    assert agent.call("guest-fsfreeze-status") == "thawed"


def test_what_is_mounted_during_the_hold_is_reported_as_not_covered(agent, filesystems):
    first = filesystems.add("first")
    image = filesystems.image("ext4", name="second")
    agent.start()
    freeze(agent, first)
    second = filesystems.mount(image, "second", "-o", "loop")
    reply = agent.call("quiesce-thaw")
    assert reply["intact"] is True
    assert str(second) in [f["mountpoint"] for f in reply["not-covered"]]
    agent.wait_for_log(f"{second} .* was mounted during the hold: this window does not cover it")


def kill_both(agent):
    """At once: neither lives to thaw what the other has frozen."""
    freezer = agent.freezer_pid()
    os.kill(agent.pid, signal.SIGSTOP)
    os.kill(freezer, signal.SIGKILL)
    agent.kill()
    agent.wait()
    agent.hang_up()


def test_recovery_leaves_to_others_what_they_had_frozen_before(agent, filesystems):
    ours, theirs = filesystems.add("ours"), filesystems.add("theirs")
    agent.state_dir = filesystems.directory / "state"
    filesystems.mount("tmpfs", "state", "-t", "tmpfs")
    agent.start()
    run("fsfreeze", "-f", theirs)
    assert freeze(agent, ours, theirs) == 1
    kill_both(agent)
    assert not is_writable(ours)
    agent.start()
    wait_until(lambda: is_writable(ours), "the next start has thawed")
    wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "recovered")
    assert not is_writable(theirs)
    run("fsfreeze", "-u", theirs)


def test_a_straggler_of_an_earlier_window_is_recovered_after_a_later_one(
        agent, filesystems, stalling):
    other = filesystems.add("other")
    agent.start()
    freeze(agent, stalling.mount_point)
    run("fsfreeze", "-f", stalling.outer)  # the thaw of `inner` sleeps
    with pytest.raises(CommandError, match="cannot thaw .*/inner "):
        agent.call("guest-fsfreeze-thaw", timeout=60)
    assert freeze(agent, other) == 1
    named = (agent.state_dir / "quiesced.state").read_text(encoding="utf-8")
    kill_both(agent)
    stalling.release()
    assert f"mount-point={stalling.mount_point}\n" in named
    assert f"mount-point={other}\n" in named
    agent.start()
    for mount_point in (other, stalling.mount_point):
        wait_until(lambda m=mount_point: is_writable(m), f"{mount_point} is writable")


def test_a_word_that_cannot_be_kept_is_logged(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=500)
    (agent.state_dir / "quiesced.state").unlink()
    agent.state_dir.rmdir()
    agent.wait_for_log("warning freeze: .*quiesced.state.*the host will not be told that its window "
                       "was broken")
    with pytest.raises(CommandError, match="hold-timeout"):
        agent.call("guest-fsfreeze-thaw")


def test_the_history_tells_who_froze_and_survives_a_crash(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    agent.call("quiesce-thaw")
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=200)
    wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "thawed by itself")
    freeze(agent, mount_point)
    agent.kill()
    agent.wait()
    agent.hang_up()
    wait_until(lambda: is_writable(mount_point), "thawed by the freezer process")
    agent.start()
    windows = agent.call("quiesce-history")["windows"]
    assert [(w["command"], w["intact"]) for w in windows] == [
        ("guest-fsfreeze-freeze-list", True), ("quiesce-freeze", False),
        ("guest-fsfreeze-freeze-list", False)]
    assert windows[0]["thaw-command"] == "quiesce-thaw"
    assert [f["mountpoint"] for f in windows[0]["filesystems"]] == [str(mount_point)]
    assert "hold-timeout" in windows[1]["broken-reason"]
    assert "the agent died while" in windows[2]["broken-reason"]
    assert len(agent.call("quiesce-history", count=1)["windows"]) == 1


def test_the_log_can_be_read_over_the_wire_while_frozen(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    lines = agent.call("quiesce-log", lines=50)["lines"]
    assert any(f"frozen: {mount_point} (ext4 on " in line for line in lines)
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_a_sync_that_never_returns_is_named_and_not_tried_again_meanwhile(agent, stalling):
    agent.start()
    stalling.stall_syncs()
    agent.host.request("quiesce-freeze", mountpoints=[str(stalling.mount_point)],
                       presync_timeout_ms=200, freeze_timeout_ms=200)
    error = agent.host.receive_reply()["error"]["desc"]
    assert f"cannot freeze {stalling.mount_point} (ext4 on " in error
    with pytest.raises(CommandError, match="call of an earlier freeze of it still sleeps"):
        freeze(agent, stalling.mount_point)
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "writable")


def test_the_thaw_option_leaves_a_running_agent_its_freeze(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    # Not to be waited for by way of its output: what it wrongly thaws it goes on thawing.
    thaw = subprocess.Popen([agent.program, "--thaw", "-t", agent.state_dir],
                            stdout=subprocess.DEVNULL)
    assert thaw.wait(20) == 0
    assert not is_writable(mount_point)
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_the_host_hears_of_the_broken_window_after_the_thaw_option_too(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    kill_both(agent)
    run(agent.program, "--thaw", "-t", agent.state_dir)
    run(agent.program, "--thaw", "-t", agent.state_dir)
    agent.start()
    with pytest.raises(CommandError, match="died while .* by quiesced --thaw"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_an_orderly_end_while_frozen_is_told_to_the_host(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    agent.kill(signal.SIGTERM)
    assert agent.wait() == 0
    assert is_writable(mount_point)
    assert "window broken: the agent was ended" in agent.log
    agent.hang_up()
    agent.start()
    with pytest.raises(CommandError, match="the agent was ended while filesystems were frozen"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0
    assert [w["intact"] for w in agent.call("quiesce-history")["windows"]] == [False]


def test_a_host_cannot_stretch_the_hold_beyond_what_the_administrator_allows(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.configure("[general]\n[freeze]\nhold-timeout=2\n")
    agent.start()
    reply = agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=0)
    assert reply["hold-timeout-ms"] == 2000
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_a_freezer_process_that_stops_answering_is_replaced(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=500)
    freezer = agent.freezer_pid()
    os.kill(freezer, signal.SIGSTOP)
    wait_until(lambda: is_writable(mount_point), "a new freezer process has thawed", 60)
    assert agent.freezer_pid() not in (None, freezer)
    with pytest.raises(CommandError, match="the freezer process died"):
        agent.call("guest-fsfreeze-thaw")


@pytest.mark.skipif(not Path("/sys/fs/cgroup/pids").exists(),
                    reason="needs the pids controller of control groups v1")
def test_a_daemon_that_cannot_fork_thaws_by_itself(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    group = Path(f"/sys/fs/cgroup/pids/quiesced-test-{os.getpid()}")
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(agent.pid), encoding="ascii")
        (group / "pids.max").write_text("1", encoding="ascii")
        os.kill(agent.freezer_pid(), signal.SIGKILL)
        wait_until(lambda: is_writable(mount_point), "thawed without a freezer process")
        agent.wait_for_log("cannot fork the freezer process")
        (group / "pids.max").write_text("max", encoding="ascii")
        with pytest.raises(CommandError, match="the freezer process died"):
            agent.call("guest-fsfreeze-thaw")
        assert freeze(agent, mount_point) == 1
        assert agent.call("guest-fsfreeze-thaw") == 1
    finally:
        agent.stop()
        group.rmdir()


def overrun_freeze(agent, *mount_points):
    """A freeze that ends in the error of its deadline while one FIFREEZE sleeps on."""
    with pytest.raises(CommandError, match="freeze-timeout of 0.3 s"):
        agent.call("quiesce-freeze", mountpoints=[str(m) for m in mount_points],
                   presync_timeout_ms=300, freeze_timeout_ms=300)


def test_a_freezer_process_that_dies_after_the_window_still_leaves_nothing_frozen(
        agent, filesystems, stalling):
    agent.start()
    stalling.stall_freezes()
    overrun_freeze(agent, stalling.mount_point)
    first = agent.freezer_pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: agent.freezer_pid() not in (None, first), "a new freezer process")
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "the late freeze is thawed")
    wait_until(lambda: outcomes(agent.host) == [], "no straggler is left")
    assert freeze(agent, stalling.mount_point) == 1
    assert agent.call("guest-fsfreeze-thaw") == 1


def test_a_log_on_the_filesystem_that_sleeps_holds_up_nothing(agent, stalling):
    agent.log_path = stalling.mount_point / "agent.log"
    agent.start()
    stalling.stall_freezes()
    overrun_freeze(agent, stalling.mount_point)
    with pytest.raises(CommandError, match="call of an earlier freeze"):
        freeze(agent, stalling.mount_point)
    assert agent.call("guest-ping") == {}
    stalling.release()
    agent.wait_for_log("the last filesystem that could not be thawed at first has been thawed")


def test_a_second_thaw_says_again_what_is_not_thawed(agent, stalling):
    agent.start()
    freeze(agent, stalling.mount_point)
    run("fsfreeze", "-f", stalling.outer)
    for _ in range(2):
        with pytest.raises(CommandError, match="cannot thaw .*/inner "):
            agent.call("guest-fsfreeze-thaw", timeout=60)
    stalling.release()
    wait_until(lambda: is_writable(stalling.mount_point), "thawed in the end")
    wait_until(lambda: outcomes(agent.host) == [], "status says so")
    assert agent.call("guest-fsfreeze-thaw") == 0


def test_the_thaw_option_works_from_another_mount_namespace(agent, filesystems):
    """A service manager may give each of a unit's commands a namespace of its own."""
    mount_point = filesystems.add("one")
    agent.start()
    freeze(agent, mount_point)
    kill_both(agent)
    run("unshare", "-m", agent.program, "--thaw", "-t", agent.state_dir)
    assert is_writable(mount_point)


def test_the_word_of_a_hold_timeout_outlives_restarts_until_it_is_told(agent, filesystems):
    mount_point = filesystems.add("one")
    agent.start()
    agent.call("quiesce-freeze", mountpoints=[str(mount_point)], hold_timeout_ms=200)
    wait_until(lambda: agent.call("guest-fsfreeze-status") == "thawed", "thawed by itself")
    for number in (signal.SIGTERM, signal.SIGKILL):
        agent.kill(number)
        agent.wait()
        agent.hang_up()
        agent.start()
    with pytest.raises(CommandError, match="no thaw came within the hold-timeout of 0.2 s"):
        agent.call("guest-fsfreeze-thaw")
    assert agent.call("guest-fsfreeze-thaw") == 0
    agent.kill(signal.SIGTERM)
    agent.wait()
    agent.hang_up()
    agent.start()
    assert agent.call("guest-fsfreeze-thaw") == 0
