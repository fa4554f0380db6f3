"""A TOML table → a model, or a finding for every key that does not fit.

Messages are made from the kind of fault alone: what was written is never repeated.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from yoi_bundles.content.findings import (
    UNSUPPORTED,
    finding_at,
    near_hint,
    shown_path,
    shown_word,
)
from yoi_bundles.model.bundle import KeyPath, Source
from yoi_bundles.model.finding import Finding

M = TypeVar("M", bound=BaseModel)

_PREDICATES = {
    "missing": "is missing",
    "string_pattern_mismatch": "does not have the form of its kind",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "finite_number": "must be a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "less_than_equal": ("le", "at most {}"),
    "string_too_long": ("max_length", "at most {} characters"),
    "string_too_short": ("min_length", "at least {} character(s)"),
    "too_short": ("min_length", "at least {} entry or entries"),
    "too_long": ("max_length", "at most {} entries"),
}
MAX_FAULTS = 1_000
"""Faults of one file that are put into words."""
_FREE_TABLES = frozenset({"input_schema"})
"""Keys whose value is JSON of any shape and stays as it was read."""


def declare(model: type[M], table: Mapping[str, Any], source: Source) -> M | list[Finding]:
    """Validate a table strictly: a number is not a string, true is not 1.

    Args:
        model: What the table declares.
        table: As ``tomllib`` read it.
        source: The file, for the lines of findings.
    """
    try:
        return model.model_validate(_freeze(table), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    found: dict[KeyPath, Finding] = {}
    for fault in faults[:MAX_FAULTS]:
        path = _written_part(table, fault["loc"])
        found.setdefault(path, _find_fault(model, table, source, fault, path))
    return list(found.values())


def _freeze(value: object) -> object:
    """Arrays as tuples: the shape that strict validation wants."""
    if isinstance(value, dict):
        return {k: v if k in _FREE_TABLES else _freeze(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_freeze(entry) for entry in value)
    return value


def _written_part(table: object, loc: Iterable[int | str]) -> KeyPath:
    """The part of pydantic's location that names something in the file, missing keys included."""
    path: KeyPath = ()
    value: Any = table
    for part in loc:
        if isinstance(part, str) and isinstance(value, dict):
            path = (*path, part)
            if part not in value:
                return path
        elif isinstance(part, int) and isinstance(value, list) and part < len(value):
            path = (*path, part)
        else:
            return path
        value = value[part]
    return path


def _find_fault(
    model: type[BaseModel],
    table: Mapping[str, Any],
    source: Source,
    fault: ErrorDetails,
    path: KeyPath,
) -> Finding:
    kind, shown = fault["type"], shown_path(path)
    if kind == "extra_forbidden":
        key = str(path[-1])
        hint = near_hint(key, _known_keys(model, path[:-1]), what="keys here")
        message = f"unknown key {shown_word(key)}"
        return finding_at(source, path, message, code=UNSUPPORTED, hint=hint)
    if kind == "literal_error":
        return _find_choice(table, source, path, str(fault["ctx"]["expected"]))
    form = None
    if kind == "string_pattern_mismatch":
        form = f"it must match {fault['ctx']['pattern']}"
    return finding_at(source, path, f"{shown} {_predicate(fault)}", hint=form)


def _predicate(fault: ErrorDetails) -> str:
    """What is wrong with a value, as the end of a sentence."""
    kind, ctx = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return _own_words(str(ctx["error"]))
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words.format(ctx[name])}"
    return _PREDICATES.get(kind, f"is not valid here ({kind})")


def _find_choice(table: Mapping[str, Any], source: Source, path: KeyPath, expected: str) -> Finding:
    """A value that is none of a few words: an unknown kind or schema is not ours to judge."""
    written = _value_at(table, path)
    options = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    hint = near_hint(written if isinstance(written, str) else "", options)
    shown = shown_path(path)
    if path == ("schema",) and type(written) is int:
        return finding_at(
            source,
            path,
            "this version reads schema 1 only",
            code=UNSUPPORTED,
            hint="a newer version may have written this bundle",
        )
    if path[-1] == "kind" and isinstance(written, str):
        return finding_at(source, path, f"unknown {shown}", code=UNSUPPORTED, hint=hint)
    return finding_at(source, path, f"{shown} is none of its known values", hint=hint)


def _own_words(message: str) -> str:
    """What a validator of ours says, without the text that it may quote."""
    quoted, verb, what = message.rpartition(" is not a ")
    if verb and quoted:
        return f"is not a {what}"
    return f"is not consistent: {message}" if not message.startswith("a ") else f"must be {message}"


def _value_at(table: Mapping[str, Any], path: KeyPath) -> object:
    value: Any = table
    for part in path:
        value = value[part]
    return value


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that may stand in the table at a path of a model."""
    here: object = model
    for part in path:
        here = _step(here, part)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _step(here: object, part: str | int) -> object:
    """The type one key or index further in."""
    if isinstance(here, type) and issubclass(here, BaseModel):
        names = {field.alias or name: field for name, field in here.model_fields.items()}
        return _bare(names[str(part)].annotation) if part in names else None
    args = get_args(here)
    return _bare(args[1] if get_origin(here) is dict else args[0]) if args else None


def _bare(annotation: object) -> object:
    """A type without Annotated and without ``| None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        some = [arg for arg in get_args(annotation) if arg is not type(None)]
        return _bare(some[0])
    return annotation


class Choice(Generic[M]):
    """A union whose member is named by the table's ``kind``.

    Args:
        members: Kind → model.
    """

    def __init__(self, members: Mapping[str, type[M]]) -> None:
        self._members = members

    def declare(self, table: Mapping[str, Any], source: Source) -> M | list[Finding]:
        """Validate a table by the model of its kind."""
        kind = table.get("kind")
        if isinstance(kind, str) and kind in self._members:
            return declare(self._members[kind], table, source)
        if isinstance(kind, str):
            hint = near_hint(kind, self._members)
            return [finding_at(source, ("kind",), "unknown `kind`", code=UNSUPPORTED, hint=hint)]
        message = "`kind` is missing" if kind is None else "`kind` must be a string"
        hint = near_hint("", self._members)
        return [finding_at(source, ("kind",), message, hint=hint)]
