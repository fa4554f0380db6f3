"""Revisions of one repository: parsed once, walked from newest to oldest.

Source: docs/format.md, "Refs" and "Commits and trailers".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    StoreCorruptError,
    VerificationError,
)
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import ReceivedCommit, Revision
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore, bundle_ref
from yoi_bundles.store.tree.bundle_file import MAIN_REF
from yoi_bundles.store.tree.commits import parse_commit
from yoi_bundles.store.tree.objects import Kind

_CACHED_REVISIONS = 4096


class History:
    """What the refs and commits of a repository say.

    Args:
        workspace: Whose commits these must be.
        objects: Where commits are read.
        refs: Where lines begin.
        limits: Bounds of a commit.
    """

    def __init__(
        self, workspace: WorkspaceId, objects: ObjectDatabase, refs: RefStore, limits: Limits
    ) -> None:
        self._workspace = workspace
        self._objects = objects
        self._refs = refs
        self._limits = limits
        self._revisions: dict[CommitId, Revision] = {}

    def read(self, commit: CommitId) -> Revision:
        """The revision of a commit that must be here.

        Raises:
            StoreCorruptError: Missing, not a revision of this workspace, or its bytes are wrong.
        """
        cached = self._revisions.get(commit)
        return self.read_commit(commit).revision if cached is None else cached

    def read_commit(self, commit: CommitId) -> ReceivedCommit:
        """The revision of a commit that must be here, with the commit's bytes, read anew.

        Raises:
            StoreCorruptError: Missing, not a revision of this workspace, or its bytes are wrong.
        """
        raw = self._objects.read(commit.raw, Kind.COMMIT)
        try:
            revision = parse_commit(raw, self._limits).revision
        except (VerificationError, InvalidInputError) as error:
            raise StoreCorruptError(
                f"commit {commit} is not a revision: {error.message}", object=str(commit)
            ) from error
        if revision.workspace != self._workspace:
            raise StoreCorruptError(f"commit {commit} is of another workspace")
        self.learn(revision)
        return ReceivedCommit(revision, raw)

    def learn(self, revision: Revision) -> None:
        """Remember a revision of this workspace that is held."""
        if len(self._revisions) > _CACHED_REVISIONS:
            self._revisions = {}
        self._revisions[revision.commit] = revision

    def walk(self, start: Revision | None) -> Iterator[Revision]:
        """A revision and its ancestors that are held, newest first, read as they are asked for.

        Raises:
            StoreCorruptError: While iterating: an ancestor is missing or corrupt.
        """
        revision, first = start, None
        while revision is not None:
            yield revision
            first = self._refs.boundary.commits() if first is None else first
            if revision.parent is None or revision.commit in first:
                return
            revision = self.read(revision.parent)

    def haves(self, limit: int) -> tuple[CommitId, ...]:
        """The newest commits, newest first: what an increment may build on.

        Raises:
            StoreCorruptError: A commit is missing or corrupt.
        """
        return tuple(revision.commit for revision in islice(self.walk(self.find_head()), limit))

    def find_head(self) -> Revision | None:
        """The newest revision, or None in an empty repository.

        Raises:
            StoreCorruptError: The ref or its commit is corrupt, or the ref is lost.
        """
        commit = self._refs.find(MAIN_REF)
        if commit is None and any(True for _ in self._refs.list_bundles()):
            # ``main`` is the first ref a writer makes: one may have come between the two looks.
            commit = self._refs.find(MAIN_REF)
            if commit is None:
                raise StoreCorruptError(f"{MAIN_REF} is lost", hint="repair the repository")
        return None if commit is None else self.read(commit)

    def may_begin_at(self, commit: CommitId) -> bool:
        """Whether a revision may come here without its parent: the first one, or that one again.

        Raises:
            StoreCorruptError: A ref or the list of where history begins is corrupt.
        """
        return commit in self._refs.boundary.commits() or self.find_head() is None

    def forget(self) -> None:
        """Drop what is kept in memory: the next reads are of the disk."""
        self._revisions = {}

    def find_bundle(self, digest: Digest) -> Revision | None:
        """The revision that a bundle's ref names.

        The newest revision is found even if a crash came between its ref and the bundle's.

        Raises:
            StoreCorruptError: The ref names a commit with another tree, or one that is corrupt.
        """
        commit = self._refs.find(bundle_ref(digest))
        if commit is None:
            head = self.find_head()
            if head is not None and head.digest == digest:
                return head
            # A writer may have come between the two looks: it writes this ref before the head
            # moves on, so a third look settles it.
            commit = self._refs.find(bundle_ref(digest))
            if commit is None:
                return None
        revision = self.read(commit)
        if revision.digest != digest:
            raise StoreCorruptError(f"the ref of bundle {digest} names another tree")
        return revision

    def get_bundle(self, digest: Digest, commit: CommitId | None = None) -> Revision:
        """The revision that carries a bundle, or the one of its revisions with this commit.

        Raises:
            BundleMissingError: Not held.
            StoreCorruptError: A commit on the way is missing or corrupt.
        """
        revision = self.find_bundle(digest)
        if revision is not None and commit is not None and revision.commit != commit:
            revision = self.find_commit(commit)
        if revision is None or revision.digest != digest:
            raise BundleMissingError(f"bundle {digest} is not held", digest=str(digest))
        return revision

    def get_commit(self, commit: CommitId) -> Revision:
        """A revision by its commit.

        Raises:
            BundleMissingError: Our history does not reach it.
            StoreCorruptError: A commit on the way is missing or corrupt.
        """
        revision = self.find_commit(commit)
        if revision is None:
            raise BundleMissingError(f"commit {commit} is not held", commit=str(commit))
        return revision

    def find_commit(self, commit: CommitId) -> Revision | None:
        """A revision by its commit, if a ref of ours reaches it.

        An object that is merely present (a leftover, an operator's experiment) is not history.

        Raises:
            StoreCorruptError: A commit on the way is missing or corrupt.
        """
        revision = self._revisions.get(commit) or self._find_present(commit)
        if revision is None:
            return None
        if self._refs.find(bundle_ref(revision.digest)) == commit:
            return revision
        return revision if self.is_ancestor(revision, self.find_head()) else None

    def _find_present(self, commit: CommitId) -> Revision | None:
        """What may be a revision of this workspace, whether a ref reaches it or not."""
        found = self._objects.find(commit.raw)
        if found is None or found[0] != Kind.COMMIT:
            return None
        try:
            revision = parse_commit(found[1], self._limits).revision
        except (VerificationError, InvalidInputError):
            return None
        return revision if revision.workspace == self._workspace else None

    def find_base(self, target: CommitId, candidates: Collection[CommitId]) -> CommitId | None:
        """The newest of some commits that lies below the target, or None if none does.

        Raises:
            BundleMissingError: Our history does not reach the target.
            StoreCorruptError: A commit on the way is missing or corrupt.
        """
        tip = self.get_commit(target)
        # What is not here at all costs no walk, and no walk goes below the oldest that is.
        found = (self._revisions.get(one) or self._find_present(one) for one in candidates)
        wanted = {one.commit: one.number for one in found if one and one.number < tip.number}
        oldest = min(wanted.values(), default=tip.number)
        for revision in self.walk(tip):
            if revision.commit in wanted:
                return revision.commit
            if revision.number <= oldest:
                break
        return None

    def is_ancestor(self, ancestor: Revision, descendant: Revision | None) -> bool:
        """Whether a line of history holds a revision; a revision is its own ancestor.

        Only as many commits are read as lie between the two numbers.

        Raises:
            StoreCorruptError: A commit on the way is missing or corrupt.
        """
        for revision in self.walk(descendant):
            if revision.number <= ancestor.number:
                return revision.commit == ancestor.commit
        return False
