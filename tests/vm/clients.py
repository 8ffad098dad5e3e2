# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's ends of the guest's sockets: the agent, QMP and the shells. Each call has a deadline
in seconds and raises TimeoutError when it is over."""

import base64
import json
import random
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from wire import CommandError, Host


class Client(Host):
    patience = 30  # an emulated guest is slow


class AgentClient(Client):
    """Any QGA agent."""

    def sync(self, timeout=30):
        """guest-sync-delimited: afterwards nothing of an earlier client is under way."""
        number = random.getrandbits(32)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        deadline = time.monotonic() + timeout
        self.send(b"\xff" + json.dumps(request).encode() + b"\n")
        while True:
            line = self.receive_line(deadline - time.monotonic()).rpartition(b"\xff")[2]
            if line and json.loads(line) == {"return": number}:
                return


class QmpClient(Client):
    def __init__(self, stream):
        super().__init__(stream)
        self.receive_line()  # the greeting
        self._events = []
        self.call("qmp_capabilities")

    def call(self, command, timeout=None, **arguments):
        names = {name.replace("_", "-"): arguments[name] for name in arguments}
        self.send(json.dumps({"execute": command, "arguments": names}).encode() + b"\n")
        deadline = time.monotonic() + (timeout or self.patience)
        while True:
            answer = json.loads(self.receive_line(deadline - time.monotonic()))
            if "event" in answer:
                self._events.append(answer["event"])
            elif "QMP" in answer:
                continue  # events that came before the greeting were taken for it
            elif "error" in answer:
                raise CommandError(answer["error"])
            else:
                return answer["return"]

    def wait_for_event(self, name, timeout):
        """Returns when an event of this name has come since the connection was made."""
        deadline = time.monotonic() + timeout
        while name not in self._events:
            answer = json.loads(self.receive_line(deadline - time.monotonic()))
            self._events.append(answer.get("event"))


class ShellClient(Client):
    """One of the guest's shells (see init)."""

    def run(self, command, timeout):
        self.send(base64.b64encode(command.encode()) + b"\n")
        status, _, output = self.receive_line(timeout).partition(b" ")
        return int(status), base64.b64decode(output).decode(errors="replace")
