"""What happens under the writer lock: objects first, then the refs, then upkeep.

The caller holds the lock in every method but `find_current` and `is_held`.

Source: docs/format.md, "Order of writes".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.revision import AdvanceCheck, Revision
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import RefStore, bundle_ref
from yoi_bundles.store.disk.tidying import Tidying
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.protocol import PublishResult
from yoi_bundles.store.publish import collect_new_objects, verify_expected
from yoi_bundles.store.tree.bundle_file import MAIN_REF
from yoi_bundles.store.tree.objects import Kind, Oid
from yoi_bundles.store.tree.trees import BuiltTree

if TYPE_CHECKING:
    from yoi_bundles.store.care.mending import Mender
    from yoi_bundles.store.pack.reader import ReceivedPack
    from yoi_bundles.store.receive.verify import Received, Receiver

_LOOKED_UP = 32
"""So many objects are looked up one by one; for more, the indexes are read from end to end."""


class Writer:
    """Writes revisions into one repository.

    Args:
        objects: Its objects.
        refs: Its refs.
        history: Its revisions.
        make_mender: Makes what mends it when a write meets damage.
        tidying: Keeps it tidy after writes.
    """

    def __init__(
        self,
        objects: ObjectDatabase,
        refs: RefStore,
        history: History,
        make_mender: Callable[[], Mender],
        tidying: Tidying,
    ) -> None:
        self._objects = objects
        self._refs = refs
        self._history = history
        self._make_mender = make_mender
        self._tidying = tidying

    def finish_refs(self, head: Revision | None) -> None:
        """A crash between the two refs of a write: its commit point was passed, so finish it."""
        if head is not None and self._refs.find(bundle_ref(head.digest)) != head.commit:
            self._refs.write([(bundle_ref(head.digest), head.commit)])

    # --- publishing ------------------------------------------------------------------------------

    def publish(self, tree: BuiltTree, raw: bytes, wanted: CommitId | None) -> PublishResult:
        """Make a commit the newest revision, if the head is still the one it builds on.

        Args:
            tree: Its tree.
            raw: The commit's bytes.
            wanted: The head it builds on.

        Raises:
            RevisionConflictError: The head is another one; nothing is left behind.
            StoreCorruptError: The repository has lost its refs or objects.
            StoreError: See `BundleStore.publish`.
        """
        head = self._history.find_head()
        if head is not None and head.digest == tree.digest:
            return PublishResult(head, False)
        verify_expected(head, wanted)
        if head is None:
            self._verify_empty()
        self.finish_refs(head)
        new = collect_new_objects(self._objects, tree, head, raw)
        commit = CommitId.from_bytes(next(iter(new)))
        with self._objects.new_pack(lambda path: write_pack(path, new)):
            self._refs.write([(MAIN_REF, commit), (bundle_ref(tree.digest), commit)])
        self._tidying.after_write()
        return PublishResult(self._history.read(commit), True)

    def _verify_empty(self) -> None:
        """A repository without refs that holds a history has lost them: it must not begin anew.

        One first revision may be left of a publish that did not get as far as its refs.
        """
        for oid in self._objects.list_ids():
            try:
                is_later = self._history.read(CommitId.from_bytes(oid)).number > 1
            except StoreCorruptError:
                continue
            if is_later:
                raise StoreCorruptError(
                    "the repository holds revisions, and no ref to any of them",
                    hint="repair the repository",
                )

    # --- receiving -------------------------------------------------------------------------------

    def find_current(self, received: Received) -> Revision | None:
        """The newest revision accepted here; if its bytes are damaged, as it came again.

        Raises:
            StoreCorruptError: It is damaged, and did not come again: no step can be judged.
        """
        try:
            return self._history.find_head()
        except StoreCorruptError:
            commit = self._refs.find(MAIN_REF)
            place = None if commit is None else received.commits.places().get(commit)
            if place is None:
                raise
            return received.commits[place].revision

    def is_held(self, tip: Revision, head: Revision | None) -> bool:
        """Whether a revision is held here, by its refs."""
        if head is not None and head.commit == tip.commit:
            return True
        return self._refs.find(bundle_ref(tip.digest)) == tip.commit

    def install(
        self,
        receiver: Receiver,
        received: Received,
        seen: Revision | None,
        check_advance: AdvanceCheck,
    ) -> bool:
        """(10) pack, index, directory, then the refs; False if the tip is held already.

        What is held and damaged is taken from what came, object by object.

        Args:
            receiver: Judges the step again if another writer was faster.
            received: What came, verified.
            seen: The head when the step was judged.
            check_advance: Raises if the workspace may not take the step.

        Raises:
            BundleError: See `BundleStore.accept`.
        """
        tip, head = received.tip, self.find_current(received)
        is_held = self.is_held(tip, head)
        if not is_held and head != seen:
            # Another writer was faster: the step is another one now, so it is judged again.
            check_advance(receiver.make_advance(received, head))
            receiver.verify_start(received)
        self._heal(received.pack, is_whole=is_held)
        if is_held:
            return False
        self.finish_refs(head)
        self._install_new(received, head)
        self._tidying.after_write()
        return True

    def _install_new(self, received: Received, head: Revision | None) -> None:
        tip = received.tip
        updates = [(bundle_ref(tip.digest), tip.commit)]
        if self._history.is_ancestor(tip, head):
            self._refs.write(updates)
            return
        from yoi_bundles.store.receive.install import write_received_pack

        with self._objects.new_pack(lambda path: write_received_pack(path, received.pack)):
            self._move_boundary(received)
            self._refs.write([(MAIN_REF, tip.commit), *updates])
        self._history.learn(tip)

    def _move_boundary(self, received: Received) -> None:
        """Let history begin where what came does, before a ref reaches it."""
        if received.is_shallow:
            self._refs.boundary.write([received.tip.commit])
        elif received.base is None:
            boundary = self._refs.boundary.commits()
            self._refs.boundary.write(boundary - received.commits.places().keys())

    # --- healing ---------------------------------------------------------------------------------

    def _heal(self, pack: ReceivedPack, *, is_whole: bool) -> None:
        """Take what is held and damaged from what came; nothing is written if nothing is."""
        is_damaged = self._is_damaged(pack, is_whole=is_whole)
        mender = self._make_mender()
        if is_damaged:
            mender.mend_objects()
        if is_damaged or mender.find_lacking():
            mender.fill(lambda oid: _read_packed(pack, oid))

    def _is_damaged(self, pack: ReceivedPack, *, is_whole: bool) -> bool:
        """Whether something that came is held with other bytes, or not although it must be."""
        objects = self._objects
        try:
            is_listed = len(pack.objects) > _LOOKED_UP
            ids = objects.list_ids() if is_listed else set(filter(objects.contains, pack.objects))
            return any(objects.find(oid) is None for oid in pack.objects if is_whole or oid in ids)
        except StoreCorruptError:
            return True


def _read_packed(pack: ReceivedPack, oid: Oid) -> tuple[Kind, bytes] | None:
    packed = pack.objects.get(oid)
    return None if packed is None else (Kind(packed.kind), pack.read(oid))
