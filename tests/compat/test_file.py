# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest-file-*: files of the guest, beside qemu-ga."""

import base64
import os

import pytest

from agent import CommandError

MEBIBYTE = 1 << 20
MODES = ["r", "rb", "w", "wb", "a", "ab", "r+", "rb+", "r+b", "w+", "wb+", "w+b", "a+", "ab+", "a+b"]


def b64(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_reads_writes_and_creates_alike(pair, mode):
    pair.put("there", b"0123456789")
    for name in ("there", "new"):
        answers = pair.ask("guest-file-open", path=f"{{dir}}/{name}", mode=mode)
        assert len({answer.error_class for answer in answers.values()}) == 1, answers
        if answers["quiesced"].error_class:
            continue
        handle = {agent: answer.value for agent, answer in answers.items()}.__getitem__
        pair.same("guest-file-read", handle=handle, count=4)
        pair.same("guest-file-seek", handle=handle, offset=0, whence="end")
        pair.same("guest-file-write", handle=handle, buf_b64=b64(b"abc"))
        pair.same("guest-file-flush", handle=handle)
        pair.same("guest-file-seek", handle=handle, offset=2, whence="set")
        pair.same("guest-file-read", handle=handle)
        pair.same("guest-file-close", handle=handle)
        pair.contents(name)


@pytest.mark.parametrize("mode", ["x", "", "rw", "r++", "br", "rbb", "rbx", "+", "r+b+"])
def test_what_is_no_mode_is_refused(pair, mode):
    pair.put("there", b"")
    pair.same_text("guest-file-open", path="{dir}/there", mode=mode)


@pytest.mark.parametrize("path", ["/nope", "/etc/passwd/nope", "/" + "a" * 300, "", "/proc"])
def test_a_file_that_cannot_be_opened_is_an_error_of_the_same_text(pair, path):
    pair.same_text("guest-file-open", path=path, mode="r+")


def test_a_file_is_read_in_pieces_and_eof_comes_when_more_was_wanted_than_is_there(pair):
    pair.put("file", bytes(range(256)) * 20)
    handle = pair.open("{dir}/file")
    for count in (0, 1, 4096, 1023, 0, 1, 1):
        pair.same("guest-file-read", handle=handle, count=count)
    assert pair.same("guest-file-read", handle=handle).value == {"count": 0, "buf-b64": "", "eof": True}


def test_without_a_count_4096_bytes_are_read(pair):
    pair.put("file", b"x" * 5000)
    assert pair.same("guest-file-read", handle=pair.open("{dir}/file")).value["count"] == 4096


@pytest.mark.parametrize("count", [-1, 48 * MEBIBYTE + 1, 1 << 40, -(1 << 63), (1 << 63) - 1])
def test_a_count_out_of_range_is_refused_in_reads(pair, count):
    pair.put("file", b"x")
    pair.same_text("guest-file-read", handle=pair.open("{dir}/file"), count=count)


def test_48_mebibytes_are_read_at_once(agent):
    agent.start()
    content = os.urandom(MEBIBYTE) * 49
    (agent.directory / "file").write_bytes(content)
    handle = agent.call("guest-file-open", path=str(agent.directory / "file"))
    reply = agent.call("guest-file-read", handle=handle, count=48 * MEBIBYTE)
    assert (reply["count"], reply["eof"]) == (48 * MEBIBYTE, False)
    assert base64.b64decode(reply["buf-b64"]) == content[:48 * MEBIBYTE]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000, MEBIBYTE])
def test_what_is_written_is_there(pair, size):
    content = os.urandom(size)
    handle = pair.open("{dir}/file", "w")
    assert pair.same("guest-file-write", handle=handle, buf_b64=b64(content)).value["count"] == size
    pair.same("guest-file-close", handle=handle)
    assert pair.contents("file") == content


@pytest.mark.parametrize("count", [0, 3, 6, 7, -1, 1 << 40])
def test_count_limits_what_is_written(pair, count):
    handle = pair.open("{dir}/file", "w")
    pair.same_text("guest-file-write", handle=handle, buf_b64=b64(b"abcdef"), count=count)
    pair.same("guest-file-close", handle=handle)
    pair.contents("file")


@pytest.mark.parametrize("text", ["!!!!", "QUJD RA==", "QUJD*", "QUJDé"])
def test_what_is_not_base64_is_refused_and_nothing_is_written(pair, text):
    handle = pair.open("{dir}/file", "w")
    assert pair.same("guest-file-write", handle=handle, buf_b64=text).error_class == "GenericError"
    assert pair.contents("file") == b""


@pytest.mark.parametrize("text", ["QUJ", "QUJDR", "QUJD=", "====", "QQ==QQ==", "=QUJ", "Q==="])
def test_base64_that_ends_in_the_middle_is_refused_where_qemu_ga_loses_the_end(agent, text):
    agent.start()
    handle = agent.call("guest-file-open", path=str(agent.directory / "file"), mode="w")
    with pytest.raises(CommandError, match="'buf-b64' is not valid base64"):
        agent.call("guest-file-write", handle=handle, buf_b64=text)


def test_base64_may_be_broken_into_lines(pair):
    handle = pair.open("{dir}/file", "w")
    text = "\n".join(b64(b"abc" * 40)[at:at + 64] for at in range(0, 160, 64)) + "\n"
    pair.same("guest-file-write", handle=handle, buf_b64=text)
    pair.same("guest-file-close", handle=handle)
    assert pair.contents("file") == b"abc" * 40


@pytest.mark.parametrize("whence", ["set", "cur", "end", 0, 1, 2])
@pytest.mark.parametrize("offset", [0, 3, -3, 1 << 40])
def test_seeking(pair, whence, offset):
    pair.put("file", b"0123456789")
    handle = pair.open("{dir}/file")
    pair.same("guest-file-read", handle=handle, count=5)
    pair.same_text("guest-file-seek", handle=handle, offset=offset, whence=whence)
    pair.same("guest-file-read", handle=handle)


@pytest.mark.parametrize("whence", [3, -1, 1 << 33, "nowhere", True, None, [], 1.5])
def test_a_whence_that_there_is_not(pair, whence):
    pair.put("file", b"0123456789")
    pair.same("guest-file-seek", handle=pair.open("{dir}/file"), offset=0, whence=whence)


def test_a_closed_handle_is_gone(pair):
    pair.put("file", b"x")
    handle = pair.open("{dir}/file")
    pair.same("guest-file-close", handle=handle)
    for command, arguments in (("close", {}), ("read", {}), ("flush", {}),
                               ("seek", {"offset": 0, "whence": 0}), ("write", {"buf_b64": ""})):
        assert pair.same(f"guest-file-{command}", handle=handle, **arguments).error_class


@pytest.mark.parametrize("handle", [0, -1, 5, 1 << 40, (1 << 63) - 1])
def test_an_unknown_handle_has_an_error_of_the_same_text(pair, handle):
    pair.same_text("guest-file-close", handle=handle)


def test_a_handle_does_not_survive_the_agent(agent):
    agent.start()
    (agent.directory / "file").write_bytes(b"secret")
    handles = {agent.call("guest-file-open", path=str(agent.directory / "file")) for _ in range(50)}
    agent.stop()
    agent.start()
    others = {agent.call("guest-file-open", path=str(agent.directory / "file")) for _ in range(50)}
    assert len(handles) == 50 and not handles & others


def test_a_pipe_that_nobody_writes_to_does_not_hang_the_agent(agent):
    agent.start()
    os.mkfifo(agent.directory / "pipe")
    handle = agent.call("guest-file-open", path=str(agent.directory / "pipe"), mode="r")
    assert agent.call("guest-file-read", handle=handle)["eof"]
    with open(agent.directory / "pipe", "wb", buffering=0) as pipe:
        with pytest.raises(CommandError, match="failed to read file: Resource temporarily unavailable"):
            agent.call("guest-file-read", handle=handle)
        pipe.write(b"word")
        reply = agent.call("guest-file-read", handle=handle)
        assert (base64.b64decode(reply["buf-b64"]), reply["eof"]) == (b"word", False)
    assert agent.call("guest-ping") == {}


def test_a_pipe_that_nobody_reads_takes_what_it_can_and_says_how_much(agent):
    agent.start()
    os.mkfifo(agent.directory / "pipe")
    with pytest.raises(CommandError, match="No such device or address"):
        agent.call("guest-file-open", path=str(agent.directory / "pipe"), mode="w")
    reader = os.open(agent.directory / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    handle = agent.call("guest-file-open", path=str(agent.directory / "pipe"), mode="w")
    taken = agent.call("guest-file-write", handle=handle, buf_b64=b64(b"x" * MEBIBYTE))["count"]
    assert 0 < taken < MEBIBYTE
    with pytest.raises(CommandError, match="failed to write to file"):
        agent.call("guest-file-write", handle=handle, buf_b64=b64(b"x"))
    os.close(reader)


@pytest.mark.parametrize("path", ["/proc/self/comm", "/proc/version", "/dev/null", "/sys/kernel/rcu_expedited"])
def test_files_that_say_they_are_empty_are_read(pair, path):
    answers = pair.ask("guest-file-read", handle=pair.open(path), count=10000)
    assert all(answer.value["eof"] for answer in answers.values())
    assert (answers["quiesced"].value["count"] > 0) == (path != "/dev/null")


def test_a_terminal_does_not_become_the_agents_own(agent):
    agent.start()
    leader, follower = os.openpty()
    handle = agent.call("guest-file-open", path=os.ttyname(follower), mode="r+")
    with pytest.raises(CommandError, match="Resource temporarily unavailable"):
        agent.call("guest-file-read", handle=handle)
    stat = (agent.directory / "/proc" / str(agent.pid) / "stat").read_text(encoding="utf-8")
    assert stat.rpartition(")")[2].split()[4] == "0"  # proc(5): tty_nr
    os.close(leader)
    os.close(follower)


def test_open_files_are_bounded_and_not_left_to_children(agent):
    agent.start()
    (agent.directory / "file").write_bytes(b"")
    handles = [agent.call("guest-file-open", path=str(agent.directory / "file")) for _ in range(512)]
    with pytest.raises(CommandError, match="512 files are open already: close some with guest-file-close"):
        agent.call("guest-file-open", path=str(agent.directory / "file"))
    agent.call("guest-file-close", handle=handles[0])
    agent.call("guest-file-open", path=str(agent.directory / "file"))


def test_a_new_file_obeys_the_umask_where_qemu_ga_lets_everybody_write_to_it(pair):
    pair.open("{dir}/file", "w")
    umask = os.umask(0o022)
    os.umask(umask)
    modes = {name: pair.path(name, "file").stat().st_mode & 0o777 for name in pair.agents}
    assert modes == {"quiesced": 0o666 & ~umask, "qemu-ga": 0o666}
