# SPDX-License-Identifier: LGPL-2.1-or-later
"""An agent of a test's own on a unix socket, and hosts that talk to it.

    with Agent(tmp_path) as agent:
        agent.start("--block-rpcs=guest-info")
        agent.call("guest-sync", id=1)

Everything that waits has a deadline, in seconds."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("QUIESCED_BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
QUIESCED = BUILD / "agent" / "quiesced"
QEMU_GA = Path("/usr/sbin/qemu-ga")

TIMEOUT = 20


def wait_until(condition, what, timeout=TIMEOUT):
    """The first true value of condition(); after the timeout the test has failed."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)
    return value


class CommandError(Exception):
    """The agent's own error: its class and text."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.error_class = error["class"]
        self.text = error["desc"]


class Host:
    """A host's end of the wire, over a connected stream socket or a file descriptor."""

    def __init__(self, stream):
        self.stream = stream
        self._buffer = b""

    @classmethod
    def connect(cls, path):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(TIMEOUT)
        stream.connect(str(path))
        return cls(stream)

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Raw bytes."""
        self.stream.settimeout(TIMEOUT)
        self.stream.sendall(data)

    def receive(self, timeout=TIMEOUT):
        """Whatever comes next; b"" at the end of the stream."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        self.stream.settimeout(timeout)
        return self.stream.recv(1 << 20)

    def receive_line(self, timeout=TIMEOUT):
        """One line of raw bytes with its newline."""
        deadline = time.monotonic() + timeout
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            self.stream.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.stream.recv(1 << 20)
            if not data:
                raise ConnectionError(f"the agent hung up after {b''.join(parts)[:200]!r}")
            parts.append(data)
        line, newline, self._buffer = b"".join(parts).partition(b"\n")
        return line + newline

    def receive_reply(self, timeout=TIMEOUT):
        """One reply as Python values, whatever it says."""
        return json.loads(self.receive_line(timeout).lstrip(b"\xff"))

    def expect_silence(self, seconds=0.3):
        self.stream.settimeout(seconds)
        try:
            data = self._buffer or self.stream.recv(4096)
        except TimeoutError:
            return
        raise AssertionError(f"the agent said {data!r} where nothing was to be said")

    def request(self, command, **arguments):
        """Sends a command and waits for nothing; argument names_like_this become names-like-this."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): arguments[name] for name in arguments}
        self.send(json.dumps(request).encode() + b"\n")

    def call(self, command, timeout=TIMEOUT, **arguments):
        """What the command returns; its error is raised as CommandError."""
        self.request(command, **arguments)
        reply = self.receive_reply(timeout)
        if "error" in reply:
            raise CommandError(reply["error"])
        return reply["return"]


class Agent:
    """One agent process with its socket, state, pid file, key file and log in a directory."""

    def __init__(self, directory, program=QUIESCED):
        self.directory = Path(directory)
        self.program = Path(program)
        self.socket_path = self.directory / "agent.sock"
        self.log_path = self.directory / "agent.log"
        self.state_dir = self.directory / "state"
        self.config_path = self.directory / "agent.conf"
        self.output_path = self.directory / "output"
        self.environment = {}
        self.process = None
        self._host = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def configure(self, text):
        """The key file of the next start()."""
        self.config_path.write_text(text, encoding="utf-8")

    def spawn(self, *arguments, method="unix-listen", path=None, prefix=(), **popen):
        """Starts the program and waits for nothing. What it says on its standard streams goes to
        `output`, its log, at the most talkative level, to `log`. prefix is a command that runs it
        (unshare -m, ...)."""
        self.state_dir.mkdir(exist_ok=True)
        if not self.config_path.exists():
            self.configure("[general]\n")
        command = [*prefix, self.program, "-m", method, "-p", path or self.socket_path,
                   "-l", self.log_path, "-f", self.directory / "agent.pid", "-t", self.state_dir, "-v", *arguments]
        with open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "QGA_CONF": str(self.config_path), **self.environment},
                **{"cwd": self.directory, **popen})  # where a core file may be left

    def start(self, *arguments, **options):
        """Starts the program and waits until it answers on its unix socket."""
        self.spawn(*arguments, **options)

        def answers():
            assert self.process.poll() is None, f"the agent ended at start: {self.evidence()}"
            try:
                with self.connect() as host:
                    return host.call("guest-ping") == {}
            except (ConnectionError, FileNotFoundError):
                return False

        wait_until(answers, f"{self.program} answers")

    def connect(self):
        """A new host on the unix socket."""
        return Host.connect(self.socket_path)

    @property
    def host(self):
        """The host that call() and its like use."""
        if self._host is None:
            self._host = self.connect()
        return self._host

    def hang_up(self):
        if self._host is not None:
            self._host.close()
            self._host = None

    def call(self, command, timeout=TIMEOUT, **arguments):
        return self.host.call(command, timeout, **arguments)

    def send(self, data):
        self.host.send(data)

    def receive_line(self, timeout=TIMEOUT):
        return self.host.receive_line(timeout)

    @property
    def pid(self):
        return self.process.pid

    def freezer_pid(self):
        """The freezer process: the daemon's child of that name; None when there is none."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="utf-8")
        for pid in children.split():
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
            if name.startswith("quiesced-freeze"):
                return int(pid)
        return None

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        """The exit status once the process has ended."""
        return self.process.wait(timeout)

    def stop(self):
        """Ends the agent kindly, and if that takes too long by force: for the end of a test."""
        self.hang_up()
        if self.process is None or self.process.poll() is not None:
            return
        self.kill(signal.SIGTERM)
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()

    @staticmethod
    def _text(path):
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def log(self):
        return self._text(self.log_path)

    @property
    def output(self):
        return self._text(self.output_path)

    def evidence(self):
        """What is worth seeing when a test fails."""
        return f"\n--- output\n{self.output}\n--- log\n{self.log}"

    def wait_for_log(self, pattern, timeout=TIMEOUT, count=1):
        """Returns once `count` places of the log match the regular expression."""
        wait_until(lambda: len(re.findall(pattern, self.log)) >= count,
                   f"{pattern!r} in the log {count} times", timeout)
