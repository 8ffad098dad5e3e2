# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line, the key file, and how the daemon starts and ends, beside the real qemu-ga."""

import configparser
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from agent import BUILD, QEMU_GA, QUIESCED, TIMEOUT, Agent, wait_until

PEER_MISSING = not QEMU_GA.exists()


@pytest.fixture(name="agent")
def agent_fixture(tmp_path):
    with Agent(tmp_path) as agent:
        yield agent


@pytest.fixture(name="no_config", scope="session", autouse=True)
def no_config_fixture(tmp_path_factory):
    """No test reads the configuration of the machine."""
    path = tmp_path_factory.mktemp("config") / "empty.conf"
    path.touch()
    os.environ["QGA_CONF"] = str(path)


def run(program, *arguments, config=None):
    """Runs a program to its end; its standard streams as text."""
    environment = os.environ if config is None else {**os.environ, "QGA_CONF": str(config)}
    return subprocess.run(
        [program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TIMEOUT, check=False, env=environment)


def dump(program, *arguments, config=None):
    """What -D prints, group [general], lists in the order of the alphabet."""
    result = run(program, "-D", *arguments, config=config)
    assert result.returncode == 0, result.stderr
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(result.stdout)
    general = dict(parser["general"])
    general["block-rpcs"] = sorted(filter(None, general["block-rpcs"].split(",")))
    return general


@pytest.mark.skipif(PEER_MISSING, reason="qemu-ga is not installed")
@pytest.mark.parametrize("arguments", [
    [],
    ["-m", "isa-serial"],
    ["-m", "unix-listen", "-p", "/run/x"],
    ["--method=vsock-listen", "--path=3:1234"],
    ["-l", "/var/log/x", "-f", "/run/pid", "-t", "/run/state"],
    ["-F"], ["--fsfreeze-hook"], ["-F/srv/hook"], ["--fsfreeze-hook=/srv/hook"],
    ["-F", "-v"], ["-vrd"], ["--verbose", "--retry-path", "--daemonize"], ["--verb"],
    ["-b", "guest-exec"], ["-b", "guest-exec,guest-file-open", "-b", "guest-ping"],
    ["--block-rpcs=guest-exec"], ["--blacklist=guest-exec,guest-ping"],
], ids=" ".join)
def test_the_same_options_give_the_same_configuration_as_qemu_ga(arguments):
    assert dump(QUIESCED, *arguments) == dump(QEMU_GA, *arguments)


@pytest.mark.skipif(PEER_MISSING, reason="qemu-ga is not installed")
@pytest.mark.parametrize("text", [
    "daemon=true\nverbose=1\nretry-path=true",
    "method=unix-listen\npath=/run/x\nlogfile=/l\npidfile=/p\nstatedir=/s\nfsfreeze-hook=/h",
    "block-rpcs=guest-exec,guest-ping",
    "blacklist=guest-exec,guest-ping",
], ids=lambda text: text.split("\n", maxsplit=1)[0])
def test_the_same_key_file_gives_the_same_configuration_as_qemu_ga(tmp_path, text):
    config = tmp_path / "conf"
    config.write_text(f"[general]\n{text}\n", encoding="utf-8")
    arguments = ["-b", "guest-info", "-t", "/option"]
    assert dump(QUIESCED, *arguments, config=config) == dump(QEMU_GA, *arguments, config=config)


@pytest.mark.skipif(PEER_MISSING, reason="qemu-ga is not installed")
def test_qemu_ga_reads_our_dump(tmp_path):
    config = tmp_path / "conf"
    arguments = ["-F/srv/hook", "-b", "guest-exec,guest-ping", "-l", "/var/log/x"]
    config.write_text(run(QUIESCED, "-D", *arguments).stdout, encoding="utf-8")
    assert dump(QEMU_GA, config=config) == dump(QUIESCED, *arguments)


BAD_STARTS = [
    (["-z"], "", "-z is not an option"),
    (["--path"], "", "--path needs an argument"),
    (["-m", "smoke"], "", "option --method: 'smoke' is none of: virtio-serial"),
    (["-F", "/srv/hook"], "", "'/srv/hook' belongs to no option"),
    (["-a", "guest-ping", "-b", "guest-sync"], "", "exclude each other"),
    (["-c", "/nonexistent"], "", "/nonexistent"),
    ([], "[general]\nverbos=true\n", ":2: unknown key 'verbos' in group [general]"),
    ([], "[general]\n\n[freez]\n", ":3: unknown group [freez]"),
    ([], "[general]\nverbose\n", ":2: "),
    ([], "[freeze]\nhold-timeout=5 min\n", ":2: key 'hold-timeout' in group [freeze]: '5 min'"),
]


@pytest.mark.parametrize("arguments, text, message", BAD_STARTS, ids=lambda value: str(value)[:40])
def test_a_bad_configuration_starts_nothing(agent, arguments, text, message):
    agent.configure(text)
    agent.spawn(*arguments)
    assert agent.wait() == 1
    assert message in agent.output
    if text:
        assert f"quiesced: {agent.config_path}:" in agent.output
    left = {path.name for path in agent.directory.iterdir()}
    assert left == {"agent.conf", "output", "state"}
    assert not list(agent.state_dir.iterdir())


def test_a_key_file_that_nobody_may_read_starts_nothing(agent):
    agent.configure("[general]\n")
    agent.spawn("-c", agent.directory)
    assert agent.wait() == 1
    assert "Is a directory" in agent.output


@pytest.mark.parametrize("arguments, expected", [
    (["--version"], r"quiesced \d+\.\d+\.\d+\n"),
    (["-V", "--nonsense"], r"quiesced \d+\.\d+\.\d+\n"),
    (["--help"], r"Usage: quiesced (.|\n)*--retry-path(.|\n)*"),
    (["--block-rpcs=help"], r"(.+\n)*guest-fsfreeze-freeze\n(.+\n)*"),
    (["-b", "?"], r"(.+\n)*guest-fsfreeze-freeze\n(.+\n)*"),
], ids=str)
def test_questions_are_answered_without_a_key_file(tmp_path, arguments, expected):
    config = tmp_path / "conf"
    config.write_text("broken", encoding="utf-8")
    result = run(QUIESCED, *arguments, config=config)
    assert result.returncode == 0
    assert re.fullmatch(expected, result.stdout)
    assert result.stderr == ""


def test_under_the_name_of_qemu_ga_the_same_options_are_accepted(tmp_path):
    link = tmp_path / "qemu-ga"
    link.symlink_to(QUIESCED.resolve())
    assert dump(link, "-v", "-F") == dump(QUIESCED, "-v", "-F")
    assert run(link, "-z").stderr.startswith("qemu-ga: ")


def test_the_pid_file_names_the_daemon_and_goes_with_it(agent):
    agent.start()
    pid_file = agent.directory / "agent.pid"
    assert pid_file.read_text(encoding="utf-8") == f"{agent.pid}\n"
    agent.kill(signal.SIGTERM)
    assert agent.wait() == 0
    assert not pid_file.exists()
    assert not agent.socket_path.exists()


def test_a_second_instance_is_refused_and_the_first_goes_on(agent):
    agent.start()
    pid_file = agent.directory / "agent.pid"
    second = run(QUIESCED, "-m", "unix-listen", "-p", agent.directory / "other.sock",
                 "-f", pid_file, "-t", agent.state_dir)
    assert second.returncode == 1
    assert f"process {agent.pid} has locked the pid file {pid_file}" in second.stderr
    assert not (agent.directory / "other.sock").exists()
    assert pid_file.read_text(encoding="utf-8") == f"{agent.pid}\n"
    assert agent.call("guest-ping") == {}


@pytest.mark.skipif(PEER_MISSING, reason="qemu-ga is not installed")
def test_quiesced_and_qemu_ga_exclude_each_other(agent):
    pid_file = agent.directory / "agent.pid"
    other = ["-m", "unix-listen", "-p", agent.directory / "other.sock", "-f", pid_file,
             "-t", agent.directory]
    # qemu-ga has a pid file only as a daemon.
    assert run(QEMU_GA, "-d", *other).returncode == 0
    wait_until(lambda: pid_file.exists() and pid_file.read_text(encoding="utf-8"), "its pid file")
    peer_pid = int(pid_file.read_text(encoding="utf-8"))
    try:
        ours = run(QUIESCED, *other)
        assert ours.returncode == 1
        assert f"process {peer_pid} has locked the pid file {pid_file}" in ours.stderr
    finally:
        os.kill(peer_pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{peer_pid}").exists(), "qemu-ga ends")

    (agent.directory / "other.sock").unlink(missing_ok=True)
    agent.start()
    run(QEMU_GA, "-d", *other)
    assert pid_file.read_text(encoding="utf-8") == f"{agent.pid}\n"
    assert not (agent.directory / "other.sock").is_socket()


def test_the_pid_file_of_a_killed_daemon_is_no_obstacle(agent):
    agent.start()
    agent.kill(signal.SIGKILL)
    agent.wait()
    agent.hang_up()
    assert (agent.directory / "agent.pid").exists()
    agent.socket_path.unlink()
    agent.start()
    assert agent.call("guest-ping") == {}


def test_a_channel_that_cannot_be_opened_ends_the_start_and_leaves_nothing(agent):
    agent.spawn(method="virtio-serial", path="/nonexistent/port")
    assert agent.wait() == 1
    assert "/nonexistent/port" in agent.output
    assert "No such file or directory" in agent.output
    assert not (agent.directory / "agent.pid").exists()
    assert not any("state" in path.name for path in agent.state_dir.iterdir())


def test_daemonize_returns_when_the_daemon_answers(agent):
    pid_file = agent.directory / "agent.pid"
    # The pipe of the output ends with the parent: the daemon holds none of it.
    result = run(QUIESCED, "-d", "-m", "unix-listen", "-p", agent.socket_path, "-f", pid_file,
                 "-l", agent.log_path, "-t", agent.directory)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    pid = int(pid_file.read_text(encoding="utf-8"))
    try:
        assert agent.call("guest-ping") == {}
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), "the daemon ends")


def test_daemonize_passes_on_why_the_daemon_cannot_start(agent):
    pid_file = agent.directory / "agent.pid"
    result = run(QUIESCED, "-d", "-p", "/nonexistent/port", "-f", pid_file,
                 "-l", agent.log_path, "-t", agent.directory)
    assert result.returncode == 1
    assert result.stderr.startswith("quiesced: ")
    assert "/nonexistent/port" in result.stderr
    assert not pid_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_asked_to_end_it_ends_in_good_order(agent, number):
    agent.start()
    agent.kill(number)
    assert agent.wait() == 0
    assert f"ending: signal {number.value}" in agent.log
    assert not (agent.directory / "agent.pid").exists()


def test_signals_make_the_log_more_and_less_talkative(agent):
    agent.configure("[general]\nverbose=false\n")
    agent.spawn()  # with -v
    agent.wait_for_log("is ready")
    agent.kill(signal.SIGUSR2)
    agent.wait_for_log("log level is now info")
    agent.call("guest-sync", id=4711)
    agent.kill(signal.SIGUSR1)
    agent.wait_for_log("log level is now debug")
    agent.call("guest-sync", id=4712)
    agent.wait_for_log("4712")
    assert "4711" not in agent.log
    for level in ("info", "warning", "error"):
        agent.kill(signal.SIGUSR2)
        agent.wait_for_log(f"log level is now {level}", count=2 if level == "info" else 1)


def test_the_daemon_has_one_thread(agent):
    agent.start()
    agent.call("guest-info")
    agent.kill(signal.SIGHUP)
    agent.wait_for_log("log reopened")
    assert len(os.listdir(f"/proc/{agent.pid}/task")) == 1


def test_a_reader_of_the_output_who_leaves_does_not_end_it(agent):
    read_end, write_end = os.pipe()
    with subprocess.Popen(
            [QUIESCED, "-m", "unix-listen", "-p", agent.socket_path, "-v", "-t", agent.directory,
             "-f", agent.directory / "agent.pid"], stderr=write_end) as process:
        os.close(write_end)
        try:
            wait_until(agent.socket_path.exists, "the agent listens")
            os.close(read_end)
            assert agent.call("guest-ping") == {}
        finally:
            process.terminate()
        assert process.wait(TIMEOUT) == 0


def test_the_service_manager_is_told(agent):
    libraries = subprocess.run(["ldd", QUIESCED], capture_output=True, text=True, check=True).stdout
    if "libsystemd" not in libraries:
        pytest.skip("built without libsystemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(agent.directory / "notify")
        manager.bind(address)
        manager.settimeout(TIMEOUT)
        agent.environment["NOTIFY_SOCKET"] = address
        agent.start()
        assert b"READY=1" in manager.recv(4096)
        agent.kill(signal.SIGTERM)
        assert b"STOPPING=1" in manager.recv(4096)


def test_show_plan_names_every_mount_once_and_its_reason(tmp_path):
    config = tmp_path / "conf"
    config.write_text("[freeze]\nother-namespaces=false\nexclude-mountpoints=/\n",
                      encoding="utf-8")
    everything = run(QUIESCED, "--show-plan").stdout
    without_root = run(QUIESCED, "--show-plan", config=config).stdout
    assert re.search(r"^\d+ to freeze, in \d+ waves?$", everything, re.MULTILINE)
    assert re.search(r"^  /proc +proc +proc +pseudo filesystem", everything, re.MULTILINE)
    assert re.search(r"^  wave \d+  / ", everything, re.MULTILINE)
    assert not re.search(r"^  wave \d+  / ", without_root, re.MULTILINE)
    assert re.search(r"^  / .*exclude", without_root, re.MULTILINE)


def test_show_plan_needs_no_daemon_and_touches_no_file_of_it(agent):
    result = run(QUIESCED, "--show-plan", "-t", agent.directory / "none", "-f", "/nonexistent/pid")
    assert result.returncode == 0
    assert not Path(agent.directory / "none").exists()


@pytest.mark.parametrize("files, expected", [
    ([], "/var/run"),
    (["qemu/qemu-ga.conf"], "/qemu/qemu-ga.conf"),
    (["quiesced/quiesced.conf"], "/quiesced/quiesced.conf"),
    (["qemu/qemu-ga.conf", "quiesced/quiesced.conf"], "/quiesced/quiesced.conf"),
], ids=str)
def test_without_a_name_both_default_files_are_read_and_ours_wins(files, expected):
    config_h = (BUILD / "build-config.h").read_text(encoding="utf-8")
    sysconfdir = re.search(r'QUIESCED_SYSCONFDIR "(.*)"', config_h)[1]
    # In a mount namespace of its own: this machine's /etc stays as it is.
    script = f"mkdir -p {sysconfdir} && mount -t tmpfs none {sysconfdir} && "
    script += f"mkdir {sysconfdir}/quiesced && mkdir -p /etc/qemu && mount -t tmpfs none /etc/qemu"
    for name in files:
        folder = sysconfdir if name.startswith("quiesced") else "/etc"
        script += f" && printf '[general]\\nstatedir=/{name}\\nblock-rpcs={name}\\n' >{folder}/{name}"
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{script} && unset QGA_CONF && exec {QUIESCED} -D"],
        capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert result.returncode == 0, result.stderr
    assert f"statedir={expected}\n" in result.stdout
    assert f"block-rpcs={','.join(files)}\n" in result.stdout
