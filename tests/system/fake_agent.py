# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that lie, stall, flood and die, and the monitor of a virtual machine: for what a real agent
and a real QEMU cannot be brought to do on demand.

    with FakeAgent(tmp_path / "agent.sock") as agent:
        agent.answers["guest-fsfreeze-thaw"] = Stall()

An answer is a value, an exception CommandError, one of the misdeeds below, or a function of the
arguments that gives any of these. Requests are kept in agent.requests."""

import base64
import json
import os
import socket
import subprocess
import threading
import time


class CommandError(Exception):
    def __init__(self, text, error_class="GenericError"):
        super().__init__(text)
        self.answer = {"class": error_class, "desc": text}


class Stall:
    """Never answers, but goes on reading."""


class Close:
    """Hangs up."""


class Die:
    """Hangs up, and nobody listens any more."""


class Raw:
    """Sends these bytes in place of a reply."""

    def __init__(self, data):
        self.data = data


class Flood(Raw):
    """Sends these bytes over and over, as fast as they are taken, and answers nothing any more."""


class _Server:
    """Serves each connection to a unix socket in a thread of its own."""

    def __init__(self, path):
        self.path = str(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._connections = []
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.die()

    def die(self):
        self._ended.set()
        for victim in [self._listener, *self._connections]:
            try:
                victim.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            victim.close()

    def _accept(self):
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection):
        try:
            self.serve(connection)
        except (OSError, ValueError):
            pass
        finally:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(self, connection):
        raise NotImplementedError

    @staticmethod
    def lines(connection):
        buffer = b""
        while data := connection.recv(65536):
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            yield from lines

    def flood(self, connection, data):
        while not self._ended.is_set():
            connection.sendall(data)


def disk(slot):
    """A virtio disk's address in guest-get-fsinfo."""
    return {"pci-controller": {"domain": 0, "bus": 0, "slot": slot, "function": 0},
            "bus-type": "virtio", "bus": 0, "target": 0, "unit": 0}


def filesystem(mountpoint, name, fs_type="ext4", slot=None):
    return {"mountpoint": mountpoint, "name": name, "type": fs_type,
            "disk": [] if slot is None else [disk(slot)]}


class FakeAgent(_Server):
    """Says that it freezes three filesystems and does nothing at all. `execute` makes guest-exec
    really run programs, on this machine; `quiesced` makes it one of the other kind."""

    def __init__(self, path, execute=False, quiesced=False):
        self.frozen = False
        self.requests = []
        self.answers = {
            "guest-ping": {},
            "guest-info": self._info,
            "guest-sync": lambda arguments: arguments["id"],
            "guest-sync-delimited": lambda arguments: arguments["id"],
            "guest-get-fsinfo": [filesystem("/", "vda1", slot=3), filesystem("/srv", "vdb", slot=4),
                                 filesystem("/home", "vdc", slot=5)],
            "guest-fsfreeze-status": lambda _: "frozen" if self.frozen else "thawed",
            "guest-fsfreeze-freeze": lambda _: self.freeze(3),
            "guest-fsfreeze-freeze-list": lambda arguments: self.freeze(
                len(arguments["mountpoints"])),
            "guest-fsfreeze-thaw": lambda _: self.thaw(),
        }
        if execute:
            self._processes = {}
            self.answers["guest-exec"] = self._exec
            self.answers["guest-exec-status"] = self._exec_status
        if quiesced:
            self.answers |= {
                "quiesce-freeze": lambda _: self.freeze(
                    {"count": 1, "hold-timeout-ms": 32000, "skipped": [], "hooks": [],
                     "filesystems": [self.quiesced_filesystem(freeze_ms=0.7)]}),
                "quiesce-thaw": lambda _: self.quiesced_thaw(),
                "quiesce-status": lambda _: {"state": "frozen" if self.frozen else "thawed",
                                             "filesystems": []},
                "guest-get-fsinfo": [filesystem("/", "vda1", slot=3)],
            }
        self._frozen_at = 0.0
        self._count = 0
        super().__init__(path)

    # ---- what it can be made to say

    def freeze(self, reply):
        self.frozen = True
        self._frozen_at = time.monotonic()
        self._count = reply if isinstance(reply, int) else reply["count"]
        return reply

    def thaw(self):
        count = self._count if self.frozen else 0
        self.frozen = False
        return count

    @staticmethod
    def quiesced_filesystem(**more):
        return {"mountpoint": "/", "type": "ext4", "device": "/dev/vda1", "device-number": "254:1",
                **{name.replace("_", "-"): more[name] for name in more}}

    def quiesced_thaw(self, intact=True, hooks=(), **canary):
        held_ms = (time.monotonic() - self._frozen_at) * 1000
        writes = {"writes-before": 20, "writes-during": 0, "writes-after": 3,
                  "longest-gap-ms": held_ms + 5, "gap-start-at-us": 1, "gap-end-at-us": 2,
                  **{name.replace("_", "-"): canary[name] for name in canary}}
        return {"count": self.thaw(), "intact": intact, "held-ms": held_ms, "hooks": list(hooks),
                "filesystems": [self.quiesced_filesystem(outcome="thawed", held_ms=held_ms,
                                                         thaw_ms=0.5, canary=writes)]}

    def asked(self, command):
        """How often it was."""
        return sum(request["execute"] == command for request in list(self.requests))

    # ---- guest-exec

    def _exec(self, arguments):
        process = subprocess.Popen([arguments["path"], *arguments.get("arg", [])],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        result = {}

        def collect():
            out, err = process.communicate()
            result.update({"exited": True, "out-data": base64.b64encode(out).decode(),
                           "err-data": base64.b64encode(err).decode()})
            if process.returncode >= 0:
                result["exitcode"] = process.returncode

        threading.Thread(target=collect, daemon=True).start()
        self._processes[process.pid] = result
        return {"pid": process.pid}

    def _exec_status(self, arguments):
        return dict(self._processes[arguments["pid"]]) or {"exited": False}

    # ---- the wire

    def _info(self, _):
        return {"version": "6.6.6", "supported_commands": [
            {"name": name, "enabled": True, "success-response": True} for name in self.answers]}

    def _answer(self, request):
        answer = self.answers.get(request["execute"], CommandError(
            f"The command {request['execute']} has not been found", "CommandNotFound"))
        try:
            return answer(request.get("arguments", {})) if callable(answer) else answer
        except CommandError as error:
            return error

    def serve(self, connection):
        for line in self.lines(connection):
            request = json.loads(line.lstrip(b"\xff"))
            self.requests.append(request)
            answer = self._answer(request)
            if isinstance(answer, Stall):
                continue
            if isinstance(answer, Close):
                return
            if isinstance(answer, Die):
                self.die()
                os.unlink(self.path)
                return
            if isinstance(answer, Flood):
                self.flood(connection, answer.data)
            if isinstance(answer, Raw):
                connection.sendall(answer.data)
                continue
            reply = {"error": answer.answer} if isinstance(answer, CommandError) else {
                "return": answer}
            prefix = b"\xff" if request["execute"] == "guest-sync-delimited" else b""
            connection.sendall(prefix + json.dumps(reply).encode() + b"\n")


class FakeQmp(_Server):
    """A monitor whose disks write whenever writing() says so. answers: as FakeAgent's."""

    def __init__(self, path, writing, devices=("vda", "vdb", "vdc")):
        self.writing = writing
        self.writes = {device: 1000 for device in devices}
        self.answers = {"qmp_capabilities": {}, "query-block": self._block,
                        "query-blockstats": self._stats}
        self.greeting = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}},
                                 "capabilities": []}}
        super().__init__(path)

    def _block(self, _):
        return [{"device": device, "inserted": {"ro": False}} for device in self.writes]

    def _stats(self, _):
        for device in self.writes:
            if self.writing(device):
                self.writes[device] += 2
        return [{"device": device, "stats": {"wr_operations": writes, "wr_bytes": writes * 4096}}
                for device, writes in self.writes.items()]

    def serve(self, connection):
        connection.sendall(json.dumps(self.greeting).encode() + b"\r\n")
        for line in self.lines(connection):
            request = json.loads(line)
            answer = self.answers.get(request["execute"], CommandError(
                f"The command {request['execute']} has not been found", "CommandNotFound"))
            if callable(answer):
                answer = answer(request.get("arguments", {}))
            event = {"event": "RTC_CHANGE", "data": {"offset": 0}}
            connection.sendall(json.dumps(event).encode() + b"\r\n")
            if isinstance(answer, Close):
                return
            if isinstance(answer, Stall):
                continue
            if isinstance(answer, Flood):
                self.flood(connection, answer.data)
            reply = {"error": answer.answer} if isinstance(answer, CommandError) else {
                "return": answer}
            connection.sendall(json.dumps(reply | {"id": request["id"]}).encode() + b"\r\n")
