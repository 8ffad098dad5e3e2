# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where quiesced answers otherwise than qemu-ga, on purpose: the one table. A difference that no row
explains is a failure."""

from typing import Callable, NamedTuple


class Difference(NamedTuple):
    reason: str
    applies: Callable  # of the request, quiesced's reply and qemu-ga's


def error_text(reply):
    return reply.get("error", {}).get("desc", "")


def mentions(text):
    return lambda request, ours, theirs: text in error_text(ours)


def is_about_an_argument(reply):
    return error_text(reply).startswith(("Parameter '", "Invalid parameter type for '", "QMP input "))


def both_complain(request, ours, theirs):
    return is_about_an_argument(ours) and is_about_an_argument(theirs)


DIFFERENCES = (
    Difference("Which of several mistakes is told first is nobody's promise.", both_complain),
    Difference("A command that newer agents have is no unknown command.",
               lambda request, ours, theirs: request.get("execute") in
               ("guest-get-load", "guest-network-get-route", "quiesce-status")),
    Difference("A name of any length is cut short in the error.",
               lambda request, ours, theirs: len(error_text(theirs)) > 200 > len(error_text(ours)) > 0
               and ours["error"]["class"] == theirs["error"]["class"]),
    Difference("Control characters in a name are escaped, for the terminal that shows the error.",
               mentions("\\u00")),
    Difference("The error tells which process, and what is wrong with it.",
               lambda request, ours, theirs: error_text(ours).startswith("PID ")
               and error_text(theirs) == "Invalid parameter 'pid'"),
    Difference("A string cut short at its NUL would name something else than the host asked for.",
               mentions("must not contain the character \\u0000")),
    Difference("Nobody means a negative number that wraps around to a huge one.",
               mentions("expects uint64")),
    Difference("Base64 that ends in the middle loses its end in qemu-ga.", mentions("is not valid base64")),
    Difference("Modes of capture-output are of a newer interface.",
               lambda request, ours, theirs: "capture-output" in error_text(ours) + error_text(theirs)),
    Difference("The error names the program and the cause.", mentions("cannot run '")),
)


def explained(request, ours, theirs):
    """The reason for a difference; None when there is none."""
    return next((row.reason for row in DIFFERENCES if row.applies(request, ours, theirs)), None)
