"""Revisions: what the commit binds to a bundle's digest.

Source: docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

from yoi_bundles.errors import InvalidInputError, RevisionConflictError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.record import Record, Rule
from yoi_bundles.model.texts import LINE_CLASS

SCHEMA_NUMBER = 1
"""The bundle schema this version reads and writes (trailer ``Bundle-Schema``)."""

_LINE_LENGTH = 512
# Half a character comes of bytes that are no UTF-8, as an argument of a command may hold them.
_LINE = re.compile(rf"{LINE_CLASS[:-1]}\ud800-\udfff]{{1,{_LINE_LENGTH}}}")

TrailerText: TypeAlias = Annotated[
    str, Rule(min_length=1, max_length=_LINE_LENGTH, pattern=f"^{LINE_CLASS}+$")
]
"""One line without control characters, also those that turn its letters around."""

SourceKind: TypeAlias = Literal["git", "directory", "import"]
_SOURCE_KINDS = frozenset(get_args(SourceKind))

MAX_NUMBER = 2**53 - 1
"""Of a revision; JSON of every language can hold it."""

RevisionNumber: TypeAlias = Annotated[int, Rule(ge=1, le=MAX_NUMBER)]
"""Strictly rising per workspace, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(Record):
    """Where a bundle's files came from; one commit trailer per field that is set."""

    source_kind: SourceKind
    """Trailer ``Source-Kind``."""
    source_uri: TrailerText
    """``Source-Uri``: remote URL without userinfo, or a directory's name; never a path."""
    source_revision: TrailerText | None = None
    """``Source-Revision``: the commit of the source, if it is a git checkout."""
    source_dirty: bool | None = None
    """``Source-Dirty`` (``true``/``false``): whether the checkout had uncommitted changes."""
    published_by: TrailerText
    """``Published-By``: a person or a service, ``Name`` or ``Name <mail>``."""
    built_with: TrailerText
    """``Built-With``: name and version of the tool that made the commit."""

    def __post_init__(self) -> None:
        """Refuse what no trailer may say, whoever makes it.

        Raises:
            InvalidInputError: A text is none that a trailer can hold, or the kind is not known.
        """
        if self.source_kind not in _SOURCE_KINDS:
            raise InvalidInputError(
                f"source_kind: must be one of {', '.join(get_args(SourceKind))}"
            )
        for name in ("source_uri", "source_revision", "published_by", "built_with"):
            text = getattr(self, name)
            if text is not None and _LINE.fullmatch(text) is None:
                raise InvalidInputError(
                    f"{name}: must be a line of 1 to {_LINE_LENGTH} characters that can be seen"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(Record):
    """A published commit: what it is, which bundle it carries, where that came from."""

    workspace: WorkspaceId
    number: RevisionNumber
    commit: CommitId
    digest: Digest
    parent: CommitId | None
    created_at: Annotated[datetime, Rule(tz_constraint="aware")]
    """UTC, whole seconds."""
    provenance: Provenance
    message: str = ""
    """Free text of the commit before its trailers, subject line first."""
    is_signed: bool = False
    """Whether the commit carries a signature; says nothing about trust in it."""


class RevisionDraft(NamedTuple):
    """What a publisher supplies for a new revision; the store adds number, parent and ids."""

    created_at: datetime
    provenance: Provenance
    message: str = ""


class ReceivedCommit(NamedTuple):
    """A new commit of a bundle file: its meaning and its exact bytes (for signatures)."""

    revision: Revision
    raw: bytes


class Advance(NamedTuple):
    """The step a received bundle file wants a workspace to take.

    Args:
        current: The newest revision accepted here, or None.
        incoming: New commits, oldest first; the last is the tip. Never empty.
        descends: Whether the tip has ``current`` among its ancestors (True if there is none).
    """

    current: Revision | None
    incoming: Sequence[ReceivedCommit]
    descends: bool

    @property
    def tip(self) -> Revision:
        """The revision the workspace would be at."""
        return self.incoming[-1].revision


AdvanceCheck: TypeAlias = Callable[[Advance], None]
"""Trust rules of step 7: raises if the workspace may not take this step."""

CommitSigner: TypeAlias = Callable[[bytes], bytes]
"""Takes a commit's bytes without a signature; returns the armoured SSH signature of them, or
raises. A final newline is allowed."""


def verify_signed(current: Revision) -> None:
    """Return if the revision that carries the files already is signed.

    Raises:
        RevisionConflictError: It is not, and a revision cannot be signed afterwards.
    """
    if not current.is_signed:
        raise RevisionConflictError(
            f"revision {current.number} of {current.workspace} carries these files already, and is "
            "not signed",
            hint="a revision is signed when it is made: change something, and publish that signed",
            actual=str(current.commit),
        )
