# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a condition, never for a time."""

import wire


def wait_until(condition, what, timeout=60):
    """With the patience that an emulated guest needs."""
    return wire.wait_until(condition, what, timeout)


def wait_until_all_grow(read, by, what, timeout=60):
    """Returns once every number of the dict that read() gives has grown by so much."""
    start = read()

    def grown():
        now = read()
        return all(now[name] >= count + by for name, count in start.items())

    wait_until(grown, f"{what}, from {start}", timeout)
