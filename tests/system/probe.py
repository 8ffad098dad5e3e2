# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs quiesce-probe and reads what it says."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("QUIESCED_BUILD", Path(__file__).resolve().parents[2] / "build"))
PROBE = BUILD / "prober" / "quiesce-probe"

# exit statuses
FROZEN, NOT_FROZEN, UNPROVEN, ERROR = range(4)


class Result:
    def __init__(self, process, output, errors, seconds):
        self.status = process.returncode
        self.output = output
        self.errors = errors
        self.seconds = seconds

    @property
    def json(self):
        value = json.loads(self.output)
        assert value["schema"] == "quiesce-probe/1"
        return value

    def piece(self, source):
        return next(piece for piece in self.json["evidence"] if piece["source"] == source)

    def __repr__(self):
        return f"exit {self.status} after {self.seconds:.1f} s\n{self.output}\n{self.errors}"


def hear_signals():
    """nohup(1) and shells that run something in the background have these ignored."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Probe:
    """One run of the program, to be ended with end()."""

    def __init__(self, *arguments):
        self._begin = time.monotonic()
        self.process = subprocess.Popen([PROBE, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=hear_signals)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, within=60):
        output, errors = self.process.communicate(timeout=within)
        return Result(self.process, output, errors, time.monotonic() - self._begin)


def run(*arguments, within=60):
    return Probe(*arguments).end(within)
