# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's end of an agent's wire, for the tests on this machine and for those of a guest.

Everything that waits has a deadline, in seconds."""

import json
import socket
import time

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

    patience = TIMEOUT  # for an answer, unless the call says otherwise

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

    def receive_line(self, timeout=None):
        """One line of raw bytes with its newline."""
        deadline = time.monotonic() + (timeout or self.patience)
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            self.stream.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.stream.recv(1 << 20)
            if not data:
                raise ConnectionError(f"the agent hung up after {b''.join(parts)[:200]!r}")
            parts.append(data)
        line, newline, self._buffer = b"".join(parts).partition(b"\n")
        return line + newline

    def receive_reply(self, timeout=None):
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

    def call(self, command, timeout=None, **arguments):
        """What the command returns; its error is raised as CommandError."""
        self.request(command, **arguments)
        reply = self.receive_reply(timeout)
        if "error" in reply:
            raise CommandError(reply["error"])
        return reply["return"]
