# SPDX-License-Identifier: LGPL-2.1-or-later
"""quiesce-probe --domain: a guest of a real libvirtd, which holds its agent's socket."""

import html
import json
import os
import shlex
import signal
import socket
import subprocess
import time

import libvirt_host
import pytest
from conftest import BUILD
from libvirt_host import AGENT_CHANNEL, LibvirtGuest, LibvirtHost
from waiting import wait_until
from writers import Writers

FROZEN, NOT_FROZEN, UNPROVEN, COULD_NOT_RUN = range(4)
FS_TYPES = ("ext4", "xfs", "btrfs")

pytestmark = [
    pytest.mark.skipif(libvirt_host.missing() is not None, reason=str(libvirt_host.missing())),
    pytest.mark.skipif(not (BUILD / "prober/quiesce-probe-libvirt").exists(),
                       reason="built without libvirt"),
]


@pytest.fixture(name="host", scope="module")
def libvirt_daemon():
    with LibvirtHost() as host:
        yield host


@pytest.fixture(name="domain", scope="module", params=["quiesced", "qemu-ga"])
def guest_of_libvirt(host, request):
    logs = BUILD / "guest" / "logs" / f"test_libvirt-{request.param}"
    with LibvirtGuest(host, f"vm-{request.param}", BUILD, request.param, logs) as guest:
        yield guest


def probe_command(host, verb, name, *arguments):
    return [str(word) for word in (BUILD / "prober/quiesce-probe", verb, "--connect", host.uri,
                                   "--domain", name, *arguments)]


def run_probe(host, verb, name, *arguments, timeout=200):
    return subprocess.run(probe_command(host, verb, name, *arguments), capture_output=True,
                          text=True, timeout=timeout, check=False)


def state_of(domain):
    result = run_probe(domain.host, "status", domain.name, "--json")
    return json.loads(result.stdout).get("state")


def stands_still(domain):
    counts = domain.write_counts()
    time.sleep(0.5)
    return domain.write_counts() == counts


def children():
    """Of this machine, the probers' libvirt processes that still run."""
    found = subprocess.run(["pgrep", "-x", "quiesce-probe-l"], capture_output=True, text=True,
                           check=False)
    return set(found.stdout.split())


def test_the_agent_answers_by_way_of_libvirt(domain):
    ping = json.loads(run_probe(domain.host, "ping", domain.name, "--count", 3, "--json").stdout)
    assert ping["guest"] == domain.name and "socket" not in ping
    assert ping["agent"]["quiesced"] == (domain.name == "vm-quiesced")
    assert ping["round-trip"]["samples"] == 3
    info = json.loads(run_probe(domain.host, "info", domain.name, "--json").stdout)
    assert {"/srv/ext4", "/srv/xfs", "/srv/btrfs"} <= {
        filesystem["mountpoint"] for filesystem in info["filesystems"]}


@pytest.mark.parametrize("form", ["domuuid", "domid"])
def test_a_domain_may_be_named_by_uuid_and_number(domain, form):
    assert run_probe(domain.host, "ping", domain.host.virsh(form, domain.name)).returncode == 0


def test_verify_finds_a_busy_domain_frozen_by_libvirts_counters(domain):
    with Writers(domain) as writers:
        result = run_probe(domain.host, "verify", domain.name, "--json")
        assert result.returncode == FROZEN, result.stdout + result.stderr
        report = json.loads(result.stdout)
        stances = {piece["source"]: piece["stance"] for piece in report["evidence"]}
        assert {stances[source] for source in ("claim", "counters", "canary")} == {"for"}
        assert {device["name"] for device in report["devices"]} == {"vda", "vdb", "vdc"}
        assert report["window"]["frozen-count"] == report["window"]["thawed-count"] == 4
        writers.wait_for_progress()


@pytest.fixture(name="verify_disks")
def verify_by_the_disks_libvirt_names(domain):
    """verify with no witness beside the agent's claim but the counters and the disks."""
    # Right after a commit, until the next fsync, nothing on a btrfs tells that it is in use.
    # The mirrors of its superblock, new in the image, reach the file with the commit after.
    domain.shell("mount -o remount,commit=900 /srv/btrfs; "
                 "for n in 1 2 3; do echo $n >/srv/btrfs/n; sync; done")

    def verify(*arguments, meanwhile=lambda: None):
        with Writers(domain):
            probe = subprocess.Popen(
                probe_command(domain.host, "verify", domain.name, "--no-canary", "--json",
                              *arguments), stdout=subprocess.PIPE, text=True)
            try:
                meanwhile()
            finally:
                output = probe.communicate(timeout=200)[0]
        report = json.loads(output)
        return probe.returncode, report, next(
            piece for piece in report["evidence"] if piece["source"] == "disk")

    return verify


def readers():
    """Of this machine, the qemu-nbd that read images."""
    found = subprocess.run(["pgrep", "-x", "qemu-nbd"], capture_output=True, text=True, check=False)
    return set(found.stdout.split())


def test_the_disks_that_libvirt_names_are_evidence_for_a_freeze(verify_disks, tmp_path):
    before, page = readers(), tmp_path / "page.html"
    status, report, piece = verify_disks("--hold", 2, "--html", page)
    assert status == FROZEN and piece["stance"] == "for", report
    states = {entry["type"]: (entry["before"]["state"], entry["hold"]["state"])
              for entry in report["disk-filesystems"] if entry["type"] in FS_TYPES}
    assert states == {fs_type: ("in use", "quiet") for fs_type in FS_TYPES}
    assert {entry["hold"]["readings"] for entry in report["disk-filesystems"]} == {2}
    assert report["window"]["hold-ms"] < 6000
    wait_until(lambda: readers() <= before, "no qemu-nbd is left")
    shown = html.unescape(page.read_text(encoding="utf-8"))
    assert "Filesystems on the disks" in shown and piece["summary"] in shown


def test_a_domain_thawed_behind_its_agents_back_is_found_out_by_the_disks(domain, verify_disks):
    """Its agent goes on claiming, or not."""
    def thaw():
        wait_until(lambda: stands_still(domain), "the guest is frozen")
        domain.shell("for mount in /srv/*; do fsfreeze --unfreeze $mount || exit 1; done")

    status, report, piece = verify_disks("--hold", 10, meanwhile=thaw)
    assert status == NOT_FROZEN and piece["stance"] == "against", report


def test_disks_that_change_places_during_the_hold_are_no_evidence(domain, verify_disks):
    """What nobody writes to any more looks quiet for ever."""
    def snapshot():
        wait_until(lambda: stands_still(domain), "the guest is frozen")
        domain.host.virsh("snapshot-create-as", domain.name, "other", "--disk-only",
                          "--no-metadata")

    _, report, piece = verify_disks("--hold", 10, meanwhile=snapshot)
    assert piece["stance"] == "silent" and "snapshot" in piece["summary"], report
    assert "--qmp" in piece["remedy"]


def test_freeze_status_and_thaw_do_what_they_say(domain):
    with Writers(domain) as writers:
        assert run_probe(domain.host, "freeze", domain.name).returncode == 0
        assert state_of(domain) == "frozen"
        assert stands_still(domain)
        assert run_probe(domain.host, "thaw", domain.name).returncode == 0
        assert state_of(domain) == "thawed"
        writers.wait_for_progress()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_verify_thaws_and_leaves_no_process(domain, number):
    before = children()
    with Writers(domain) as writers:
        verify = subprocess.Popen(probe_command(domain.host, "verify", domain.name, "--hold", 120),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  start_new_session=True)
        wait_until(lambda: stands_still(domain), "the guest is frozen")
        # As a terminal does: to the whole group, the libvirt processes included.
        os.killpg(verify.pid, number)
        errors = verify.communicate(timeout=60)[1]
        assert verify.returncode == COULD_NOT_RUN, errors
        writers.wait_for_progress()
    wait_until(lambda: children() <= before, "no process is left")


def test_a_killed_prober_leaves_no_process(domain):
    before = children()
    ping = subprocess.Popen(probe_command(domain.host, "ping", domain.name, "--count", 100000),
                            stdout=subprocess.DEVNULL)
    wait_until(lambda: children() - before, "its libvirt process runs")
    ping.kill()
    ping.wait()
    wait_until(lambda: children() <= before, "it has ended, too")


def test_a_daemon_that_hangs_costs_its_timeout_and_a_thaw_gets_through_later(domain):
    daemon = domain.host.daemon_pid()
    with Writers(domain) as writers:
        verify = subprocess.Popen(
            probe_command(domain.host, "verify", domain.name, "--hold", 60, "--timeout", 10),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: stands_still(domain), "the guest is frozen")
        os.kill(daemon, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            result = run_probe(domain.host, "ping", domain.name, "--timeout", 2)
            assert result.returncode == COULD_NOT_RUN and time.monotonic() - begin < 10
            assert "did not answer" in result.stderr
            verify.send_signal(signal.SIGINT)
            wait_until(lambda: "trying again" in verify.stderr.readline(), "a thaw was tried")
        finally:
            os.kill(daemon, signal.SIGCONT)
        verify.communicate(timeout=60)
        assert state_of(domain) == "thawed"
        writers.wait_for_progress()


def test_an_agent_that_does_not_run_is_named_in_time(domain):
    name = domain.name.removeprefix("vm-")
    domain.shell("guest-agent stop")
    try:
        begin = time.monotonic()
        result = run_probe(domain.host, "ping", domain.name, "--timeout", 2)
        assert result.returncode == COULD_NOT_RUN
        assert time.monotonic() - begin < 10
        assert "agent running in the guest?" in result.stderr
    finally:
        domain.shell(f"guest-agent start {name}")
        domain.sync()


def test_a_domain_that_is_off_unknown_or_without_a_channel_comes_with_a_remedy(host):
    with host.idle_domain("off", AGENT_CHANNEL, started=False):
        assert "start the domain" in run_probe(host, "ping", "off").stderr
    with host.idle_domain("deaf"):
        assert "give the domain a channel" in run_probe(host, "ping", "deaf").stderr
    with host.idle_domain("silent", AGENT_CHANNEL):
        assert "agent running in the guest?" in run_probe(host, "ping", "silent").stderr
    unknown = run_probe(host, "ping", "nobody")
    assert unknown.returncode == COULD_NOT_RUN and "virsh list --all" in unknown.stderr


def ask_libvirt_program(host, name, verb, **arguments):
    """What quiesce-probe-libvirt answers to one request, as quiesce-probe sends it."""
    ours, its = socket.socketpair()
    with ours, subprocess.Popen([BUILD / "prober/quiesce-probe-libvirt", name, host.uri],
                                stdin=its) as program:
        its.close()
        ours.settimeout(20)
        ours.sendall(json.dumps({"execute": verb, "arguments": arguments}).encode())
        text = b""
        while True:
            text += ours.recv(1 << 16)
            try:
                answer = json.loads(text)
                break
            except ValueError:
                assert program.poll() is None
        ours.close()
        assert program.wait(timeout=20) == 0
    return answer


def ask_agent(domain, command, **arguments):
    request = json.dumps({"execute": command, "arguments": arguments})
    return ask_libvirt_program(domain.host, domain.name, "agent", command=command, request=request,
                               **{"timeout-s": 20})


def test_the_agents_own_refusal_is_told_from_trouble_with_libvirt(domain):
    unknown = ask_agent(domain, "guest-nothing")["error"]
    assert unknown["class"] == "CommandNotFound" and unknown["desc"].startswith("The command ")
    refused = ask_agent(domain, "guest-sync", id="no number")["error"]
    assert refused["class"] == "GenericError" and "libvirt" not in refused["desc"]
    assert ask_agent(domain, "guest-sync", id=7)["return"] == {"answer": {"return": 7}}
    with domain.host.idle_domain("deaf"):
        trouble = ask_libvirt_program(domain.host, "deaf", "agent", command="guest-ping",
                                      request='{"execute": "guest-ping"}', **{"timeout-s": 5})
        assert "give the domain a channel" in trouble["return"]["trouble"]


def test_the_disks_of_a_domain_are_those_that_libvirt_gives_its_qemu(domain):
    disks = ask_libvirt_program(domain.host, domain.name, "disks")["return"]["disks"]
    assert [(disk["name"], disk["format"], disk["writable"]) for disk in disks] == [
        ("vda", "qcow2", True), ("vdb", "qcow2", True), ("vdc", "qcow2", True)]
    listed = domain.host.virsh("domblklist", domain.name).splitlines()[2:]
    assert {disk["name"]: disk["address"] for disk in disks} == dict(line.split() for line in listed if line)


def run_all(host, verb):
    command = [BUILD / "prober/quiesce-probe", verb, "--connect", host.uri, "--all", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    *guests, last = map(json.loads, result.stdout.splitlines())
    assert last["summary"]["exit-status"] == result.returncode
    return {guest["guest"]: guest for guest in guests}, result.returncode


def test_all_domains_that_run_are_asked_side_by_side(domain):
    with domain.host.idle_domain("deaf"), domain.host.idle_domain("off", started=False):
        guests, status = run_all(domain.host, "ping")
        assert set(guests) == {domain.name, "deaf"}
        assert "round-trip" in guests[domain.name]
        assert "give the domain a channel" in guests["deaf"]["error"]
        assert status == COULD_NOT_RUN
    guests, status = run_all(domain.host, "ping")
    assert set(guests) == {domain.name} and status == 0


def test_a_daemon_that_does_not_run_is_an_error_with_a_remedy(host):
    command = shlex.join(probe_command(host, "ping", "vm")).replace("libvirt-sock", "nothing")
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.returncode == COULD_NOT_RUN and "is libvirtd (or virtqemud) running" in result.stderr
