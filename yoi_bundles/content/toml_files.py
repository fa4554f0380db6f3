"""The TOML of one file → what it declares, and its findings.

Apart from `parse`, as most files are prompts without any: what they need loads without this.

Source: docs/format.md, "Checking a tree".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from yoi_bundles.content.declare import Choice, declare
from yoi_bundles.content.findings import INVALID, finding_at
from yoi_bundles.content.host_paths import find_host_paths
from yoi_bundles.content.layout import FileKind
from yoi_bundles.content.material import redact
from yoi_bundles.content.toml_lines import LineIndex
from yoi_bundles.content.tool_schema import find_schema_faults
from yoi_bundles.model.base import Model
from yoi_bundles.model.bundle import Declared, KeyPath, Source
from yoi_bundles.model.declarations import (
    AllowList,
    Manifest,
    Plugin,
    Profile,
    PromptHeader,
    Provider,
    Tool,
    ToolPolicy,
    WorkflowDefinition,
    WorkflowReference,
)
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.grants import (
    CapabilityGrant,
    GitGrant,
    MountGrant,
    NetworkGrant,
    PluginGrant,
    SecretGrant,
    ShellGrant,
    ToolGrant,
)
from yoi_bundles.model.texts import UNSEEN

MAX_NESTING = 32
"""Tables and arrays inside one another, and parts of one dotted key."""

MAX_VALUES = 10_000
"""Keys and array entries of one TOML file: each costs some hundred bytes once it is parsed."""

_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
# tomllib's time and memory grow with the square of a key's parts.
_LONG_KEY = re.compile(rf"^[ \t\[]*(?:{_KEY_PART}[ \t]*\.[ \t]*){{{MAX_NESTING},}}", re.MULTILINE)
_TOO_MANY_VALUES = f"holds more than {MAX_VALUES} values"
_ESCAPED_UNSEEN = "an escape stands for a control or invisible character"
_PLACE_IN_ERROR = re.compile(r"at line (\d+)")

Declarer: TypeAlias = Callable[[Mapping[str, Any], Source], "Model | list[Finding]"]

GRANTS: Choice[Model] = Choice(
    {
        "secret": SecretGrant,
        "mount": MountGrant,
        "network": NetworkGrant,
        "shell": ShellGrant,
        "git": GitGrant,
        "capability": CapabilityGrant,
        "tool": ToolGrant,
        "plugin": PluginGrant,
    }
)
WORKFLOWS: Choice[Model] = Choice(
    {"definition": WorkflowDefinition, "reference": WorkflowReference}
)


def _as(model: type[Model]) -> Declarer:
    return lambda table, source: declare(model, table, source)


def _declare_manifest(table: Mapping[str, Any], source: Source) -> Model | list[Finding]:
    """bundle.toml; Python would take ``true`` and ``1.0`` for the schema number 1."""
    value = declare(Manifest, table, source)
    if "schema" not in table or type(table["schema"]) is int:
        return value
    others = value if isinstance(value, list) else []
    fault = finding_at(source, ("schema",), "`schema` must be an integer")
    return [fault, *(other for other in others if other.line != fault.line)]


_DECLARERS: dict[FileKind, Declarer] = {
    "manifest": _declare_manifest,
    "profile": _as(Profile),
    "workflow": WORKFLOWS.declare,
    "tool": _as(Tool),
    "tool-policy": _as(ToolPolicy),
    "allow-list": _as(AllowList),
    "plugin": _as(Plugin),
    "provider": _as(Provider),
    "grant": GRANTS.declare,
}


class ParsedToml(NamedTuple):
    """What a text in TOML says.

    Args:
        source: Its file, with the lines of its keys if it is TOML at all.
        declared: The value; None if it does not follow its schema.
        findings: Faults that no list can excuse.
    """

    source: Source
    declared: Declared[Any] | None
    findings: tuple[Finding, ...]


def parse_toml(source: Source, kind: FileKind, text: str) -> ParsedToml:
    """Parse the text of a file that is TOML as a whole.

    Args:
        source: The file.
        kind: What it declares.
        text: What it holds.
    """
    parsed = _parse(source, _DECLARERS[kind], text)
    value = None if parsed.declared is None else parsed.declared.value
    if not isinstance(value, Tool):
        return parsed
    faults = find_schema_faults(value.input_schema, parsed.source)
    return parsed._replace(findings=(*parsed.findings, *faults))


def parse_header(source: Source, text: str) -> ParsedToml:
    """Parse the header of a prompt, without its fences; its value is a `PromptHeader`."""
    return _parse(source, _as(PromptHeader), text)


def _parse(source: Source, declarer: Declarer, text: str) -> ParsedToml:
    read = _read_toml(source, text)
    if isinstance(read, Finding):
        return ParsedToml(source, None, (read,))
    table, source = read
    value, findings = _declare(declarer, table, source)
    declared = None if value is None else Declared(value, source, table)
    return ParsedToml(source, declared, tuple(findings))


def _declare(
    declarer: Declarer, table: dict[str, Any], source: Source
) -> tuple[Model | None, list[Finding]]:
    """Value and findings; a host path hides the schema's complaint about the same key."""
    material = find_host_paths(table, source)
    value = declarer(table, source)
    if not isinstance(value, list):
        return value, list(material.values())
    lines = {source.line_of(path) for path in material}
    others = [fault for fault in value if fault.code != INVALID or fault.line not in lines]
    return None, [*material.values(), *others]


def _read_toml(source: Source, text: str) -> tuple[dict[str, Any], Source] | Finding:
    """The table and a source that knows its lines, or why there is none."""
    long_key = _LONG_KEY.search(text)
    if long_key is not None:
        return _syntax_fault(source, text.count("\n", 0, long_key.start()) + 1, "nests too deeply")
    # Prose has commas too; a table of MAX_VALUES keys or entries has no more than these.
    if text.count(",") + text.count("=") > 4 * MAX_VALUES:
        return _syntax_fault(source, None, _TOO_MANY_VALUES)
    try:
        table = tomllib.loads(text)
    except RecursionError:
        return _syntax_fault(source, None, "nests too deeply")
    except ValueError as error:
        message = str(error)
        place = _PLACE_IN_ERROR.search(message)
        line = int(place.group(1)) if place else text.count("\n") + 1
        return _syntax_fault(source, line, f"is not TOML: {_without_place(message)}")
    source = Source(source.file, source.blob, LineIndex(text))
    return _find_bad_value(table, source) or (table, source)


def _find_bad_value(table: dict[str, Any], source: Source) -> Finding | None:
    excess = _find_excess(table)
    if excess is not None:
        return _syntax_fault(source, None, excess)
    escaped = _find_unseen(table)
    if escaped is not None:
        return finding_at(source, escaped, _ESCAPED_UNSEEN, hint="remove it")
    return None


def _find_unseen(table: dict[str, Any]) -> KeyPath | None:
    """Where a key or value holds, by an escape, what the text itself may not hold."""
    waiting: list[tuple[KeyPath, Any]] = [((), table)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and UNSEEN.search(value):
            return path
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
            if any(UNSEEN.search(key) for key in value):
                return path
        elif isinstance(value, list):
            waiting += [((*path, at), inner) for at, inner in enumerate(value)]
    return None


def _syntax_fault(source: Source, line: int | None, message: str) -> Finding:
    return Finding(file=str(source.file), line=line, code=INVALID, message=f"this file {message}")


def _without_place(message: str) -> str:
    return redact(message.partition(" (at ")[0])[:120]


def _find_excess(table: dict[str, Any]) -> str | None:
    """Whether a table is too deep or holds too many values; does not recurse."""
    level: list[Any] = [table]
    total = 0
    for _ in range(MAX_NESTING):
        total += sum(map(len, level))
        if total > MAX_VALUES:
            return _TOO_MANY_VALUES
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return None
    return "nests too deeply"
