# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds what quiesce-probe prints against docs/quiesce-probe-schema.json."""

import json
from pathlib import Path

import jsonschema

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "quiesce-probe-schema.json")
                    .read_text(encoding="utf-8"))


def strict(schema):
    """The same without the members that it does not name: readers are to accept them, but all that
    we print today is to stand in it."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: strict(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "$schema" not in schema:
        copy["additionalProperties"] = False
    return copy


def assert_follows_schema(value):
    validator = jsonschema.Draft202012Validator(strict(SCHEMA))
    problem = jsonschema.exceptions.best_match(validator.iter_errors(value))
    assert problem is None, f"{problem.json_path}: {problem.message[:500]}"
