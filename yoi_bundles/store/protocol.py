"""What the rest of the house may use of a store: one store is one workspace.

Source: docs/format.md; the contract is executed by tests/contract/test_bundle_store.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NamedTuple, Protocol, TypeAlias

from yoi_bundles.model.ids import CommitId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import (
    AdvanceCheck,
    CommitSigner,
    ReceivedCommit,
    Revision,
    RevisionDraft,
)
from yoi_bundles.model.tree import ContentCheck, PlainCheck, TreeChange, TreeReader

if TYPE_CHECKING:
    from yoi_bundles.store.disk.quarantine import Upload
    from yoi_bundles.store.tree.bundle_file import BundleFileInfo


class Unset(Enum):
    """The type of `UNSET`: not even None was given."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
Expected: TypeAlias = CommitId | Literal[Unset.UNSET] | None
"""The head a publisher built on: a commit, None for "empty", or `UNSET` for "whatever it is"."""


class PublishResult(NamedTuple):
    """The revision that now carries the published files, and whether it was made just now."""

    revision: Revision
    is_new: bool


class ReceiveResult(NamedTuple):
    """What accepting a bundle file did.

    Args:
        revision: Its tip.
        is_new: False if the tip was held already; then nothing was written.
        objects: Objects in its pack.
        received_bytes: Length of the file.
        inflated_bytes: Length of its objects.
    """

    revision: Revision
    is_new: bool
    objects: int
    received_bytes: int
    inflated_bytes: int


class StoreProblem(NamedTuple):
    """An object that is not what its id says, or a file that is not as it was written.

    Args:
        object_id: 64 hex digits; of a file its name; empty for the repository itself.
        message: What is wrong with it.
    """

    object_id: str
    message: str


class VerifyReport(NamedTuple):
    """What a verification looked at and found.

    Args:
        objects: Objects hashed.
        bytes: Their length.
        problems: Empty if everything is sound.
    """

    objects: int
    bytes: int
    problems: tuple[StoreProblem, ...]


ObjectSource: TypeAlias = Callable[[bytes], "tuple[int, bytes] | None"]
"""Gives type and bytes of an object by its raw id; they are hashed before they are believed."""


class Witness(NamedTuple):
    """What somebody outside a store remembers of it.

    Args:
        newest: The newest revision's commit and number; the head is never set to an older one.
        was_held: Whether a bundle was accepted here; only those get their ref back.
        is_origin: Whether revisions are made here: then commits without any ref are believed too.
    """

    newest: tuple[CommitId, int] | None = None
    was_held: Callable[[Digest], bool] = lambda digest: False
    is_origin: bool = False


NOBODY = Witness()
"""Only the store itself speaks."""


class MendReport(NamedTuple):
    """What a mending did.

    Args:
        set_aside: Names of damaged files that were moved to ``damaged/``.
        made: Names of refs and files that were made anew.
        lacking: Bundles of which something is still lacking.
    """

    set_aside: tuple[str, ...]
    made: tuple[str, ...]
    lacking: frozenset[Digest]


class CollectReport(NamedTuple):
    """What a collection of garbage did.

    Args:
        kept: Objects that refs reach.
        removed: Objects that none did, and second copies.
        freed_bytes: Difference in the size of all packs; negative if they grew.
    """

    kept: int
    removed: int
    freed_bytes: int


class BundleStore(Protocol):
    """Revisions of one workspace with their bundles.

    Methods raise only `BundleError`; those named here are what a caller may want to tell apart.
    Any of them may raise `StoreError` (this machine) or `StoreCorruptError` (stored bytes).
    """

    @property
    def workspace(self) -> WorkspaceId:
        """Whose revisions these are."""
        ...

    def find_head(self) -> Revision | None:
        """The newest revision, or None in an empty store."""
        ...

    def find_revision(self, digest: Digest) -> Revision | None:
        """The newest held revision that carries a bundle; its cost does not grow with history."""
        ...

    def get_revision(self, digest: Digest, commit: CommitId | None = None) -> Revision:
        """The revision that carries a bundle, or the one of its revisions with this commit.

        Raises:
            BundleMissingError: Not held.
        """
        ...

    def find_commit(self, commit: CommitId) -> Revision | None:
        """A revision by its commit, if our history reaches it."""
        ...

    def read_commit(self, revision: Revision) -> ReceivedCommit:
        """A held revision with its commit's exact bytes, hashed again; for its signature."""
        ...

    def revisions(self) -> Iterator[Revision]:
        """History from the head, newest first, read as it is asked for."""
        ...

    def held(self) -> Iterator[Revision]:
        """Every accepted bundle's revision, in order of digests."""
        ...

    def haves(self, limit: int = 32) -> tuple[CommitId, ...]:
        """Newest first: what to offer as bases of an increment."""
        ...

    def tree(self, digest: Digest) -> TreeReader:
        """A reader of a held bundle; it verifies each read.

        Raises:
            BundleMissingError: Not held.
        """
        ...

    def changes(self, old: Digest | None, new: Digest) -> tuple[TreeChange, ...]:
        """Files that differ between two held bundles, in path order; None is the empty bundle.

        Raises:
            BundleMissingError: One of them is not held.
        """
        ...

    def publish(
        self,
        files: Mapping[RelativePath, bytes],
        draft: RevisionDraft,
        *,
        base: Digest | None = None,
        removed: Collection[RelativePath] = (),
        expected: Expected = UNSET,
        check_content: ContentCheck | None = None,
        sign: CommitSigner | None = None,
    ) -> PublishResult:
        """Make files the newest revision; durable when it returns.

        Publishing what is current makes nothing, whatever was expected: a repeated call is safe.

        Args:
            files: Content by path: all of it, or with a base what is not as in the base.
            draft: What the commit says.
            base: A held bundle to begin with.
            removed: Files of the base that are not in the new revision.
            expected: The head this builds on.
            check_content: Raises if the content may not be published; called before any write.
            sign: Signs the commit; called before any write, and not if nothing is to be made.

        Raises:
            BundleMissingError: The base is not held.
            RevisionConflictError: The head is not the expected one; nothing is left behind.
            ForbiddenPathError: A path that may not stand in a bundle.
            TooLargeError: More than a bundle may hold.
            InvalidInputError: The draft cannot become a commit.
            MalformedBundleError: The signer returned no signature of SSH.
            BundleError: Whatever the signer raises; nothing is left behind.
            StorageFullError: No room; nothing is left behind.
        """
        ...

    def write_bundle(
        self,
        out: BinaryIO,
        *,
        target: CommitId,
        bases: Sequence[CommitId] = (),
        is_shallow: bool = False,
    ) -> BundleFileInfo:
        """Write a bundle file from the newest usable base to the target.

        Args:
            out: Gets the file; neither read nor sought nor closed.
            target: A commit of our history.
            bases: Commits the receiver has; those that are no ancestors of the target are
                ignored, and with none left the file is a full one.
            is_shallow: Let a full file hold the target alone, without all that was before it;
                only a store that holds nothing takes it.

        Raises:
            BundleMissingError: The target is not of our history.
            InvalidInputError: The target is among the bases.
        """
        ...

    def learn_packing(self, path: Path) -> None:
        """Take over how an older bundle file is packed: what it holds is not packed anew.

        Raises:
            VerificationError: It is not one.
            StoreError: It could not be read.
        """
        ...

    def find_base(self, target: CommitId, candidates: Sequence[CommitId]) -> CommitId | None:
        """The newest of some commits that lies below the target, or None if none does.

        Raises:
            BundleMissingError: The target is not of our history.
        """
        ...

    def open_upload(self, limits: Limits = DEFAULT_LIMITS) -> Upload:
        """A place for the bytes of a bundle file until they are accepted or discarded."""
        ...

    def accept(
        self,
        upload: Upload,
        *,
        expected: Digest | None,
        check_advance: AdvanceCheck,
        check_content: ContentCheck,
        find_plain: PlainCheck | None = None,
    ) -> ReceiveResult:
        """Verify a bundle file and make it visible, or leave no trace of it; durable on return.

        The upload is gone afterwards, either way. A tip that is held already is not put to
        ``check_advance``: nothing would change.

        Args:
            upload: The whole file.
            expected: The bundle it was announced as.
            check_advance: Raises if the workspace may not take this step.
            check_content: Raises if the tip's files may not be accepted.
            find_plain: Asked of every file of a bundle file that builds on nothing; `check_content`
                is told by its reader's ``plain_size``.

        Raises:
            VerificationError: The family of everything that is wrong with what came.
            UnsupportedDeclarationError: A schema number not known here.
            StorageFullError: No room.
            BundleError: Whatever the two checks raise.
        """
        ...

    def digests(self) -> tuple[Digest, ...]:
        """Every accepted bundle, in order; nothing of it is read, so damage does not hide it."""
        ...

    def find_lacking(self) -> frozenset[Digest]:
        """Bundles that were found damaged and wait for objects."""
        ...

    def mend(self, witness: Witness = NOBODY, source: ObjectSource | None = None) -> MendReport:
        """Set damaged files aside, save what they still give, make lost refs anew.

        Safe to repeat; a sound store is left as it is, and what is lacking afterwards is noted.

        Args:
            witness: What others remember of this store.
            source: Where lacking objects may come from.

        Raises:
            StorageFullError: No room; what was there is still there.
        """
        ...

    def drop(self, digests: Collection[Digest]) -> None:
        """Hold bundles no longer; their objects stay while history reaches them.

        Args:
            digests: Which; those that are not held are ignored.

        Raises:
            InvalidInputError: The newest one is among them; nothing has changed.
        """
        ...

    def collect(self) -> CollectReport:
        """Remove every object that nothing reaches; readers are not disturbed.

        Raises:
            StorageFullError: No room; nothing has changed.
        """
        ...

    def verify(self, digest: Digest | None = None) -> VerifyReport:
        """Hash every object of one bundle, or of everything that refs reach.

        Raises:
            BundleMissingError: The bundle is not held.
        """
        ...
