# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe snapshot with a real QEMU's disks, and with hosts and guests that fail on demand."""

import os
import signal
import subprocess
import threading

import pytest
from agent import wait_until
from fake_agent import CommandError, FakeAgent, FakeQmp, Stall
from probe import ERROR, NOT_FROZEN, UNPROVEN, Probe, run


@pytest.fixture(name="agent")
def agent_fixture(tmp_path):
    with FakeAgent(tmp_path / "agent.sock") as agent:
        yield agent


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture(name="machine")
def machine_fixture(tmp_path):
    """The QMP socket of a stopped virtual machine: two drives, a disk that has no name but its
    node's, one that cannot be written to and an empty CD-ROM."""
    path = tmp_path / "qmp.sock"
    for name in ("root", "data", "fixed"):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / f"{name}.img", "8M"],
                       check=True)
    drive = f"if=none,format=qcow2,file={tmp_path}"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-S", "-display", "none", "-nodefaults",
               "-qmp", f"unix:{path},server=on,wait=off",
               "-drive", f"{drive}/root.img,id=root", "-device", "virtio-blk-pci,drive=root",
               "-drive", f"{drive}/fixed.img,id=fixed,readonly=on",
               "-device", "virtio-blk-pci,drive=fixed",
               "-drive", "if=ide,media=cdrom,id=cd",
               "-blockdev", f"driver=file,filename={tmp_path}/data.img,node-name=data-file",
               "-blockdev", "driver=qcow2,file=data-file,node-name=data",
               "-device", "virtio-blk-pci,drive=data,id=data-disk"]
    try:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("qemu-system-x86_64 is not installed")
    with machine:
        wait_until(path.exists, "QEMU's monitor")
        yield path
        machine.kill()


def arguments(agent, qmp, folder, *words):
    return ["snapshot", "--socket", agent.path, "--qmp", getattr(qmp, "path", qmp), "--to", folder,
            *words]


@pytest.fixture(name="qmp")
def qmp_fixture(tmp_path):
    """A monitor whose disks nobody writes to, and which takes every snapshot."""
    with FakeQmp(tmp_path / "qmp.sock", lambda _: False) as qmp:
        qmp.answers["query-status"] = {"status": "running"}
        qmp.answers["transaction"] = {}
        yield qmp


def test_all_writable_disks_get_a_new_image_whatever_names_they_have(agent, machine, folder,
                                                                     tmp_path):
    result = run(*arguments(agent, machine, folder, "--json"))
    assert result.status == UNPROVEN, result  # this guest only talks
    assert [(disk["image"], disk["new-image"]) for disk in result.json["snapshots"]] == [
        (str(tmp_path / "root.img"), str(folder / "root.qcow2")),
        (str(tmp_path / "data.img"), str(folder / "data-disk.qcow2"))]
    assert sorted(os.listdir(folder)) == ["data-disk.qcow2", "root.qcow2"]
    assert not agent.frozen and agent.asked("guest-fsfreeze-freeze") == 1
    again = run(*arguments(agent, machine, folder))
    assert again.status == ERROR and "is there already" in again.errors
    assert agent.asked("guest-fsfreeze-freeze") == 1


def test_the_table_says_which_file_is_the_snapshot(agent, machine, folder, tmp_path):
    result = run(*arguments(agent, machine, folder))
    assert f"{tmp_path}/root.img" in result.output and "the guest goes on in" in result.output
    assert result.output.splitlines()[-1] == \
        "verdict   UNPROVEN, this snapshot is only known to be crash-consistent"
    assert result.errors == ""


def test_a_refused_snapshot_is_no_snapshot_and_the_guest_is_thawed(agent, qmp, folder):
    def refuse(request):
        (folder / "vda.qcow2").touch()
        assert agent.frozen and len(request["actions"]) == 3
        return CommandError("Could not create file: Permission denied")

    qmp.answers["transaction"] = refuse
    result = run(*arguments(agent, qmp, folder, "--json"))
    assert result.status == ERROR, result
    assert "Permission denied" in result.errors
    assert "the guest is thawed" in result.errors and "nothing was left behind" in result.errors
    assert result.json["taken"] is False and result.json["verdict"] is None
    assert not agent.frozen and os.listdir(folder) == []


def test_a_monitor_that_does_not_answer_may_have_taken_it(agent, qmp, folder):
    def stall(_):
        (folder / "vda.qcow2").touch()
        return Stall()

    qmp.answers["transaction"] = stall
    result = run(*arguments(agent, qmp, folder, "--timeout", 1, "--json"))
    assert result.status == ERROR, result
    assert "the guest is thawed" in result.errors and "query-block" in result.errors
    assert "taken" not in result.json
    assert not agent.frozen
    assert os.listdir(folder) == ["vda.qcow2"], "the guest may run on it"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_snapshot_waits_for_its_end_and_the_thaw(agent, qmp, folder, number):
    begun, go_on = threading.Event(), threading.Event()

    def wait(_):
        begun.set()
        go_on.wait(10)
        return {}

    qmp.answers["transaction"] = wait
    probe = Probe(*arguments(agent, qmp, folder, "--json"))
    assert begun.wait(10)
    probe.signal(number)
    go_on.set()
    result = probe.end()
    assert result.json["taken"] is True, result
    assert not agent.frozen


def test_a_signal_during_the_freeze_means_no_snapshot_and_a_thaw(agent, qmp, folder):
    agent.answers["guest-fsfreeze-freeze"] = lambda _: setattr(agent, "frozen", True) or Stall()
    probe = Probe(*arguments(agent, qmp, folder))
    wait_until(lambda: agent.frozen, "the freeze")
    probe.signal(signal.SIGINT)
    result = probe.end()
    assert result.status == ERROR, result
    assert "the guest is thawed" in result.errors and "no snapshot was taken" in result.errors
    assert not agent.frozen


@pytest.mark.parametrize("answer, text", [
    (CommandError("cannot freeze /srv: Input/output error"), "Input/output error"),
    (0, "the guest froze nothing")])
def test_without_a_freeze_no_snapshot_is_taken(agent, qmp, folder, answer, text):
    agent.answers["guest-fsfreeze-freeze"] = answer
    qmp.answers["transaction"] = lambda _: pytest.fail("a snapshot was asked for")
    result = run(*arguments(agent, qmp, folder))
    assert result.status == ERROR, result
    assert text in result.errors and "no snapshot was taken" in result.errors


def test_a_guest_that_lets_go_at_once_is_not_frozen(agent, qmp, folder):
    agent.answers["guest-fsfreeze-freeze"] = 3  # and its status goes on to be "thawed"
    qmp.writing = lambda _: True
    result = run(*arguments(agent, qmp, folder, "--json"))
    assert result.status == NOT_FROZEN, result
    assert result.piece("claim")["stance"] == result.piece("counters")["stance"] == "against"


def test_a_frozen_guest_is_left_alone(agent, qmp, folder):
    agent.frozen = True
    result = run(*arguments(agent, qmp, folder))
    assert result.status == ERROR and "frozen already" in result.errors
    assert agent.frozen and agent.asked("guest-fsfreeze-thaw") == 0


@pytest.mark.parametrize("words, text", [
    (["--to", "/no/such/folder", "--qmp", "QMP"], "cannot make images in /no/such/folder"),
    (["--qmp", "QMP"], "add --to"), (["--to", "/tmp"], "add --qmp")])
def test_what_is_missing_is_said_before_the_freeze(agent, qmp, words, text):
    words = [qmp.path if word == "QMP" else word for word in words]
    result = run("snapshot", "--socket", agent.path, *words)
    assert result.status == ERROR and text in result.errors, result
    assert agent.asked("guest-fsfreeze-freeze") == 0


def test_a_full_folder_is_refused_before_the_freeze(agent, qmp, folder):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", folder], check=True)
    try:
        result = run(*arguments(agent, qmp, folder))
    finally:
        subprocess.run(["umount", folder], check=True)
    assert result.status == ERROR and "MiB left" in result.errors, result
    assert agent.asked("guest-fsfreeze-freeze") == 0
