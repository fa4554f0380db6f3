"""Bodies about revisions: listing them, comparing them.

Apart from the other messages, and records: a command that shows local revisions needs no pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yoi_bundles.model.ids import ChannelName, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.record import Record
from yoi_bundles.model.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceView(Record):
    """A workspace and its newest revision."""

    workspace: WorkspaceId
    head: Revision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceList(Record):
    """Workspaces the caller may see."""

    workspaces: tuple[WorkspaceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionList(Record):
    """A page of revisions, newest first."""

    revisions: tuple[Revision, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange(Record):
    """One file that differs between two revisions."""

    path: RelativePath
    kind: Literal["added", "removed", "changed"]
    patch: str = ""
    """Unified diff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReply(Record):
    """What differs between two revisions."""

    old: Digest | None
    new: Digest
    changes: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView(Record):
    """Where a channel points; its ETag is the commit."""

    workspace: WorkspaceId
    channel: ChannelName
    sequence: int
    revision: Revision

    @property
    def etag(self) -> str:
        """Strong validator: the commit it points to."""
        return f'"{self.revision.commit}"'
