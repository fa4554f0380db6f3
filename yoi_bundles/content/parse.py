"""One file → its declaration and its findings.

What a file declares depends on its kind and its bytes alone, so a caller may keep a `ParsedFile`
by blob id; what files say about one another is looked at later, in `references`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from yoi_bundles.content.findings import MATERIAL, PATH, TOO_LARGE, finding_at, shown_file
from yoi_bundles.content.front_matter import parse_front_matter
from yoi_bundles.content.layout import Place, find_place
from yoi_bundles.content.material import MAX_MATCHES, Match, scan_text
from yoi_bundles.content.shape import classify
from yoi_bundles.content.text import decode_text
from yoi_bundles.content.variables import find_variable_faults
from yoi_bundles.errors import ForbiddenPathError
from yoi_bundles.model.bundle import Declared, Source
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import BlobId, PromptKey, RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path
from yoi_bundles.model.prompts import Prompt

if TYPE_CHECKING:
    from yoi_bundles.model.declarations import PromptHeader

_TOO_MANY_SECRETS = f"this file holds more than {MAX_MATCHES} texts that look like secrets"
_KEPT_FILES = 512
_KEPT_FILE_BYTES = 4 * 1024


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


def make_plain_prompt(
    source: Source, place: Place, size: int, faults: tuple[Finding, ...] = ()
) -> ParsedFile:
    """A prompt without a header."""
    prompt = Prompt(PromptKey(place.name))
    return ParsedFile(source, place, size, Declared(prompt, source), faults)


def _parse_bytes(path: RelativePath, blob: BlobId, data: bytes, limits: Limits) -> ParsedFile:
    source, size = Source(path, blob), len(data)
    place = find_place(path)
    if isinstance(place, Finding):
        return ParsedFile(source, None, size, findings=(place,))
    if size > limits.file_bytes:
        return ParsedFile(source, place, size, findings=(_too_large(path, limits),))
    if size <= _KEPT_FILE_BYTES and place.kind not in ("prompt", "workflow-text"):
        return _parse_small(path, blob, place, data)
    return _parse_sized(source, place, data)


def _parse_sized(source: Source, place: Place, data: bytes) -> ParsedFile:
    """A file that has a place and may be as large as it is: what it says depends on no limit."""
    path, size = source.file, len(data)
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


@lru_cache(_KEPT_FILES)
def _parse_small(path: RelativePath, blob: BlobId, place: Place, data: bytes) -> ParsedFile:
    """As `_parse_sized`: the builtin files are part of most trees, and TOML is slow to parse."""
    return _parse_sized(Source(path, blob), place, data)


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
    from yoi_bundles.content.toml_files import parse_toml

    parsed = parse_toml(source, place.kind, text)
    return ParsedFile(parsed.source, place, size, parsed.declared, parsed.findings)


def _parse_prompt(source: Source, place: Place, text: str, size: int) -> ParsedFile:
    parts = parse_front_matter(text)
    if parts is None:
        fault = finding_at(source, (), "the `+++` fence is never closed")
        return ParsedFile(source, place, size, findings=(fault,))
    if parts.header is None:
        faults = find_variable_faults((), parts, source)
        return make_plain_prompt(source, place, size, tuple(faults))
    from yoi_bundles.content.toml_files import parse_header

    source, declared, findings = parse_header(source, parts.header)
    if declared is None:
        return ParsedFile(source, place, size, findings=findings)
    header: PromptHeader = declared.value
    faults = find_variable_faults(header.variables, parts, source)
    prompt = Prompt(PromptKey(place.name), header.description, header.variables)
    made = Declared(prompt, source, declared.table)
    return ParsedFile(source, place, size, made, (*findings, *faults))


def is_plain_prompt(file: ParsedFile | None) -> bool:
    """Whether a file is a prompt of which others see nothing but that it is there and sound."""
    return (
        file is not None
        and file.declared is not None
        and isinstance(file.declared.value, Prompt)
        and not file.findings
        and not file.matches
        and file.is_safe
    )
