# SPDX-License-Identifier: LGPL-2.1-or-later
"""A serial line between a test's host and the agent."""

import os
import pty
import select
from pathlib import Path


class SerialLine:
    """A pseudo-terminal; the guest's end has a name of our choice. Wait until the agent has opened
    that before talking. It looks enough like a socket to be a Host's stream."""

    def __init__(self, guest_path):
        self._host_end, guest_end = pty.openpty()
        os.set_blocking(self._host_end, False)
        self.guest_path = Path(guest_path)
        self.guest_path.unlink(missing_ok=True)
        self.guest_path.symlink_to(os.ttyname(guest_end))
        # Only while nobody else holds the guest's end does the agent see this one hang up.
        os.close(guest_end)
        self._timeout = None

    def settimeout(self, seconds):
        self._timeout = seconds

    def _wait(self, events):
        poll = select.poll()
        poll.register(self._host_end, events)
        if not poll.poll(self._timeout * 1000):
            raise TimeoutError("nothing happens on the serial line")

    def recv(self, size):
        self._wait(select.POLLIN)
        return os.read(self._host_end, size)

    def sendall(self, data):
        while data:
            self._wait(select.POLLOUT)
            data = data[os.write(self._host_end, data):]

    def send_some(self, data):
        """How much of it the line takes at once."""
        try:
            return os.write(self._host_end, data)
        except BlockingIOError:
            return 0

    def unplug(self):
        """The line goes away, its name too."""
        self.guest_path.unlink()
        os.close(self._host_end)
        self._host_end = None

    def close(self):
        if self._host_end is not None:
            os.close(self._host_end)
