# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's ends of the guest's sockets: the agent, QMP and the shells. Each call has a deadline
in seconds and raises TimeoutError when it is over."""

import base64
import json
import random
import socket
import time


class CallError(Exception):
    """The peer answered with an error; `answer` is its JSON member "error"."""

    def __init__(self, command, answer):
        super().__init__(f"{command}: {answer}")
        self.answer = answer


class LineSocket:
    """Lines over a unix socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.connect(str(path))
        self._pending = b""

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self._socket.settimeout(30)
        self._socket.sendall(data)

    def receive_line(self, deadline):
        """The next line; deadline is a time.monotonic()."""
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no complete line in time; so far {self._pending[:200]!r}")
            self._socket.settimeout(left)
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the other side closed the connection")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line


class AgentClient(LineSocket):
    """Any QGA agent."""

    def sync(self, timeout=30):
        """guest-sync-delimited: afterwards nothing of an earlier client is under way."""
        number = random.getrandbits(32)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        deadline = time.monotonic() + timeout
        self.send(b"\xff" + json.dumps(request).encode() + b"\n")
        while True:
            line = self.receive_line(deadline).rpartition(b"\xff")[2]
            if line and json.loads(line) == {"return": number}:
                return

    def call(self, command, timeout=30, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): arguments[name] for name in arguments}
        self.send(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.receive_line(time.monotonic() + timeout))
        if "error" in answer:
            raise CallError(command, answer["error"])
        return answer["return"]


class QmpClient(LineSocket):
    def __init__(self, path):
        super().__init__(path)
        self.receive_line(time.monotonic() + 30)  # the greeting
        self._events = []
        self.call("qmp_capabilities")

    def call(self, command, timeout=30, **arguments):
        names = {name.replace("_", "-"): arguments[name] for name in arguments}
        self.send(json.dumps({"execute": command, "arguments": names}).encode() + b"\n")
        deadline = time.monotonic() + timeout
        while True:
            answer = json.loads(self.receive_line(deadline))
            if "event" in answer:
                self._events.append(answer["event"])
            elif "error" in answer:
                raise CallError(command, answer["error"])
            else:
                return answer["return"]


    def wait_for_event(self, name, timeout):
        """Returns when an event of this name has come since the connection was made."""
        deadline = time.monotonic() + timeout
        while name not in self._events:
            answer = json.loads(self.receive_line(deadline))
            self._events.append(answer.get("event"))


class ShellClient(LineSocket):
    """One of the guest's shells (see init)."""

    def run(self, command, timeout):
        self.send(base64.b64encode(command.encode()) + b"\n")
        status, _, output = self.receive_line(time.monotonic() + timeout).partition(b" ")
        return int(status), base64.b64decode(output).decode(errors="replace")
