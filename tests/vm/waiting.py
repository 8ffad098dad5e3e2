# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a condition, never for a time."""

import time


def wait_until(condition, what, timeout=60):
    """Returns condition()'s first true value; after the timeout (seconds) the test has failed."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)
    return value


def wait_until_all_grow(read, by, what, timeout=60):
    """Returns once every number of the dict that read() gives has grown by so much."""
    start = read()

    def grown():
        now = read()
        return all(now[name] >= count + by for name, count in start.items())

    wait_until(grown, f"{what}, from {start}", timeout)
