# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users, passwords and authorized keys, beside qemu-ga. Each agent lives in a mount namespace with
an /etc and a /home of its own: no account of this machine is touched."""

import base64
import os
import shutil
import struct
import subprocess

import pytest

from agent import CommandError
from wire import wait_until

SETUP = """set -e
mount --bind "$OWN/etc" /etc
mount --bind "$OWN/home" /home
exec "$@"
"""
PREFIX = ("unshare", "-m", "sh", "-c", SETUP, "sh")
UID = 4711
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEy1 anna@host"
OTHER_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 bert@host"


def settle(agent):
    """Gives the agent its /etc and /home, with the user anna in them."""
    agent.stop()
    own = agent.directory / "own"
    shutil.copytree("/etc", own / "etc", symlinks=True, ignore=shutil.ignore_patterns("alternatives", "ssl"))
    home = own / "home" / "anna"
    home.mkdir(parents=True)
    os.chown(home, UID, UID)
    for name, line in (("passwd", f"anna:x:{UID}:{UID}::/home/anna:/bin/sh"),
                       ("shadow", "anna:*:19000:0:99999:7:::"), ("group", f"anna:x:{UID}:")):
        with open(own / "etc" / name, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    # Anybody may come by to reach the home.
    for folder in (agent.directory, *agent.directory.parents):
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    agent.environment = {"OWN": str(own)}
    agent.start(prefix=PREFIX)
    agent.home = home
    agent.keys = home / ".ssh" / "authorized_keys"
    agent.etc = own / "etc"


@pytest.fixture(name="pair")
def settled_pair(pair):
    for agent in pair.agents.values():
        settle(agent)
    return pair


@pytest.fixture(name="agent")
def settled_agent(agent):
    settle(agent)
    return agent


def b64(text):
    return base64.b64encode(text.encode()).decode()


def shadow(agent, user="anna"):
    lines = (agent.etc / "shadow").read_text(encoding="utf-8").splitlines()
    return next(line.split(":")[1] for line in lines if line.startswith(f"{user}:"))


# ---- keys ----

@pytest.mark.parametrize("content", ["", "\n\n", KEY, f"{KEY}\n", f"# comment\n\n  {KEY}  \n{OTHER_KEY}\n",
                                     f"-not-a-key\n{KEY}\n", "é\n"])
def test_the_same_keys_are_read(pair, content):
    for agent in pair.agents.values():
        agent.keys.parent.mkdir()
        agent.keys.write_text(content, encoding="utf-8")
    answers = pair.ask("guest-ssh-get-authorized-keys", username="anna")
    ours, theirs = (answer.value["keys"] for answer in answers.values())
    assert ours == sorted(theirs, key=content.index)  # qemu-ga tells them backwards


@pytest.mark.parametrize("before", [None, "", f"{KEY}\n", f"# comment\n{OTHER_KEY}\n\n", OTHER_KEY])
@pytest.mark.parametrize("command, arguments", [
    ("add", {"keys": [KEY]}), ("add", {"keys": [KEY, OTHER_KEY]}), ("add", {"keys": []}),
    ("add", {"keys": [KEY], "reset": True}), ("add", {"keys": [], "reset": True}),
    ("remove", {"keys": [KEY]}), ("remove", {"keys": [KEY, OTHER_KEY]}), ("remove", {"keys": []})])
def test_keys_are_added_and_removed_alike(pair, before, command, arguments):
    for agent in pair.agents.values():
        if before is not None:
            agent.keys.parent.mkdir()
            agent.keys.write_text(before, encoding="utf-8")
            os.chown(agent.keys.parent, UID, UID)
            os.chown(agent.keys, UID, UID)
    pair.same(f"guest-ssh-{command}-authorized-keys", username="anna", **arguments)
    files = [agent.keys.read_text(encoding="utf-8").split("\n") if agent.keys.exists() else None
             for agent in pair.agents.values()]
    ours, theirs = ([line for line in file if line] if file is not None else None for file in files)
    assert ours == theirs


@pytest.mark.parametrize("arguments", [
    {"username": "nobody-of-that-name"}, {"username": ""}, {}, {"username": "anna", "more": 1}])
@pytest.mark.parametrize("command, keys", [("get", {}), ("add", {"keys": [KEY]}), ("remove", {"keys": [KEY]})])
def test_what_is_wrong_is_wrong_for_both(pair, command, keys, arguments):
    assert pair.same(f"guest-ssh-{command}-authorized-keys", **arguments, **keys).error_class


@pytest.mark.parametrize("key", ["# comment", "two\nlines", f"{KEY}\n"])
def test_what_is_no_key_is_refused(pair, key):
    assert pair.same("guest-ssh-add-authorized-keys", username="anna", keys=[key]).error_class


def test_an_empty_key_is_refused_where_qemu_ga_adds_a_blank_line(agent):
    with pytest.raises(CommandError, match="invalid OpenSSH public key"):
        agent.call("guest-ssh-add-authorized-keys", username="anna", keys=[""])


def test_what_is_made_belongs_to_the_user_and_to_nobody_else(agent):
    agent.call("guest-ssh-add-authorized-keys", username="anna", keys=[KEY])
    for path, mode in ((agent.keys.parent, 0o40700), (agent.keys, 0o100600)):
        stat = path.stat()
        assert (stat.st_uid, stat.st_gid, stat.st_mode) == (UID, UID, mode)
    assert agent.keys.read_text(encoding="utf-8") == f"{KEY}\n"
    assert [path.name for path in agent.keys.parent.iterdir()] == ["authorized_keys"]


def test_a_link_in_the_home_leads_root_nowhere(agent, tmp_path):
    """A user who puts links where root would follow gets no farther than alone."""
    treasure = tmp_path / "treasure"
    treasure.mkdir(mode=0o700)
    (treasure / "authorized_keys").write_text("secret\n", encoding="utf-8")
    (agent.home / ".ssh").symlink_to(treasure)
    for command, arguments in (("get", {}), ("add", {"keys": [KEY]}), ("remove", {"keys": ["secret"]})):
        with pytest.raises(CommandError, match="Permission denied"):
            agent.call(f"guest-ssh-{command}-authorized-keys", username="anna", **arguments)
    assert (treasure / "authorized_keys").read_text(encoding="utf-8") == "secret\n"
    assert treasure.stat().st_uid == 0


def test_a_linked_key_file_is_replaced_and_what_it_led_to_stays(agent, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("root's\n", encoding="utf-8")
    victim.chmod(0o600)
    agent.keys.parent.mkdir()
    os.chown(agent.keys.parent, UID, UID)
    agent.keys.symlink_to(victim)
    with pytest.raises(CommandError, match="Permission denied"):
        agent.call("guest-ssh-get-authorized-keys", username="anna")
    agent.call("guest-ssh-add-authorized-keys", username="anna", keys=[KEY], reset=True)
    assert victim.read_text(encoding="utf-8") == "root's\n" and victim.stat().st_uid == 0
    assert not agent.keys.is_symlink() and agent.keys.stat().st_uid == UID


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_what_is_no_file_hangs_nobody(agent, make):
    agent.keys.parent.mkdir()
    make(agent.keys)
    os.chown(agent.keys, UID, UID)
    with pytest.raises(CommandError, match="failed to read '/home/anna/.ssh/authorized_keys'"):
        agent.call("guest-ssh-get-authorized-keys", username="anna")


def test_a_huge_file_is_refused(agent):
    agent.keys.parent.mkdir()
    agent.keys.write_text("x\n" * (1 << 20), encoding="utf-8")
    with pytest.raises(CommandError, match="no regular file of at most 1048576 bytes"):
        agent.call("guest-ssh-get-authorized-keys", username="anna")


def test_a_file_does_not_grow_beyond_what_is_read(agent):
    keys = ["ssh-rsa " + "x" * 1000 + str(number) for number in range(1100)]
    with pytest.raises(CommandError, match="would exceed 1048576 bytes"):
        agent.call("guest-ssh-add-authorized-keys", username="anna", keys=keys)
    assert not agent.keys.exists()


def test_a_file_of_which_an_end_would_be_lost_is_left_alone(agent):
    agent.keys.parent.mkdir()
    agent.keys.write_bytes(b"one\n\0two\n")
    os.chown(agent.keys.parent, UID, UID)
    with pytest.raises(CommandError, match="NUL byte"):
        agent.call("guest-ssh-add-authorized-keys", username="anna", keys=[KEY])
    assert agent.keys.read_bytes() == b"one\n\0two\n"


def test_roots_own_keys(agent):
    root = agent.directory / "root"
    root.mkdir()
    passwd = agent.etc / "passwd"
    text = passwd.read_text(encoding="utf-8").replace(":/root:", f":{root}:")
    passwd.write_text(text, encoding="utf-8")
    agent.call("guest-ssh-add-authorized-keys", username="root", keys=[KEY])
    assert agent.call("guest-ssh-get-authorized-keys", username="root") == {"keys": [KEY]}
    assert (root / ".ssh" / "authorized_keys").stat().st_uid == 0


# ---- passwords ----

def test_a_password_is_set(pair):
    for agent in pair.agents.values():
        before = shadow(agent)
        assert agent.call("guest-set-user-password", username="anna", password=b64("s3cr€t: x"), crypted=False) == {}
        hashed = shadow(agent)
        assert hashed != before and hashed.startswith("$")
        check = "import crypt, sys; sys.exit(crypt.crypt('s3cr€t: x', sys.argv[1]) != sys.argv[1])"
        subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c", check, hashed], check=True, timeout=60)


def test_a_crypted_password_is_taken_as_it_is(pair):
    hashed = "$6$saltsalt$" + "x" * 86
    for agent in pair.agents.values():
        agent.call("guest-set-user-password", username="anna", password=b64(hashed), crypted=True)
        assert shadow(agent) == hashed


@pytest.mark.parametrize("arguments", [
    {"username": "a:b", "password": b64("x"), "crypted": False},
    {"username": "a\nb", "password": b64("x"), "crypted": False},
    {"username": "anna", "password": b64("x\ny"), "crypted": False}])
def test_what_chpasswd_would_take_for_another_line_is_refused(pair, arguments):
    pair.same_text("guest-set-user-password", **arguments)


@pytest.mark.parametrize("arguments", [
    {"username": "nobody-of-that-name", "password": b64("x"), "crypted": False},
    {"username": "anna", "password": "!!", "crypted": False}, {"username": "anna", "password": b64("x")},
    {"username": "anna", "crypted": False}, {"password": b64("x"), "crypted": False},
    {"username": "anna", "password": b64("x"), "crypted": 1}, {"username": 5, "password": b64("x"), "crypted": False}])
def test_what_is_wrong_with_a_password_is_wrong_for_both(pair, arguments):
    assert pair.same("guest-set-user-password", **arguments).error_class == "GenericError"


def test_the_error_tells_what_chpasswd_said(agent):
    with pytest.raises(CommandError, match="cannot set the password of 'ghost': chpasswd: exit status 1: .*ghost"):
        agent.call("guest-set-user-password", username="ghost", password=b64("x"), crypted=False)


def test_a_password_never_reaches_the_log(agent):
    secret = b64("never-to-be-seen")
    agent.call("guest-set-user-password", username="anna", password=secret, crypted=False)
    with pytest.raises(CommandError):
        agent.call("guest-set-user-password", username="ghost", password=secret, crypted=False)
    log = wait_until(lambda: "password of 'anna' changed" in (text := agent.log_path.read_text(encoding="utf-8"))
                     and text, "the change is in the log")
    assert secret not in log and "never-to-be-seen" not in log


# ---- who is there ----



def utmp_record(kind, user, seconds, microseconds=0):
    return struct.pack("hi32s4s32s256shhiii4i20x", kind, 1, b"pts/0", b"1", user, b"", 0, 0, 0, seconds,
                       microseconds, 0, 0, 0, 0)


def test_the_same_users_are_logged_in_each_since_the_first_time(pair, tmp_path):
    utmp = tmp_path / "utmp"
    login, dead = 7, 8  # utmp(5): USER_PROCESS, DEAD_PROCESS
    utmp.write_bytes(utmp_record(login, b"anna", 1700000100) + utmp_record(login, b"anna", 1700000000, 250000)
                     + utmp_record(dead, b"bert", 1600000000) + utmp_record(login, b"x" * 32, 1700000200))
    setup = 'set -e; mount -t tmpfs tmpfs /run; cp "$UTMP" /run/utmp; exec "$@"'
    for agent in pair.agents.values():
        agent.stop()
        agent.environment = {"UTMP": str(utmp)}
        agent.start(prefix=("unshare", "-m", "sh", "-c", setup, "sh"))
    answers = pair.ask("guest-get-users")
    ours, theirs = (sorted(a.value, key=lambda row: row["user"]) for a in answers.values())
    assert ours == theirs
    assert ours[0] == {"user": "anna", "login-time": 1700000000.25}
