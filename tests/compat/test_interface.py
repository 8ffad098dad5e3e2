# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every command's arguments and replies against the interface, for both agents."""

import pytest

from deliberate import explained
from interface import COMMANDS, mismatch

# They change nothing.
READ_ONLY = ["guest-fsfreeze-status", "guest-get-cpustats", "guest-get-disks", "guest-get-diskstats",
             "guest-get-fsinfo", "guest-get-host-name", "guest-get-load", "guest-get-memory-block-info",
             "guest-get-memory-blocks", "guest-get-osinfo", "guest-get-time", "guest-get-timezone",
             "guest-get-users", "guest-get-vcpus", "guest-info", "guest-network-get-interfaces",
             "guest-network-get-route", "guest-ping"]
VALUES = {"null": None, "boolean": True, "integer": 7, "number": 1.5, "string": "x", "list": [], "object": {}}
# Values of a JSON type that a type takes, and with which the command might do something.
TAKEN = {"str": {"string"}, "int": {"integer"}, "uint64": {"integer"}, "bool": {"boolean"},
         "GuestExecCaptureOutput": {"boolean", "string"}, "GuestFileWhence": {"integer", "string"}}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    from pair import Pair
    with Pair(tmp_path_factory.mktemp("interface")) as pair:
        yield {name: agent.host for name, agent in pair.agents.items()}


def ask(hosts, request):
    """Both replies, in full."""
    import json
    replies = []
    for host in hosts.values():
        host.send(json.dumps(request).encode() + b"\n")
        replies.append(host.receive_reply())
    return replies


def assert_same_error(hosts, request):
    ours, theirs = ask(hosts, request)
    assert "error" in ours and "error" in theirs, (request, ours, theirs)
    assert ours["error"]["class"] == theirs["error"]["class"] or explained(request, ours, theirs)
    assert ours == theirs or explained(request, ours, theirs), (request, ours, theirs)


def offered_by_both(hosts):
    infos = [ask(hosts, {"execute": "guest-info"})[i]["return"]["supported_commands"] for i in (0, 1)]
    return set.intersection(*({row["name"] for row in info} for info in infos))


def test_all_commands_of_the_interface_are_offered_with_their_way_of_replying(hosts):
    info = {row["name"]: row for row in ask(hosts, {"execute": "guest-info"})[0]["return"]["supported_commands"]}
    assert COMMANDS.keys() <= info.keys()
    for name, command in COMMANDS.items():
        assert info[name]["enabled"] and info[name]["success-response"] == command["success-response"], name


@pytest.mark.parametrize("command", READ_ONLY)
def test_replies_are_of_the_interfaces_type(hosts, command):
    for name, reply in zip(hosts, ask(hosts, {"execute": command})):
        if name == "qemu-ga" and "error" in reply and command in ("guest-get-load", "guest-network-get-route"):
            continue
        returns = COMMANDS[command]["returns"]
        if name == "quiesced" and command == "guest-info":
            reply["return"]["supported_commands"] = [
                row for row in reply["return"]["supported_commands"] if row["name"] in COMMANDS]
        assert mismatch(reply["return"], returns) is None, name


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_an_argument_that_there_is_not_is_refused_alike(hosts, command):
    if command not in offered_by_both(hosts):
        pytest.skip("Debian's qemu-ga does not have it")
    arguments = {name: {"str": "x", "int": 7, "bool": True}.get(argument["type"] if isinstance(argument["type"], str)
                                                                else "", [])
                 for name, argument in COMMANDS[command]["arguments"].items()}
    assert_same_error(hosts, {"execute": command, "arguments": {**arguments, "no-such-argument": 1}})


def wrong_arguments():
    for command, definition in sorted(COMMANDS.items()):
        for name, argument in definition["arguments"].items():
            if not argument["optional"]:
                yield command, name, "missing"
            type_name = argument["type"] if isinstance(argument["type"], str) else "list"
            for kind in VALUES.keys() - TAKEN.get(type_name, {"list"}):
                yield command, name, kind


@pytest.mark.parametrize("command, name, kind", sorted(wrong_arguments()))
def test_an_argument_of_the_wrong_type_is_refused_alike(hosts, command, name, kind):
    if command not in offered_by_both(hosts):
        pytest.skip("Debian's qemu-ga does not have it")
    good = {"str": "x", "int": 7, "bool": True, "GuestFileWhence": 0}
    arguments = {}
    for other, argument in COMMANDS[command]["arguments"].items():
        if other != name and not argument["optional"]:
            arguments[other] = good.get(argument["type"] if isinstance(argument["type"], str) else "", [])
    if kind != "missing":
        arguments[name] = VALUES[kind]
    assert_same_error(hosts, {"execute": command, "arguments": arguments})
