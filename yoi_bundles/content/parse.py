"""One file → its declaration and its findings.

What a file declares depends on its kind and its bytes alone, so a caller may keep a `ParsedFile`
by blob id; what files say about one another is looked at later, in `references`.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from yoi_bundles.content.declare import Choice, declare
from yoi_bundles.content.findings import (
    INVALID,
    MATERIAL,
    PATH,
    TOO_LARGE,
    finding_at,
    shown_file,
)
from yoi_bundles.content.front_matter import parse_front_matter
from yoi_bundles.content.host_paths import find_host_paths
from yoi_bundles.content.layout import FileKind, Place, find_place
from yoi_bundles.content.material import MAX_MATCHES, Match, redact, scan_text
from yoi_bundles.content.shape import classify
from yoi_bundles.content.text import decode_text
from yoi_bundles.content.toml_lines import LineIndex
from yoi_bundles.content.tool_schema import find_schema_faults
from yoi_bundles.content.variables import find_variable_faults
from yoi_bundles.errors import ForbiddenPathError
from yoi_bundles.model.base import Model
from yoi_bundles.model.bundle import Declared, KeyPath, Source
from yoi_bundles.model.declarations import (
    AllowList,
    Manifest,
    Plugin,
    Profile,
    Prompt,
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
from yoi_bundles.model.ids import BlobId, PromptKey, RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path
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
_TOO_MANY_SECRETS = f"this file holds more than {MAX_MATCHES} texts that look like secrets"
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


_PLAIN_HEADER = PromptHeader()
"""Of a prompt without a fence."""

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


class ParsedFile(NamedTuple):
    """What one file is and says.

    Args:
        place: Kind and name; None if the path has no place in the layout.
        size_bytes: Length of the file.
        declared: The value; None for prose, and for a file that does not follow its schema.
        findings: Faults that no list can excuse.
        matches: Hits of the text scan, which ``policies/allow.toml`` can excuse.
        is_safe: Whether the path means the same harmless file on every file system.
    """

    source: Source
    place: Place | None
    size_bytes: int
    declared: Declared[Any] | None = None
    findings: tuple[Finding, ...] = ()
    matches: tuple[Match, ...] = ()
    is_safe: bool = True


def blob_id_of(data: bytes) -> BlobId:
    """The id that git gives to a file's bytes in a SHA-256 repository."""
    return BlobId(hashlib.sha256(b"blob %d\0" % len(data) + data).hexdigest())


def parse_file(
    path: RelativePath, blob: BlobId, data: bytes, limits: Limits = DEFAULT_LIMITS
) -> ParsedFile:
    """Parse one file of a tree; every fault in it becomes a finding.

    Args:
        path: Where it stands in the tree.
        blob: Id of the bytes.
        data: The bytes.
        limits: ``file_bytes`` and those of paths apply.
    """
    parsed = _parse_bytes(path, blob, data, limits)
    try:
        parse_tree_path(str(path), limits)
    except ForbiddenPathError as error:
        fault = Finding(file=shown_file(path), code=PATH, message=error.message)
        return parsed._replace(is_safe=False, findings=(*parsed.findings, fault))
    return parsed


def _parse_bytes(path: RelativePath, blob: BlobId, data: bytes, limits: Limits) -> ParsedFile:
    source, size = Source(path, blob), len(data)
    place = find_place(path)
    if isinstance(place, Finding):
        return ParsedFile(source, None, size, findings=(place,))
    if size > limits.file_bytes:
        return ParsedFile(source, place, size, findings=(_too_large(path, limits),))
    classes = classify(data)
    text = decode_text(path, data, classes)
    if isinstance(text, Finding):
        return ParsedFile(source, place, size, findings=(text,))
    parsed = _parse_text(source, place, text, size)
    matches = tuple(scan_text(path, text, data, classes))
    if not matches:
        return parsed
    if len(matches) <= MAX_MATCHES:
        return parsed._replace(matches=matches)
    # No list may excuse a file that is not looked at to its end.
    fault = Finding(file=shown_file(path), code=MATERIAL, message=_TOO_MANY_SECRETS)
    return parsed._replace(matches=matches, findings=(*parsed.findings, fault))


def _parse_text(source: Source, place: Place, text: str, size: int) -> ParsedFile:
    if place.kind == "workflow-text":
        return ParsedFile(source, place, size)
    if place.kind == "prompt":
        return _parse_prompt(source, place, text, size)
    return _parse_toml_file(source, place, text, size)


def _too_large(path: RelativePath, limits: Limits) -> Finding:
    return Finding(
        file=shown_file(path),
        code=TOO_LARGE,
        message=f"this file is larger than {limits.file_bytes} bytes",
        hint="keep large material outside the bundle and refer to it by hash",
    )


def _parse_toml_file(source: Source, place: Place, text: str, size: int) -> ParsedFile:
    read = _read_toml(source, text)
    if isinstance(read, Finding):
        return ParsedFile(source, place, size, findings=(read,))
    table, source = read
    value, findings = _declare(_DECLARERS[place.kind], table, source)
    if isinstance(value, Tool):
        findings += find_schema_faults(value.input_schema, source)
    declared = None if value is None else Declared(value, source, table)
    return ParsedFile(source, place, size, declared, tuple(findings))


def _parse_prompt(source: Source, place: Place, text: str, size: int) -> ParsedFile:
    parts = parse_front_matter(text)
    if parts is None:
        fault = finding_at(source, (), "the `+++` fence is never closed")
        return ParsedFile(source, place, size, findings=(fault,))
    if parts.header is None:
        prompt = Prompt(PromptKey(place.name), _PLAIN_HEADER)
        findings = find_variable_faults(_PLAIN_HEADER, parts, source)
        return ParsedFile(source, place, size, Declared(prompt, source), tuple(findings))
    read = _read_toml(source, parts.header)
    if isinstance(read, Finding):
        return ParsedFile(source, place, size, findings=(read,))
    table, source = read
    header, findings = _declare(_as(PromptHeader), table, source)
    if not isinstance(header, PromptHeader):
        return ParsedFile(source, place, size, findings=tuple(findings))
    findings += find_variable_faults(header, parts, source)
    prompt = Prompt(PromptKey(place.name), header)
    return ParsedFile(source, place, size, Declared(prompt, source, table), tuple(findings))


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
