"""The JSON Schema of a tool's input: an object, representable as JSON, closed.

Source: JSON Schema 2020-12; RFC 8785 (what canonical JSON can hold).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from yoi_bundles.content.findings import finding_at, near_hint
from yoi_bundles.model.bundle import Finding, KeyPath, Source

_ROOT: KeyPath = ("input_schema",)
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_EXAMPLES = frozenset({"default", "const", "enum", "examples"})
"""Keys whose value is data, not schema."""


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
    key = "" if _EXAMPLES & set(path) else path[-1]
    if key == "$ref" and not (isinstance(value, str) and value.startswith("#")):
        return "`$ref` must stay inside this schema (`#/…`)"
    if key == "type" and isinstance(value, str) and value not in _TYPES:
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
