# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random requests, the same for both agents. A failure prints the seed; QUIESCED_SEED repeats it, and
QUIESCED_REQUESTS says how many."""

import json
import os
import random

import pytest

from deliberate import explained

REQUESTS = int(os.environ.get("QUIESCED_REQUESTS", "100000"))
BATCH = 250
# Nothing that acts; with random arguments each of these is refused or does no harm.
SAFE = ["guest-ping", "guest-sync", "guest-get-time", "guest-file-close", "guest-file-read", "guest-file-flush",
        "guest-file-seek", "guest-file-write", "guest-file-open", "guest-exec-status", "guest-get-host-name",
        "guest-fsfreeze-status", "guest-get-memory-block-info", "guest-exec"]
ARGUMENTS = ["id", "handle", "count", "offset", "whence", "buf-b64", "path", "mode", "pid", "arg", "env",
             "input-data", "capture-output", "vcpus", "x", ""]
STRINGS = ["", "x", "/nope", "/nope/é", "r", "set", "cur", "end", "QUJD", "QUI", "\"\\/\b\f\n\r\t", "é", "😀", "'",
           "a" * 300, "\u2028", "{}", "0"]
INTEGERS = [0, 1, -1, 2, 3, 255, 4096, 1 << 31, -(1 << 31), 1 << 32, 1 << 53, (1 << 63) - 1, -(1 << 63)]
# Their values change from one moment to the next.
VOLATILE = {"guest-get-time"}


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind in (1, 2):
        return rng.choice(INTEGERS)
    if kind == 3:
        return rng.choice([0.5, -1.5, 1e300, 1e-5])
    if kind in (4, 5):
        return rng.choice(STRINGS)
    if kind in (6, 7):
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(ARGUMENTS): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def random_request(rng):
    request = {"execute": rng.choice(SAFE) if rng.random() < 0.9 else random_value(rng)}
    if rng.random() < 0.8:
        request["arguments"] = {rng.choice(ARGUMENTS): random_value(rng) for _ in range(rng.randrange(4))}
    elif rng.random() < 0.3:
        request["arguments"] = random_value(rng)
    if rng.random() < 0.2:
        request["id"] = random_value(rng)
    if rng.random() < 0.03:
        request[rng.choice(ARGUMENTS)] = random_value(rng)
    if rng.random() < 0.01:
        del request["execute"]
    return request if rng.random() < 0.99 else random_value(rng)


def encode(rng, request):
    text = json.dumps(request, ensure_ascii=rng.random() < 0.5)
    # Two numbers without anything between are one.
    return text.encode() + rng.choice([b"", b"\n", b"\r\n", b" "] if isinstance(request, dict) else [b"\n", b" "])


def replies_to(host, batch):
    """The replies in order; the batch is sent as one, so that it is pipelined."""
    host.send(b"".join(batch))
    return [host.receive_reply() for _ in batch]


def same(request, ours, theirs):
    if not isinstance(request, dict):
        return ours["error"]["class"] == theirs["error"]["class"]
    if ours == theirs or ("return" in ours and "return" in theirs and request.get("execute") in VOLATILE):
        return True
    return explained(request, ours, theirs) is not None


def test_random_requests_are_answered_alike(pair):
    seed = int(os.environ.get("QUIESCED_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"QUIESCED_SEED={seed}")
    rng = random.Random(seed)
    hosts = [agent.host for agent in pair.agents.values()]
    for _ in range(0, REQUESTS, BATCH):
        requests = [random_request(rng) for _ in range(BATCH)]
        batch = [encode(rng, request) for request in requests]
        for request, ours, theirs in zip(requests, *(replies_to(host, batch) for host in hosts)):
            assert same(request, ours, theirs), f"seed {seed}: {request}: quiesced {ours}, qemu-ga {theirs}"


@pytest.mark.parametrize("round_number", range(4))
def test_after_random_bytes_the_next_request_is_answered(agent, round_number):
    """Whatever came before: after 0xFF and a newline both ends are in step again."""
    seed = int(os.environ.get("QUIESCED_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"QUIESCED_SEED={seed}")
    rng = random.Random(seed + round_number)
    agent.start()
    for number in range(500):
        parts = []
        for _ in range(rng.randrange(1, 6)):
            data = bytearray(encode(rng, random_request(rng)))
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(data) + 1)
                data[at:at + rng.randrange(3)] = bytes(rng.choice(
                    [0xff, 0, 0x0a, 0x22, 0x27, 0x5c, 0x7b, 0x7d, 0x5b, rng.randrange(256)])
                    for _ in range(rng.randrange(3)))
            parts.append(bytes(data))
        agent.send(b"".join(parts) + b"\xff\n" + json.dumps(
            {"execute": "guest-sync-delimited", "arguments": {"id": number}}).encode() + b"\n")
        while agent.receive_line() != b'\xff{"return": %d}\n' % number:
            pass
