"""Codec of revision commits: one canonical spelling, anything else is refused.

A commit is parsed to a `Revision`, encoded again, and the bytes are compared. What two parsers
could read differently (double headers, padded numbers, room outside a signature) cannot pass.

Source: gitformat-commit; docs/format.md, "Commits and trailers"; git-interpret-trailers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, cast

from yoi_bundles.errors import (
    InvalidInputError,
    MalformedBundleError,
    TooLargeError,
    UnsupportedDeclarationError,
)
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import (
    MAX_NUMBER,
    SCHEMA_NUMBER,
    Provenance,
    Revision,
    SourceKind,
)
from yoi_bundles.model.texts import UNSEEN

_ORDER = (
    "Bundle-Schema",
    "Bundle-Workspace",
    "Bundle-Revision",
    "Source-Kind",
    "Source-Uri",
    "Source-Revision",
    "Source-Dirty",
    "Published-By",
    "Built-With",
)
_OPTIONAL = frozenset({"Source-Revision", "Source-Dirty"})
_RESERVED = re.compile(r"(?i)(bundle-[a-z0-9-]*|source-[a-z0-9-]*|published-by|built-with)\s*:")
# git stops looking for trailers at this line, so it would hide ours from `git log`.
_SCISSORS = "------------------------ >8 ------------------------"
_PERSON = re.compile(r"[^<>]*[^<> ]( <[^<> ]*>)?")
_HEADERS = re.compile(
    rb"tree (?P<tree>[0-9a-f]{64})\n"
    rb"(?:parent (?P<parent>[0-9a-f]{64})\n)?"
    rb"author (?P<author>[^\n]*)\n"
    rb"committer [^\n]*\n"
    rb"(?P<signed>gpgsig-sha256 (?P<signature>[^\n]+(?:\n [^\n]*)*)\n)?"
    rb"\n"
)
# Room for anything else would be room that no signature covers.
_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n(?: [A-Za-z0-9+/=]{1,76}\n)+ -----END SSH SIGNATURE-----"
)
_WHEN = re.compile(r"(?P<person>.*) (?P<seconds>[0-9]{1,12}) \+0000")
_NUMBER_LINE = re.compile(r"^Bundle-Revision: ([1-9][0-9]{0,15})$", re.MULTILINE)
_NOT_CANONICAL = "a commit is not in its canonical spelling"
_KEPT_TRAILERS = 32
_MAX_SECONDS = 253_402_300_799
"""The last second of the year 9999."""


class ParsedCommit(NamedTuple):
    """A commit's meaning, its signature if there is one, and the bytes that are signed."""

    revision: Revision
    signature: bytes | None
    payload: bytes


def hash_commit(raw: bytes) -> CommitId:
    """The id of a commit's bytes."""
    return CommitId(sha256(b"commit %d\0" % len(raw) + raw).hexdigest())


def normalise_message(text: str) -> str:
    """Free text as a commit keeps it: no blank line or space at its ends or at line ends.

    Raises:
        InvalidInputError: A control or invisible character, a line that looks like one of our
            trailers, or one at which git stops reading them.
    """
    message = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    message = message.strip("\n")
    _verify_message(message)
    return message


def _verify_message(message: str) -> None:
    if UNSEEN.search(message):
        raise InvalidInputError("the message holds a control or invisible character")
    for line in message.split("\n"):
        if _RESERVED.match(line):
            raise InvalidInputError(
                f"the message line {line[:40]!a} looks like a trailer",
                hint="Bundle-*, Source-*, Published-By and Built-With are written by the store",
            )
        if _SCISSORS in line:
            raise InvalidInputError("the message holds a scissors line, which hides trailers")


def encode_commit(
    *,
    digest: Digest,
    parent: CommitId | None,
    workspace: WorkspaceId,
    number: int,
    created_at: datetime,
    provenance: Provenance,
    message: str,
    signature: bytes | None = None,
) -> bytes:
    """The canonical bytes of a revision commit.

    Args:
        digest: Tree of the commit.
        parent: The revision before, or None for the first.
        workspace: Becomes ``Bundle-Workspace``.
        number: Becomes ``Bundle-Revision``.
        created_at: With a time zone; fractions of a second are dropped.
        provenance: One trailer per field; ``published_by`` is author and committer too.
        message: Free text; empty means "Publish revision N of WS".
        signature: SSH signature in armour, without a final newline.

    Raises:
        InvalidInputError: A text that cannot stand in a commit, or a time or number out of range.
    """
    if not 1 <= number <= MAX_NUMBER:
        raise InvalidInputError("there is no room for another revision number")
    text = normalise_message(message) or f"Publish revision {number} of {workspace}"
    trailers = _encode_trailers(_trailers_of(workspace, number, provenance))
    head = _encode_head(digest, parent, created_at, provenance.published_by, signature)
    return head + f"\n{text}\n\n{trailers}".encode()


def _encode_head(
    digest: Digest,
    parent: CommitId | None,
    created_at: datetime,
    published_by: str,
    signature: bytes | None,
) -> bytes:
    """All lines before the message."""
    line = "" if parent is None else f"parent {parent}\n"
    who = f"{_format_person(published_by)} {_format_time(created_at)} +0000"
    lines = f"tree {digest}\n{line}author {who}\ncommitter {who}\n".encode()
    if signature is None:
        return lines
    return lines + b"gpgsig-sha256 " + signature.replace(b"\n", b"\n ") + b"\n"


def insert_signature(payload: bytes, signature: bytes) -> bytes:
    """The canonical bytes of a signed commit.

    Args:
        payload: The commit without a signature, as `encode_commit` spells it.
        signature: SSH signature of the payload, in armour.

    Raises:
        MalformedBundleError: The signature is not in the armour of SSH.
        TooLargeError: More bytes than a commit may have.
    """
    head, gap, message = payload.partition(b"\n\n")
    armour = signature.removesuffix(b"\n").replace(b"\n", b"\n ")
    raw = head + b"\ngpgsig-sha256 " + armour + gap + message
    if parse_commit(raw).payload != payload:
        raise MalformedBundleError("a signature does not fit its commit")
    return raw


def _format_person(published_by: str) -> str:
    if _PERSON.fullmatch(published_by) is None or published_by.startswith(" "):
        raise InvalidInputError(
            "published_by is not a person or a service", hint="'Name' or 'Name <mail>'"
        )
    return published_by if published_by.endswith(">") else f"{published_by} <>"


def _format_time(created_at: datetime) -> int:
    if created_at.tzinfo is None:
        raise InvalidInputError("created_at has no time zone")
    seconds = int(created_at.timestamp() // 1)
    if not 0 <= seconds <= _MAX_SECONDS:
        raise InvalidInputError("created_at is before 1970 or after 9999")
    return seconds


def _trailers_of(
    workspace: WorkspaceId, number: int, provenance: Provenance
) -> Mapping[str, str | None]:
    dirty = provenance.source_dirty
    return {
        "Bundle-Schema": str(SCHEMA_NUMBER),
        "Bundle-Workspace": str(workspace),
        "Bundle-Revision": str(number),
        "Source-Kind": provenance.source_kind,
        "Source-Uri": provenance.source_uri,
        "Source-Revision": provenance.source_revision,
        "Source-Dirty": None if dirty is None else str(dirty).lower(),
        "Published-By": provenance.published_by,
        "Built-With": provenance.built_with,
    }


def _encode_trailers(values: Mapping[str, str | None]) -> str:
    lines: list[str] = []
    for key in _ORDER:
        value = values[key]
        if value is None:
            continue
        if value != value.strip():
            raise InvalidInputError(f"{key} begins or ends with a space")
        if UNSEEN.search(value):
            raise InvalidInputError(f"{key} holds a control or invisible character")
        lines.append(f"{key}: {value}\n")
    return "".join(lines)


def parse_commit(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> ParsedCommit:
    """Parse a revision commit that is spelt exactly as `encode_commit` spells it.

    Args:
        raw: Content of the commit object.
        limits: Bounds; ``commit_bytes`` applies.

    Raises:
        TooLargeError: More bytes than a commit may have.
        UnsupportedDeclarationError: A schema number that this version does not know.
        MalformedBundleError: Any other spelling or order, an unknown, double or missing trailer.
    """
    if len(raw) > limits.commit_bytes:
        raise TooLargeError(
            "a commit is too large", limit=limits.commit_bytes, limit_name="commit_bytes"
        )
    match = _HEADERS.match(raw)
    if match is None:
        raise MalformedBundleError(
            "a commit has other headers than tree, parent, author, committer, gpgsig-sha256"
        )
    signature = match["signature"]
    if signature is not None and _ARMOUR.fullmatch(signature) is None:
        raise MalformedBundleError("a commit's signature is not one of SSH in its armour")
    try:
        revision, trailers = _read_revision(raw, match)
        again = _encode_again(revision, trailers, signature)
    except UnsupportedDeclarationError:
        raise
    except (InvalidInputError, ValueError) as error:
        reason = error.message if isinstance(error, InvalidInputError) else type(error).__name__
        raise MalformedBundleError(f"a commit cannot be read: {reason}") from None
    if again != raw:
        raise MalformedBundleError(_NOT_CANONICAL)
    start, end = match.span("signed") if signature is not None else (0, 0)
    return ParsedCommit(
        revision,
        None if signature is None else signature.replace(b"\n ", b"\n"),
        raw[:start] + raw[end:],
    )


def _encode_again(revision: Revision, trailers: str, signature: bytes | None) -> bytes:
    """The bytes of a revision, its trailers as they were spelt; `_read_trailers` compares those."""
    head = _encode_head(
        revision.digest,
        revision.parent,
        revision.created_at,
        revision.provenance.published_by,
        None if signature is None else signature.replace(b"\n ", b"\n"),
    )
    return head + f"\n{normalise_message(revision.message)}\n\n{trailers}".encode()


def _read_revision(raw: bytes, match: re.Match[bytes]) -> tuple[Revision, str]:
    """Meaning of a commit whose headers are in order, and its trailers.

    The spelling of all but the trailers is compared afterwards.
    """
    message, gap, block = raw[match.end() :].decode("utf-8").rpartition("\n\n")
    if not gap or not message:
        raise MalformedBundleError("a commit has no trailers")
    number, workspace, provenance = _read_trailers(block)
    when = _WHEN.fullmatch(match["author"].decode("utf-8"))
    if when is None or int(when["seconds"]) > _MAX_SECONDS:
        raise MalformedBundleError("a commit's author line has no name or no UTC time")
    parent = match["parent"]
    revision = Revision(
        workspace=workspace,
        number=number,
        commit=hash_commit(raw),
        digest=Digest(match["tree"].decode("ascii")),
        parent=None if parent is None else CommitId(parent.decode("ascii")),
        created_at=datetime.fromtimestamp(int(when["seconds"]), tz=UTC),
        provenance=provenance,
        message=message,
        is_signed=match["signature"] is not None,
    )
    return revision, block


def _read_trailers(block: str) -> tuple[int, WorkspaceId, Provenance]:
    """Meaning of trailers in their canonical spelling.

    Most of a line of history differ in the number alone: the rest is read once.
    """
    line = _NUMBER_LINE.search(block)
    if line is None:
        _parse_trailers(block)
        raise MalformedBundleError("Bundle-Revision is not a positive number")
    number = int(line[1])
    if number > MAX_NUMBER:
        raise MalformedBundleError("there is no room for another revision number")
    return number, *_read_others(f"{block[: line.start(1)]}1{block[line.end(1) :]}")


@lru_cache(maxsize=_KEPT_TRAILERS)
def _read_others(block: str) -> tuple[WorkspaceId, Provenance]:
    """Meaning of the trailers of a first revision but its number."""
    trailers = _parse_trailers(block)
    dirty = trailers.get("Source-Dirty")
    workspace = WorkspaceId.parse(trailers["Bundle-Workspace"])
    provenance = Provenance(
        source_kind=cast(SourceKind, trailers["Source-Kind"]),  # it looks at it itself
        source_uri=trailers["Source-Uri"],
        source_revision=trailers.get("Source-Revision"),
        source_dirty=None if dirty is None else dirty == "true",
        published_by=trailers["Published-By"],
        built_with=trailers["Built-With"],
    )
    if _encode_trailers(_trailers_of(workspace, 1, provenance)) != block:
        raise MalformedBundleError(_NOT_CANONICAL)
    return workspace, provenance


def _parse_trailers(block: str) -> dict[str, str]:
    """Trailers of the last paragraph: all known, each once, all that must be there."""
    found: dict[str, str] = {}
    for line in block.removesuffix("\n").split("\n"):
        key, colon, value = line.partition(": ")
        if not colon or key not in _ORDER or key in found:
            raise MalformedBundleError(
                f"unknown, double or misspelt trailer {key[:40]!a} in a revision commit"
            )
        found[key] = value
    schema = found.get("Bundle-Schema")
    if schema is not None and schema != str(SCHEMA_NUMBER):
        raise UnsupportedDeclarationError(
            f"bundle schema {schema[:20]!a} is not known here", expected=str(SCHEMA_NUMBER)
        )
    missing = [key for key in _ORDER if key not in found and key not in _OPTIONAL]
    if missing:
        raise MalformedBundleError(f"a commit lacks the trailer {missing[0]}")
    return found
