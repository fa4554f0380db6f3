"""One workspace's bare SHA-256 repository: the `BundleStore` that git can read.

Readers take no lock. Writers take one lock per repository, which dies with its owner;
``refs/heads/main`` is the commit point of every write. What a publish does not use is loaded late.

Source: docs/format.md, "Invariants" and "Order of writes".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from yoi_bundles.errors import StoreCorruptError
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
from yoi_bundles.store.care.garbage import collect_garbage, drop_bundles
from yoi_bundles.store.care.recovery import recover_repository
from yoi_bundles.store.disk.edit import build_on, list_measures
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import exclusive_lock, sync_directory
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.lacking import find_lacking, list_set_aside
from yoi_bundles.store.disk.layout import LOCK_FILE, QUARANTINE, create_layout, read_workspace
from yoi_bundles.store.disk.measures import Measure, MeasureCache
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.readers import built_tree, stored_tree
from yoi_bundles.store.disk.refs import RefStore
from yoi_bundles.store.disk.tidying import Tidying
from yoi_bundles.store.protocol import (
    NOBODY,
    UNSET,
    CollectReport,
    Expected,
    MendReport,
    ObjectSource,
    PublishResult,
    ReceiveResult,
    VerifyReport,
    Witness,
)
from yoi_bundles.store.publish import encode_draft, verify_expected
from yoi_bundles.store.tree.objects import Oid
from yoi_bundles.store.tree.trees import list_changes
from yoi_bundles.store.writer import Writer

if TYPE_CHECKING:
    from yoi_bundles.store.care.mending import Mender
    from yoi_bundles.store.disk.quarantine import Upload
    from yoi_bundles.store.send.bundle_writer import BundleWriter
    from yoi_bundles.store.tree.bundle_file import BundleFileInfo


class Repository(AbstractContextManager["Repository"]):
    """See `BundleStore` for what each method guarantees.

    Safe to use from several threads, and several processes may open one repository. Use `create`
    or `open`. Its ``tidying`` keeps packs and loose refs few. Where there is no room, a write ends
    in `StorageFullError` and has changed nothing.

    Args:
        path: The repository.
        workspace: Whose it is.
        limits: Bounds of what may be published and read.
    """

    def __init__(self, path: Path, workspace: WorkspaceId, limits: Limits) -> None:
        self._path = path
        self._workspace = workspace
        self._objects = ObjectDatabase(path / "objects", limits)
        self._refs = RefStore(path)
        self._history = History(workspace, self._objects, self._refs, limits)
        self._measures = MeasureCache(self._objects)
        self.tidying = Tidying(self._objects, self._refs, self._writer_lock)
        parts = (self._objects, self._refs, self._history)
        self._writer = Writer(*parts, self._make_mender, self.tidying)

    @cached_property
    def _bundles(self) -> BundleWriter:
        from yoi_bundles.store.send.bundle_writer import BundleWriter

        # Should two threads make two, the one that is dropped has only learned in vain.
        return BundleWriter(self._objects, self._history)

    def _make_mender(self) -> Mender:
        from yoi_bundles.store.care.mending import Mender

        return Mender(self._path, self._workspace, self._objects, self._refs, self._history)

    @classmethod
    def create(cls, path: Path, workspace: WorkspaceId, limits: Limits = DEFAULT_LIMITS) -> Self:
        """Make an empty repository and open it.

        Args:
            path: A directory that does not exist or is empty.
            workspace: Whose it is; written into its configuration.
            limits: Bounds of what may be published and read.

        Raises:
            InvalidInputError: The directory holds something.
            StoreError: It could not be made.
        """
        with storage_faults("create a repository"):
            create_layout(path, workspace)
            sync_directory(path.parent)
        return cls(path, workspace, limits)

    @classmethod
    def open(
        cls, path: Path, workspace: WorkspaceId | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> Self:
        """Open a repository and remove what a crashed writer left in it.

        Args:
            path: The repository.
            workspace: Whose it must be, or None for whatever its configuration says.
            limits: Bounds of what may be published and read.

        Raises:
            BundleMissingError: There is no repository.
            StoreCorruptError: It is not one of ours, or of another workspace.
            StoreError: It could not be read or recovered.
        """
        found = read_workspace(path)
        if workspace is not None and workspace != found:
            raise StoreCorruptError(f"the repository is of workspace {found}, not {workspace}")
        repository = cls(path, found, limits)
        repository._recover()
        return repository

    @property
    def workspace(self) -> WorkspaceId:
        """See `BundleStore.workspace`."""
        return self._workspace

    @property
    def path(self) -> Path:
        """Where the repository is; for git commands on this machine, never for an API."""
        return self._path

    def close(self) -> None:
        """Close all pack files; the repository can be used again and opens them anew."""
        self._objects.close()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _writer_lock(self) -> AbstractContextManager[None]:
        return exclusive_lock(self._path / LOCK_FILE)

    def _recover(self) -> None:
        with storage_faults("recover the repository"), self._writer_lock():
            recover_repository(self._path, self._path / QUARANTINE)
            # A damaged repository is opened too: reading says what is wrong, and it can be mended.
            with suppress(StoreCorruptError):
                self._writer.finish_refs(self._history.find_head())

    def find_head(self) -> Revision | None:
        """See `BundleStore.find_head`."""
        return self._history.find_head()

    def find_revision(self, digest: Digest) -> Revision | None:
        """See `BundleStore.find_revision`."""
        return self._history.find_bundle(digest)

    def get_revision(self, digest: Digest, commit: CommitId | None = None) -> Revision:
        """See `BundleStore.get_revision`."""
        return self._history.get_bundle(digest, commit)

    def find_commit(self, commit: CommitId) -> Revision | None:
        """See `BundleStore.find_commit`."""
        return self._history.find_commit(commit)

    def read_commit(self, revision: Revision) -> ReceivedCommit:
        """See `BundleStore.read_commit`."""
        return self._history.read_commit(revision.commit)

    def revisions(self) -> Iterator[Revision]:
        """See `BundleStore.revisions`."""
        return self._history.walk(self.find_head())

    def held(self) -> Iterator[Revision]:
        """See `BundleStore.held`."""
        for _, commit in self._refs.list_bundles():
            yield self._history.read(commit)

    def haves(self, limit: int = 32) -> tuple[CommitId, ...]:
        """See `BundleStore.haves`."""
        return self._history.haves(limit)

    def tree(self, digest: Digest) -> TreeReader:
        """See `BundleStore.tree`."""
        return stored_tree(self._objects, self.get_revision(digest).digest)

    def changes(self, old: Digest | None, new: Digest) -> tuple[TreeChange, ...]:
        """See `BundleStore.changes`."""
        before = None if old is None else self.get_revision(old).digest.raw
        after = self.get_revision(new).digest.raw
        return list_changes(self._objects.read_tree, before, after)

    def verify(self, digest: Digest | None = None) -> VerifyReport:
        """See `BundleStore.verify`."""
        from yoi_bundles.store.care.verification import Verification

        verification = Verification(self._objects, self._history)
        if digest is not None:
            verification.verify_revision(self.get_revision(digest))
        else:
            verification.verify_files(self._path)
            verification.verify_refs(self._refs)
        return verification.report()

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
        """See `BundleStore.publish`."""
        head = self.find_head()
        wanted = expected if expected is not UNSET else None if head is None else head.commit
        with storage_faults("publish"):
            below = None if base is None else self.get_revision(base).digest.raw
            tree = build_on(below, files, removed, self._objects, self._measures)
            if check_content is not None:
                check_content(built_tree(tree, self._objects))
            if self.find_lacking():
                # What the publisher sends again may be just what is lacking.
                with self._writer_lock():
                    self._make_mender().fill(tree.objects.get)
            if head is not None and head.digest == tree.digest:
                return PublishResult(head, False)
            verify_expected(head, wanted)
            raw = encode_draft(draft, tree.digest, head, self._workspace, sign)
            with self._writer_lock():
                return self._writer.publish(tree, raw, wanted)

    def write_bundle(
        self,
        out: BinaryIO,
        *,
        target: CommitId,
        bases: Sequence[CommitId] = (),
        is_shallow: bool = False,
    ) -> BundleFileInfo:
        """See `BundleStore.write_bundle`."""
        revision = self._history.get_commit(target)
        return self._bundles.write(out, revision, bases, is_shallow=is_shallow)

    def learn_packing(self, path: Path) -> None:
        """See `BundleStore.learn_packing`."""
        self._bundles.learn(path)

    def find_base(self, target: CommitId, candidates: Sequence[CommitId]) -> CommitId | None:
        """See `BundleStore.find_base`."""
        return self._history.find_base(target, candidates)

    def list_measures(self, digest: Digest, known: Mapping[Oid, Measure]) -> Mapping[Oid, Measure]:
        """Sizes of a held tree's directories by id, with the known ones; for `learn_measures`."""
        return list_measures(digest.raw, known, self._objects, self._measures)

    def learn_measures(self, measures: Mapping[Oid, Measure]) -> None:
        """Take over what `list_measures` gave to an earlier process; nothing of it is read."""
        self._measures.learn(measures)

    def open_upload(self, limits: Limits = DEFAULT_LIMITS) -> Upload:
        """See `BundleStore.open_upload`."""
        from yoi_bundles.store.disk.quarantine import Upload

        return Upload(self._path / QUARANTINE, limits)

    def accept(
        self,
        upload: Upload,
        *,
        expected: Digest | None,
        check_advance: AdvanceCheck,
        check_content: ContentCheck,
        find_plain: PlainCheck | None = None,
    ) -> ReceiveResult:
        """See `BundleStore.accept`."""
        from yoi_bundles.store.intake import Intake
        from yoi_bundles.store.receive.verify import Receiver

        receiver = Receiver(self._workspace, self._objects, self._history, self._measures)
        intake = Intake(receiver, self._writer, self._writer_lock, self._objects, self._measures)
        return intake.accept(upload, expected, check_advance, check_content, find_plain)

    # --- upkeep ----------------------------------------------------------------------------------

    def digests(self) -> tuple[Digest, ...]:
        """See `BundleStore.digests`."""
        return tuple(digest for digest, _ in self._refs.list_bundles())

    def find_lacking(self) -> frozenset[Digest]:
        """See `BundleStore.find_lacking`."""
        return find_lacking(self._path)

    def list_set_aside(self) -> tuple[str, ...]:
        """Names of the damaged files that are kept, each with the time at its end."""
        with storage_faults("list damaged files"):
            return tuple(path.name for path in list_set_aside(self._path))

    def mend(self, witness: Witness = NOBODY, source: ObjectSource | None = None) -> MendReport:
        """See `BundleStore.mend`."""
        with storage_faults("mend the repository"), self._writer_lock():
            report = (mender := self._make_mender()).mend(witness)
            if source is None or not report.lacking:
                return report
            return report._replace(lacking=mender.fill(source))

    def drop(self, digests: Collection[Digest]) -> None:
        """See `BundleStore.drop`."""
        with storage_faults("drop bundles"), self._writer_lock():
            drop_bundles(self._refs, self._history, digests)

    def collect(self) -> CollectReport:
        """See `BundleStore.collect`."""
        with storage_faults("collect garbage"), self._writer_lock():
            return collect_garbage(self._objects, self._refs, self._history)
