# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interface as qga-interface.json lists it, and whether a reply keeps to it."""

import json
from pathlib import Path

INTERFACE = json.loads((Path(__file__).parent / "qga-interface.json").read_text(encoding="utf-8"))
COMMANDS = INTERFACE["commands"]
TYPES = INTERFACE["types"]

UNSIGNED_MAX = {"uint8": (1 << 8) - 1, "uint16": (1 << 16) - 1, "uint32": (1 << 32) - 1,
                "uint64": (1 << 64) - 1, "size": (1 << 64) - 1}


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


SCALARS = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: is_integer(value) and -(1 << 63) <= value < 1 << 63,
    "number": lambda value: is_integer(value) or isinstance(value, float),
    **{name: lambda value, most=most: is_integer(value) and 0 <= value <= most
       for name, most in UNSIGNED_MAX.items()},
}


def mismatch(value, type_name, where="return"):
    """Why the value is not of the type; None when it is."""
    if isinstance(type_name, list):
        if not isinstance(value, list):
            return f"{where}: {value!r} is no list"
        return next((found for i, item in enumerate(value)
                     if (found := mismatch(item, type_name[0], f"{where}[{i}]"))), None)
    if type_name == {}:
        return None if value == {} else f"{where}: {value!r} is not empty"
    if type_name in SCALARS:
        return None if SCALARS[type_name](value) else f"{where}: {value!r} is no {type_name}"
    return named_mismatch(value, TYPES[type_name], type_name, where)


def named_mismatch(value, definition, type_name, where):
    if definition["kind"] == "enum":
        return None if value in definition["values"] else f"{where}: {value!r} is no {type_name}"
    if not isinstance(value, dict):
        return f"{where}: {value!r} is no {type_name}"
    members = dict(definition.get("members", definition.get("base", {})))
    if definition["kind"] == "union":
        tag = value.get(definition["discriminator"])
        variant = definition["variants"].get(tag)
        members |= TYPES[variant]["members"] if variant else {}
    for name, member in members.items():
        if name not in value:
            if not member["optional"]:
                return f"{where}: {name} is missing"
        elif found := mismatch(value[name], member["type"], f"{where}.{name}"):
            return found
    unknown = value.keys() - members.keys()
    return f"{where}: {sorted(unknown)} unknown to {type_name}" if unknown else None
