"""Bodies about revisions: publishing them, listing them, comparing them.

Apart from the other messages, as a publish from the command line needs these and no others.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from yoi_bundles.model.base import Model
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import ChannelName, CommitId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.revision import Provenance, Revision
from yoi_bundles.model.texts import CommitText


class PublishRequest(Model):
    """The files of a workspace, to become one revision: all, or what differs from a base."""

    files: dict[RelativePath, str]
    base: Digest | None = None
    """If set, a bundle that the Backend holds; ``files`` are those that are not as in it."""
    removed: tuple[RelativePath, ...] = ()
    """Files of the base that are not in the new revision."""
    provenance: Provenance
    message: Annotated[str, StringConstraints(max_length=4_000)] = ""
    expected: CommitId | None = None
    """If set, the newest revision the publisher knows; another one is ``revision_conflict``."""
    signed_commit: CommitText | None = Field(default=None, repr=False)
    """The commit as its publisher signed it; kept if the rest makes just that, byte for byte."""


class PublishReply(Model):
    """The revision that carries the files now."""

    revision: Revision
    is_new: bool
    warnings: tuple[Finding, ...] = ()


class WorkspaceView(Model):
    """A workspace and its newest revision."""

    workspace: WorkspaceId
    head: Revision | None


class WorkspaceList(Model):
    """Workspaces the caller may see."""

    workspaces: tuple[WorkspaceView, ...]


class RevisionList(Model):
    """A page of revisions, newest first."""

    revisions: tuple[Revision, ...]
    next: str | None = None


class FileChange(Model):
    """One file that differs between two revisions."""

    path: RelativePath
    kind: Literal["added", "removed", "changed"]
    patch: str = ""
    """Unified diff."""


class DiffReply(Model):
    """What differs between two revisions."""

    old: Digest | None
    new: Digest
    changes: tuple[FileChange, ...]


class ChannelView(Model):
    """Where a channel points; its ETag is the commit."""

    workspace: WorkspaceId
    channel: ChannelName
    sequence: int
    revision: Revision

    @property
    def etag(self) -> str:
        """Strong validator: the commit it points to."""
        return f'"{self.revision.commit}"'
