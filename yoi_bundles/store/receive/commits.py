"""The new commits of a bundle file: one line, of which only ids and numbers stay in memory.

A file may bring as many commits as ``new_commits`` says; each is parsed when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

from yoi_bundles.errors import MalformedBundleError
from yoi_bundles.model.ids import CommitId, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import ReceivedCommit, Revision
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.tree.commits import parse_commit
from yoi_bundles.store.tree.objects import Oid


class Link(NamedTuple):
    """What is remembered of a commit: its id, its tree's, its number, whether it is ours."""

    commit: Oid
    tree: Oid
    number: int
    is_ours: bool


class ReceivedCommits(Sequence[ReceivedCommit]):
    """New commits, oldest first; the last is the tip.

    Args:
        pack: Where they are; it must stay open.
        links: The line, each commit of it parsed before.
        limits: Bounds of a commit.
        tip: The last one, as it was parsed; it is asked for most.
    """

    def __init__(
        self,
        pack: ReceivedPack,
        links: Sequence[Link],
        limits: Limits,
        tip: ReceivedCommit | None = None,
    ) -> None:
        self.links = links
        self._tip = tip
        self._pack = pack
        self._limits = limits

    def __len__(self) -> int:
        return len(self.links)

    @overload
    def __getitem__(self, index: int) -> ReceivedCommit: ...
    @overload
    def __getitem__(self, index: slice) -> ReceivedCommits: ...
    def __getitem__(self, index: int | slice) -> ReceivedCommit | ReceivedCommits:
        if isinstance(index, slice):
            return ReceivedCommits(self._pack, self.links[index], self._limits, self._tip)
        commit = self.links[index].commit
        if self._tip is not None and commit == self._tip.revision.commit.raw:
            return self._tip
        return read_commit(self._pack, commit, self._limits)

    def places(self) -> dict[CommitId, int]:
        """Where in the line each commit stands."""
        return {CommitId.from_bytes(link.commit): i for i, link in enumerate(self.links)}

    def verify_numbers(self, base: Revision | None) -> None:
        """Check that all commits are of this workspace and that their numbers rise.

        Args:
            base: The held revision that the oldest builds on, or None.

        Raises:
            MalformedBundleError: One is not, or they do not.
        """
        number = 0 if base is None else base.number
        for link in self.links:
            if not link.is_ours:
                raise MalformedBundleError("a commit is of another workspace")
            if link.number <= number:
                raise MalformedBundleError("revision numbers do not rise")
            number = link.number


def read_commit(pack: ReceivedPack, oid: Oid, limits: Limits) -> ReceivedCommit:
    """A commit that came, parsed.

    Raises:
        TooLargeError: See `parse_commit`; or inflating it again passes the total cap.
        UnsupportedDeclarationError: See `parse_commit`.
        MalformedBundleError: See `parse_commit`.
    """
    raw = pack.read(oid)
    return ReceivedCommit(parse_commit(raw, limits).revision, raw)


def link_of(received: ReceivedCommit, workspace: WorkspaceId) -> Link:
    """What is remembered of a commit."""
    revision = received.revision
    is_ours = revision.workspace == workspace
    return Link(revision.commit.raw, revision.digest.raw, revision.number, is_ours)
