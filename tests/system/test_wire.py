# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wire as hosts rely on it: framing, replies and errors, beside Debian's qemu-ga."""

import json

import pytest

from agent import CommandError
from filesystems import Filesystems

PING = b'{"execute": "guest-ping"}'
PONG = b'{"return": {}}\n'


@pytest.fixture(autouse=True)
def _start(agent):
    agent.start()


def sync(number):
    return json.dumps({"execute": "guest-sync", "arguments": {"id": number}}).encode()


def synced(number):
    return json.dumps({"return": number}).encode() + b"\n"


def receive_exactly(host, size):
    data = b""
    while len(data) < size:
        data += host.receive()
    return data


def test_a_request_split_at_any_byte_is_one_request(agent):
    request = b"{'execute': 'guest-sync', 'arguments': {'id': -9223372036854775808}, 'id': \"\\u00e9\"}"
    expected = {"return": -9223372036854775808, "id": "é"}
    for at in range(1, len(request)):
        agent.send(request[:at])
        # The agent must have read the first part for the split to be one.
        with agent.connect() as other:
            assert other.call("guest-ping") == {}
        agent.send(request[at:])
        assert agent.host.receive_reply() == expected


def test_requests_back_to_back_are_answered_in_order(agent):
    agent.send(b"".join(sync(i) for i in range(500)))
    expected = b"".join(synced(i) for i in range(500))
    assert receive_exactly(agent.host, len(expected)) == expected


@pytest.mark.parametrize("separator", [b"", b"\n", b"\r\n", b" ", b"\n\n\t", b"\xff", b"\xff\xff\n"])
def test_any_separator_will_do(agent, separator):
    agent.send(separator + PING + separator + PING + separator)
    assert agent.receive_line() + agent.receive_line() == PONG * 2
    agent.host.expect_silence()


def test_a_delimiter_anywhere_drops_the_request_before_it(agent):
    """Whatever an earlier host left half said, and wherever: 0xFF and a sync set it right."""
    request = sync(1)
    for at in range(len(request)):
        agent.send(request[:at] + b"\xff" + sync(1000 + at))
        assert agent.receive_line() == synced(1000 + at)
    agent.host.expect_silence()


def test_sync_delimited_marks_its_reply(agent, peer):
    peer.start()
    for one in (agent, peer):
        one.send(b'{"execute": "guest-sync-delimited", "arguments": {"id": 7}, "id": null}')
        assert one.receive_line() == b'\xff{"return": 7, "id": null}\n'
        one.send(b'{"execute": "guest-sync-delimited", "id": 3}')
        assert not one.receive_line().startswith(b"\xff")


@pytest.mark.parametrize("garbage", [
    b"x", b"}", b"]]]", b'"abc', b"{]", b"{'a' 'b'}", b'{"execute": \x01}', b"\xc3\x28", b"\x80\x81",
    b'{"execute": "guest\x00-ping"}', b"\x00", b"{,}", b"nul", b"<html>", b"GET / HTTP/1.1",
])
def test_after_garbage_a_newline_and_a_request_are_answered(agent, garbage):
    agent.send(garbage + b"\n")
    agent.send(b"\xff" + sync(42) + b"\n")
    lines = [agent.receive_line()]
    while lines[-1] != synced(42):
        assert json.loads(lines[-1])["error"]["class"] == "GenericError"
        lines.append(agent.receive_line())
    assert len(lines) <= 2, "more than one error for one line of garbage"


def test_a_stream_of_garbage_costs_one_error_a_line(agent):
    agent.send(b"}{}{}{ x y z \x01\n" * 100 + b"\xff" + sync(1))
    errors = 0
    while (line := agent.receive_line()) != synced(1):
        assert "error" in json.loads(line)
        errors += 1
    assert errors == 100


def test_nul_bytes_harm_only_their_own_line(agent):
    agent.send(b"\x00\x00\x00\n" + PING)
    lines = [agent.receive_line(), agent.receive_line()]
    assert "error" in json.loads(lines[0])
    assert lines[1] == PONG


def test_an_overlong_request_is_refused_and_forgotten(agent):
    block = b"x" * (1 << 20)
    agent.send(b'{"execute": "')
    for _ in range(70):
        agent.send(block)
    agent.send(b'"}\n' + PING)
    assert "error" in agent.host.receive_reply()
    assert agent.receive_line() == PONG


def test_deep_nesting_is_refused(agent):
    agent.send(b"[" * 100000 + b"\n" + PING)
    assert "error" in agent.host.receive_reply()
    assert agent.receive_line() == PONG


ROWS = {
    "unknown command": b'{"execute": "nope"}',
    "unknown command with an id": b'{"execute": "nope", "id": [{"a": null}]}',
    "missing argument": b'{"execute": "guest-sync", "id": "x"}',
    "missing argument, empty arguments": b'{"execute": "guest-sync", "arguments": {}}',
    "wrong type": b'{"execute": "guest-sync", "arguments": {"id": "1"}}',
    "wrong type: null": b'{"execute": "guest-sync", "arguments": {"id": null}}',
    "wrong type: too large": b'{"execute": "guest-sync", "arguments": {"id": 9223372036854775808}}',
    "wrong type: too small": b'{"execute": "guest-sync", "arguments": {"id": -9223372036854775809}}',
    "wrong type: fraction": b'{"execute": "guest-sync", "arguments": {"id": 1.5}}',
    "smallest integer": b'{"execute": "guest-sync", "arguments": {"id": -9223372036854775808}}',
    "largest integer": b'{"execute": "guest-sync", "arguments": {"id": 9223372036854775807}}',
    "unknown argument": b'{"execute": "guest-sync", "arguments": {"id": 1, "y": 2}}',
    "unknown argument where none is taken": b'{"execute": "guest-ping", "arguments": {"y": 2}}',
    "unknown member": b'{"execute": "guest-ping", "foo": 1, "id": 4}',
    "execute is no string": b'{"execute": 3, "id": 4}',
    "execute is null": b'{"execute": null}',
    "execute is missing": b'{"id": 5}',
    "empty object": b"{}",
    "arguments is no object": b'{"execute": "guest-ping", "arguments": [], "id": "x"}',
    "arguments is null": b'{"execute": "guest-ping", "arguments": null}',
    "a list": b"[1]",
    "a string": b'"guest-ping"',
    "a number": b"3 ",
    "true": b"true ",
    "single quotes": b"{'execute': 'guest-sync', 'arguments': {'id': 1}}",
    "id null": b'{"execute": "guest-ping", "id": null}',
    "id object": b'{"execute": "guest-ping", "id": {"a": [1, 2.5, true, "\\u20ac"]}}',
    "id integer": b'{"execute": "guest-ping", "id": -9223372036854775808}',
    "QMP's out-of-band key": b'{"exec-oob": "guest-ping", "id": 1}',
}


@pytest.mark.parametrize("request_", ROWS.values(), ids=ROWS)
def test_a_request_gets_what_qemu_ga_answers(agent, peer, request_):
    peer.start()
    replies = []
    for one in (agent, peer):
        one.send(request_ + b"\n")
        replies.append(one.host.receive_reply())
    assert replies[0] == replies[1]


@pytest.mark.parametrize("garbage", [b"nope\n", b"{]\n", b"'\n", b"{'execute' 'x'}\n"])
def test_text_that_is_no_json_gets_the_class_that_qemu_ga_gives(agent, peer, garbage):
    peer.start()
    for one in (agent, peer):
        one.send(garbage)
        error = one.host.receive_reply()["error"]
        assert error["class"] == "GenericError"
        assert error["desc"].startswith("JSON parse error, ")


def test_info_lists_commands_as_qemu_ga_does(agent, peer):
    peer.start()
    infos = [one.call("guest-info") for one in (agent, peer)]
    ours, theirs = [{row["name"]: row for row in info["supported_commands"]} for info in infos]
    assert set(infos[0]) == set(infos[1])
    assert isinstance(infos[0]["version"], str)
    for name in set(ours) & set(theirs):
        assert ours[name] == theirs[name]
    assert {"guest-sync", "guest-sync-delimited", "guest-ping", "guest-info"} <= set(ours)


def test_blocked_commands_are_refused_with_the_class_that_qemu_ga_gives(agent, peer):
    agent.stop()
    replies = []
    for one in (agent, peer):
        one.start("--block-rpcs=guest-sync")
        one.send(sync(1))
        replies.append(one.host.receive_reply()["error"])
        rows = one.call("guest-info")["supported_commands"]
        assert "guest-sync" in [row["name"] for row in rows if not row["enabled"]]
    assert {reply["class"] for reply in replies} == {"CommandNotFound"}
    # qemu-ga 7.2 gives no reason; newer ones do.
    assert replies[0]["desc"] == replies[1]["desc"] + ": the command is not allowed"


def test_an_allow_list_leaves_nothing_else(agent):
    agent.stop()
    agent.start("--allow-rpcs=guest-ping,guest-info")
    agent.send(sync(1))
    assert agent.host.receive_reply()["error"] == {
        "class": "CommandNotFound",
        "desc": "Command guest-sync has been disabled: the command is not allowed"}
    rows = agent.call("guest-info")["supported_commands"]
    assert {row["name"] for row in rows if row["enabled"]} == {"guest-ping", "guest-info"}


@pytest.mark.parametrize("option, names", [("block-rpcs", "guest-snyc"),
                                           ("allow-rpcs", "guest-ping,guest-snyc")])
def test_an_unknown_name_in_a_list_is_warned_of(agent, option, names):
    agent.stop()
    agent.start(f"--{option}={names}")
    agent.wait_for_log("warning .*guest-snyc")
    assert agent.call("guest-ping") == {}


def test_the_verbose_log_shows_requests_but_no_payloads(agent):
    agent.send(json.dumps({"execute": "guest-ping", "arguments": {"buf-b64": "A" * 65536}}).encode())
    agent.receive_line()
    agent.wait_for_log(r'-> .*guest-ping.*"buf-b64": "A+\.\.\.\(65536 bytes\)"')
    agent.wait_for_log(r"<- .*Parameter 'buf-b64' is unexpected")
    assert len(agent.log) < 16384


def test_the_log_never_shows_what_might_be_a_password(agent):
    """Of a misspelt command nobody knows what its arguments are."""
    agent.send(b'{"execute": "guest-set-user-pasword", "arguments": {"password": "hush-hush"}}')
    agent.receive_line()
    agent.wait_for_log("-> .*guest-set-user-pasword")
    assert "hush-hush" not in agent.log


# --- frozen: real filesystems of the tests' own, never all of them


@pytest.fixture(name="filesystems")
def own_filesystems():
    with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(name="frozen_pair")
def both_frozen(agent, peer, filesystems):
    """quiesced and qemu-ga, each with a filesystem that it froze."""
    pair = []
    for one, name in ((agent, "ours"), (peer, "theirs")):
        mount_point = str(filesystems.add(name))
        one.stop()
        one.start()
        assert one.call("guest-fsfreeze-freeze-list", mountpoints=[mount_point]) == 1
        pair.append(one)
    yield pair
    for one in pair:
        one.call("guest-fsfreeze-thaw")


def enabled(agent):
    rows = agent.call("guest-info")["supported_commands"]
    return {row["name"] for row in rows if row["enabled"]}


def test_while_frozen_info_says_what_qemu_ga_says(frozen_pair):
    ours, theirs = [enabled(one) for one in frozen_pair]
    assert theirs == {"guest-ping", "guest-info", "guest-sync", "guest-sync-delimited",
                      "guest-fsfreeze-status", "guest-fsfreeze-thaw"}
    assert theirs <= ours
    # More may stay available that provably writes to no disk; what may write must not.
    assert not ours & {"guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "quiesce-freeze",
                       "guest-set-time", "guest-file-open", "guest-exec", "guest-fstrim"}


def test_while_frozen_a_refused_command_gets_what_qemu_ga_answers(frozen_pair):
    replies = []
    for one in frozen_pair:
        one.host.request("guest-fsfreeze-freeze-list", mountpoints=[])
        replies.append(one.host.receive_reply())
    assert replies[0] == replies[1] == {"error": {
        "class": "CommandNotFound",
        "desc": "Command guest-fsfreeze-freeze-list has been disabled: "
                "the agent is in frozen state"}}


def test_after_the_thaw_everything_is_back(frozen_pair):
    for one in frozen_pair:
        # qemu-ga thaws, and counts, what others on this machine froze, too.
        assert one.call("guest-fsfreeze-thaw") >= 1
        assert "guest-fsfreeze-freeze" in enabled(one)


def test_a_blocked_command_stays_blocked_while_frozen(agent, filesystems):
    mount_point = str(filesystems.add("one"))
    agent.stop()
    agent.start("--block-rpcs=guest-fsfreeze-status")
    assert agent.call("guest-fsfreeze-freeze-list", mountpoints=[mount_point]) == 1
    with pytest.raises(CommandError, match="the command is not allowed"):
        agent.call("guest-fsfreeze-status")
    assert agent.call("guest-fsfreeze-thaw") == 1
