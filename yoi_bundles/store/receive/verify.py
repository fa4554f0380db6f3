"""Verifies a quarantined bundle file: steps 2 and 4 to 9 of receive, nothing written.

Source: docs/format.md, "Receive".
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from yoi_bundles.errors import (
    DigestMismatchError,
    MalformedBundleError,
    MissingObjectError,
    MissingPrerequisiteError,
    StoreCorruptError,
    TooLargeError,
)
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Advance, ReceivedCommit, Revision
from yoi_bundles.model.tree import ContentCheck, PlainCheck
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.measures import Measure, MeasureCache
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.readers import received_tree
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.receive.closure import ClosureCheck, HeldClosure
from yoi_bundles.store.receive.commits import Link, ReceivedCommits, link_of, read_commit
from yoi_bundles.store.tree.bundle_file import MAIN_REF, BundleHeader, read_bundle_header
from yoi_bundles.store.tree.objects import Kind, Oid, TreeEntry

_OFFERED_HAVES = 32


@dataclass(frozen=True, slots=True)
class Received:
    """A bundle file of which everything but its step forward has been verified.

    Args:
        pack: Its objects.
        commits: Its commits, oldest first; the last is the tip.
        base: The held revision that the oldest builds on, or None.
        tip: The revision the file brings.
        is_shallow: Whether the tip came alone, and its parent is not held.
        measures: Of every directory that was looked at.
        directories: Entries of the tip's directories, as far as they are at hand.
    """

    pack: ReceivedPack
    commits: ReceivedCommits
    base: Revision | None
    tip: Revision
    is_shallow: bool
    measures: Mapping[Oid, Measure]
    directories: Mapping[Oid, tuple[TreeEntry, ...]]


class Receiver:
    """Verifies bundle files against one repository.

    Args:
        workspace: The repository's.
        objects: What is held.
        history: Its revisions.
        measures: Measures of held trees.
    """

    def __init__(
        self,
        workspace: WorkspaceId,
        objects: ObjectDatabase,
        history: History,
        measures: MeasureCache,
    ) -> None:
        self._workspace = workspace
        self._objects = objects
        self._history = history
        self._measures = measures

    def verify(
        self, view: memoryview, limits: Limits, find_plain: PlainCheck | None = None
    ) -> Received:
        """Steps 2 and 4 to 7: everything that does not depend on where this repository stands.

        Args:
            view: The whole bundle file.
            limits: Bounds.
            find_plain: Asked of every file, if nothing is held that it could build on.

        Raises:
            MalformedBundleError: Bytes that do not follow their format, or that nothing needs.
            MissingPrerequisiteError: It builds on a commit that is not held.
            MissingObjectError: Something neither came nor is held.
            ForbiddenPathError: An unsafe name.
            ForbiddenModeError: An entry that is no regular file or directory.
            UnsupportedDeclarationError: A schema number that is not known here.
            TooLargeError: A limit was passed.
            StoreCorruptError: What is held turned out to be corrupt, and no prerequisite is why.
        """
        # (2) header: version, hash, one ref, known prerequisites.
        head = bytes(view[: limits.header_bytes + limits.header_line_bytes])
        header = read_bundle_header(io.BytesIO(head), limits)
        try:
            prerequisites = self._find_prerequisites(header)
            if len(prerequisites) < len(header.prerequisites):
                return self._verify_first(view, header, limits, find_plain)
            return self._verify(view, header, prerequisites, limits, find_plain)
        except StoreCorruptError as error:
            if not header.prerequisites:
                raise
            # What is damaged is not held: the sender has a full bundle file, which heals it.
            raise MissingPrerequisiteError(
                "the commit that the bundle file builds on is damaged here",
                hint="send a full bundle file",
                missing=str(header.prerequisites[0]),
                held=[],
            ) from error

    def _verify_first(
        self, view: memoryview, header: BundleHeader, limits: Limits, find_plain: PlainCheck | None
    ) -> Received:
        """A tip that came alone: it needs nothing of the parent that it names."""
        try:
            received = self._verify(view, header, {}, limits, find_plain)
        except MissingObjectError as error:
            # An increment for a store that has lost what it builds on.
            raise self._missing(header.prerequisites[0]) from error
        if len(received.commits) != 1 or received.tip.parent is None:
            raise self._missing(header.prerequisites[0])
        return received

    def _verify(
        self,
        view: memoryview,
        header: BundleHeader,
        prerequisites: dict[CommitId, Revision],
        limits: Limits,
        find_plain: PlainCheck | None,
    ) -> Received:
        # (4) one pass over the pack.
        pack = ReceivedPack(
            view[header.size_bytes :],
            limits,
            self._objects.find if prerequisites else lambda oid: None,
            None if prerequisites else find_plain,
        )
        commits, base = self._read_commits(pack, header, prerequisites, limits)
        check = self._verify_closure(pack, commits, base, prerequisites, limits)
        commits.verify_numbers(base)
        tip = commits[-1].revision
        return Received(
            pack,
            commits,
            base,
            tip,
            len(prerequisites) < len(header.prerequisites),
            check.measures,
            check.list_directories(tip.digest.raw),
        )

    def _find_prerequisites(self, header: BundleHeader) -> dict[CommitId, Revision]:
        """Those that are held; one may be absent where history may begin with the tip."""
        if header.ref != MAIN_REF:
            raise MalformedBundleError(f"a bundle file of revisions carries {MAIN_REF}")
        if header.target in header.prerequisites:
            raise MalformedBundleError("a bundle file names its tip as its prerequisite")
        found: dict[CommitId, Revision] = {}
        for commit in header.prerequisites:
            revision = self._history.find_commit(commit)
            if revision is not None:
                found[commit] = revision
            elif len(header.prerequisites) > 1 or not self._history.may_begin_at(header.target):
                raise self._missing(commit)
        return found

    def _missing(self, commit: CommitId) -> MissingPrerequisiteError:
        return MissingPrerequisiteError(
            "the bundle file builds on a commit that is not held",
            hint="ask for a bundle file on one of the held commits, or a full one",
            missing=str(commit),
            held=[str(have) for have in self._history.haves(_OFFERED_HAVES)],
        )

    def _read_commits(
        self,
        pack: ReceivedPack,
        header: BundleHeader,
        prerequisites: dict[CommitId, Revision],
        limits: Limits,
    ) -> tuple[ReceivedCommits, Revision | None]:
        """The new commits as one line, oldest first, and what is held of what they build on."""
        tip: ReceivedCommit | None = None
        links: list[Link] = []
        parent: CommitId | None = header.target
        while parent is not None and parent not in header.prerequisites:
            packed = pack.objects.get(parent.raw)
            if packed is None or packed.kind != Kind.COMMIT:
                raise MissingObjectError(
                    "a commit neither came nor is a prerequisite", object=str(parent)
                )
            if len(links) >= limits.new_commits:
                raise TooLargeError(
                    "too many commits", limit=limits.new_commits, limit_name="new_commits"
                )
            # (7) the commit's spelling and trailers.
            received = read_commit(pack, parent.raw, limits)
            tip = tip or received
            links.append(link_of(received, self._workspace))
            parent = received.revision.parent
        commits = ReceivedCommits(pack, links[::-1], limits, tip)
        return commits, None if parent is None else prerequisites.get(parent)

    def _verify_closure(
        self,
        pack: ReceivedPack,
        commits: ReceivedCommits,
        base: Revision | None,
        prerequisites: dict[CommitId, Revision],
        limits: Limits,
    ) -> ClosureCheck:
        """(5) and (6): trees, connectivity, nothing extra, no base from elsewhere."""
        held = HeldClosure(self._objects, self._history, prerequisites.values())
        check = ClosureCheck(pack, self._objects, held, self._measures, limits)
        before: Oid | None = None if base is None else base.digest.raw
        for link in commits.links:
            check.verify_tree(link.tree, before)
            before = link.tree
        if len(pack.objects) > len(check.used) + len(commits):
            check.use_what_is_held(link.tree for link in commits.links)
        extra = len(pack.objects) - len(check.used) - len(commits)
        if extra:
            raise MalformedBundleError(
                f"the pack holds {extra} objects that nothing needs", extra=extra
            )
        for oid in pack.external_bases:
            if held.find_kind(oid) is None:
                raise MissingObjectError(
                    "a delta's base is not among what the prerequisites hold", object=oid.hex()
                )
        return check

    def make_advance(self, received: Received, current: Revision | None) -> Advance:
        """The step that a verified bundle file would be, from where the repository stands.

        Args:
            received: What came.
            current: The newest revision accepted here.

        Raises:
            StoreCorruptError: A commit between the base and the newest one is missing or corrupt.
        """
        if current is None:
            return Advance(None, received.commits, True)
        places = received.commits.places()
        descends = current.commit in places or (
            received.base is not None and self._history.is_ancestor(current, received.base)
        )
        held = self._find_newest_held(received, current, places)
        incoming = received.commits[held + 1 :] or received.commits[-1:]
        return Advance(current, incoming, descends)

    def _find_newest_held(
        self, received: Received, current: Revision, places: dict[CommitId, int]
    ) -> int:
        """Index of the newest received commit that is in our history already, or -1."""
        oldest = received.commits.links[0].number
        # What cannot be read does not count as held: more is judged then, never less.
        with suppress(StoreCorruptError):
            for revision in self._history.walk(current):
                if revision.commit in places:
                    return places[revision.commit]
                if revision.number <= oldest:
                    break
        return -1

    def verify_start(self, received: Received) -> None:
        """Return unless a tip came alone and history has begun elsewhere meanwhile.

        Args:
            received: What came.

        Raises:
            MissingPrerequisiteError: It has.
            StoreCorruptError: A commit is missing or corrupt.
        """
        tip = received.tip
        if received.is_shallow and not self._history.may_begin_at(tip.commit):
            raise self._missing(tip.parent or tip.commit)

    def verify_content(
        self,
        received: Received,
        expected: Digest | None,
        check_content: ContentCheck,
        limits: Limits,
    ) -> None:
        """Steps 8 and 9: the digest asked for, and what the files say.

        Raises:
            DigestMismatchError: The tip carries another tree.
            BundleError: Whatever the content check raises.
        """
        # (8) the tip's tree is the one that was named from outside.
        actual = received.tip.digest
        if expected is not None and actual != expected:
            raise DigestMismatchError(
                "the bundle file carries another bundle",
                expected=str(expected),
                actual=str(actual),
            )
        # (9) content.
        reader = received_tree(received.pack, received.directories, self._objects, actual, limits)
        check_content(reader)
