"""The JSON Schema of a tool's input: an object, representable as JSON, closed.

Source: JSON Schema 2020-12; RFC 8785 (what canonical JSON can hold).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from yoi_bundles.content.findings import finding_at, near_hint
from yoi_bundles.model.bundle import KeyPath, Source
from yoi_bundles.model.finding import Finding

_ROOT: KeyPath = ("input_schema",)
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_EXAMPLES = frozenset({"default", "const", "enum", "examples"})
"""Keys whose value is data, not schema."""
_NAMING = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
"""Keys below which a key is a name somebody chose, not one of JSON Schema's words."""


def find_keyword(path: KeyPath) -> str | int | None:
    """What the last part of a key path inside a schema means to JSON Schema.

    Args:
        path: From ``input_schema`` on.

    Returns:
        The keyword or array position; None for a chosen name. Inside data (``default``, ``enum``
        …) it is the keyword that holds the data.
    """
    is_name = False
    last: str | int | None = None
    for part in path[1:]:
        if is_name:
            last, is_name = None, False
            continue
        if part in _EXAMPLES:
            return part
        last, is_name = part, part in _NAMING
    return last


def is_data(path: KeyPath) -> bool:
    """Whether a key path inside a schema leads to data rather than to schema."""
    return find_keyword(path) in _EXAMPLES


def find_schema_faults(schema: Mapping[str, Any], source: Source) -> list[Finding]:
    """What keeps a tool's ``input_schema`` from being usable on every machine."""
    findings = []
    if schema.get("type") != "object":
        findings.append(
            finding_at(source, (*_ROOT, "type"), '`input_schema.type` must be "object"')
        )
    for path, value in _walk(schema, _ROOT):
        message = _find_value_fault(path, value)
        if message is not None:
            findings.append(finding_at(source, path, message))
    return [*findings, *_find_required_faults(schema, source)]


def _find_value_fault(path: KeyPath, value: object) -> str | None:
    key = find_keyword(path)
    if key == "$ref" and not (isinstance(value, str) and value.startswith("#")):
        return "`$ref` must stay inside this schema (`#/…`)"
    types = value if isinstance(value, list) else [value]
    if key == "type" and not isinstance(value, dict) and not _TYPES.issuperset(map(str, types)):
        return "`type` is none of JSON Schema's types"
    if isinstance(value, bool | str | dict | list):
        return None
    if isinstance(value, int):
        return "the integer is too large for JSON" if abs(value) >= 2**53 else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "the number is not finite"
    return "dates and times are not JSON: write a string"


def _find_required_faults(schema: Mapping[str, Any], source: Source) -> Iterator[Finding]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        yield finding_at(source, _ROOT, "`properties` must be a table and `required` an array")
        return
    for index, name in enumerate(required):
        if not isinstance(name, str) or name not in properties:
            hint = near_hint(str(name), properties, what="properties")
            path = (*_ROOT, "required", index)
            yield finding_at(source, path, "a required property is not declared", hint=hint)


def _walk(value: Mapping[str, Any] | list[Any], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """Every value inside a schema with its key path."""
    pairs: Iterable[tuple[str | int, Any]]
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    for key, inner in pairs:
        yield (*path, key), inner
        if isinstance(inner, dict | list):
            yield from _walk(inner, (*path, key))
