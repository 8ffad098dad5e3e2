# SPDX-License-Identifier: LGPL-2.1-or-later
"""An agent of a test's own on a unix socket, and hosts that talk to it.

    with Agent(tmp_path) as agent:
        agent.start("--block-rpcs=guest-info")
        agent.call("guest-sync", id=1)

Everything that waits has a deadline, in seconds."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from wire import TIMEOUT, CommandError, Host, wait_until  # noqa: F401 (for whoever imports this)

BUILD = Path(os.environ.get("QUIESCED_BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
QUIESCED = BUILD / "agent" / "quiesced"
# A command that runs each quiesced of these tests: tests/valgrind sets it.
QUIESCED_PREFIX = shlex.split(os.environ.get("QUIESCED_PREFIX", ""))
QEMU_GA = Path("/usr/sbin/qemu-ga")


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
        watched = QUIESCED_PREFIX if self.program == QUIESCED else ()
        command = [*prefix, *watched, self.program, "-m", method, "-p", path or self.socket_path,
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
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            if "Name:\tquiesced-freeze" in status and "State:\tZ" not in status:
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
