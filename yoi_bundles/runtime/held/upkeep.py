"""Keeps what a Runtime holds sound and small: finds damage, mends it, drops what is not needed.

Source: docs/adr/0014 and 0015; docs/operations.md, "Damage".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from yoi_bundles.errors import BundleError, StoreCorruptError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.held.catalog import Catalog
from yoi_bundles.store import (
    BundleStore,
    CheckoutArea,
    CollectReport,
    MendReport,
    Witness,
    WorkspaceRepositories,
)
from yoi_bundles.wire.messages.runtimes import NackReason

log = logging.getLogger(__name__)

_WAITING = "it was damaged on this host's disk and waits for a full bundle"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection of garbage did in one workspace.

    Args:
        dropped: Bundles that are held no longer.
        report: What became of the objects.
    """

    dropped: tuple[Digest, ...]
    report: CollectReport


class Upkeep:
    """The repositories and checkouts of one Runtime, as somebody looks after them.

    Args:
        repositories: What is held.
        checkouts: What is materialised of it.
        catalog: Remembers what was accepted, and which Workers there are.
    """

    def __init__(
        self, repositories: WorkspaceRepositories, checkouts: CheckoutArea, catalog: Catalog
    ) -> None:
        self._repositories = repositories
        self._checkouts = checkouts
        self._catalog = catalog

    @classmethod
    def open(cls, data: Path, catalog: Catalog) -> Upkeep:
        """Over the directory of a Runtime that may or may not be served at the same time.

        Args:
            data: The Runtime's directory.
            catalog: Its catalog.

        Raises:
            StoreError: The directory cannot be used.
        """
        return cls(
            WorkspaceRepositories(data / "bundles"), CheckoutArea(data / "checkouts"), catalog
        )

    def close(self) -> None:
        """Close the repositories."""
        self._repositories.close()

    def workspaces(self) -> tuple[WorkspaceId, ...]:
        """All that have a repository, damaged or not."""
        return self._repositories.list()

    # --- damage ----------------------------------------------------------------------------------

    def find_open(self, workspace: WorkspaceId) -> BundleStore | None:
        """A repository that can at least be opened, however damaged; None if it cannot."""
        try:
            return self._repositories.find(workspace)
        except StoreCorruptError:
            return None

    def is_damaged(self, workspace: WorkspaceId) -> bool:
        """Whether something that was accepted cannot be read, as far as is known."""
        try:
            store = self._repositories.find(workspace)
            return store is not None and (bool(store.find_lacking()) or self._is_behind(store))
        except StoreCorruptError:
            return True

    def _is_behind(self, store: BundleStore) -> bool:
        """Whether the newest revision is older than what was accepted once."""
        newest = self._catalog.find_newest(store.workspace)
        head = store.find_head()
        return newest is not None and (head is None or head.number < newest[1])

    def mend_if_lost(self, workspace: WorkspaceId) -> None:
        """Before a step is judged: a lost ref must not make an older revision acceptable.

        Raises:
            StoreError: The repository could not be mended.
        """
        try:
            store = self._repositories.get(workspace)
            if not self._is_behind(store):
                return
        except StoreCorruptError:
            log.warning("what is held of %s is damaged and is mended", workspace)
        self.mend(workspace)

    def mend(self, workspace: WorkspaceId) -> MendReport:
        """Set damaged files aside and note which bundles are to be sent again; safe to repeat.

        Raises:
            StorageFullError: No room; what was there is still there.
            StoreError: The repository could not be mended.
        """
        self._repositories.mend_layout(workspace)
        received = self._catalog.received(workspace)
        witness = Witness(self._catalog.find_newest(workspace), received.__contains__)
        report = self._repositories.get(workspace).mend(witness)
        if report.set_aside or report.made or report.lacking:
            log.warning(
                "mended %s: %d files set aside, %d refs made anew, %d bundles are lacking objects",
                workspace, len(report.set_aside), len(report.made), len(report.lacking),
            )  # fmt: skip
        return report

    def mend_checkouts(self, workspace: WorkspaceId) -> tuple[Digest, ...]:
        """Make damaged checkouts anew, of bundles whose objects are whole.

        Returns:
            Those that were made anew.

        Raises:
            StoreError: One could not be written.
        """
        store = self._repositories.get(workspace)
        whole = [digest for digest in store.digests() if digest not in store.find_lacking()]
        damaged = [digest for digest in whole if not self._is_checkout_sound(digest)]
        for digest in damaged:
            self._checkouts.repair(digest, store.tree(digest))
        return tuple(damaged)

    def _is_checkout_sound(self, digest: Digest) -> bool:
        try:
            found = self._checkouts.find(digest)
            if found is not None:
                found.verify()
        except StoreCorruptError:
            return False
        return True

    def verify_whole(self, workspace: WorkspaceId, digest: Digest) -> None:
        """Return unless a bundle is known to be lacking objects.

        Raises:
            StoreCorruptError: It is.
        """
        if digest in self._repositories.get(workspace).find_lacking():
            raise StoreCorruptError(
                f"the bundle {digest.short}… cannot be used: {_WAITING}",
                hint="sync the workspace; a following Runtime fetches it by itself",
                digest=str(digest),
            )

    def inspect(self) -> None:
        """At start: hash what is newest of each workspace, and mend what is damaged; never raises.

        A Runtime that is damaged in one workspace serves the others.
        """
        for workspace in self.workspaces():
            try:
                if not self._is_newest_sound(workspace):
                    self.mend(workspace)
            except BundleError as error:
                log.error("looking at %s: %s", workspace, error.code)

    def _is_newest_sound(self, workspace: WorkspaceId) -> bool:
        try:
            store = self._repositories.get(workspace)
            head = store.find_head()
            is_behind = self._is_behind(store)
        except StoreCorruptError:
            return False
        return not is_behind and (head is None or not store.verify(head.digest).problems)

    # --- garbage ---------------------------------------------------------------------------------

    def collect(self, workspace: WorkspaceId, keep: int) -> Collected:
        """Drop bundles beyond a number of newest ones, then remove what nothing reaches.

        The newest one stays, and every one that a Worker was made from. No Worker is made from
        one that is being dropped.

        Args:
            workspace: Whose.
            keep: How many of the newest bundles stay, at least one.

        Raises:
            StoreCorruptError: Something is damaged: mend it first; nothing was removed.
            StoreError: It could not be written.
        """
        store = self._repositories.get(workspace)
        with self._catalog.used(workspace) as used:
            held = sorted(store.held(), key=_number, reverse=True)
            dropped = tuple(one.digest for one in held[max(1, keep) :] if one.digest not in used)
            if dropped:
                store.drop(dropped)
        for digest in dropped:
            if not self._is_held_elsewhere(digest):
                self._checkouts.remove(digest)
        return Collected(dropped, store.collect())

    def _is_held_elsewhere(self, digest: Digest) -> bool:
        """Two workspaces may hold the same tree, and share its checkout."""
        stores = [self._repositories.find(name) for name in self.workspaces()]
        return any(store is not None and digest in store.digests() for store in stores)


def _number(revision: Revision) -> int:
    return revision.number


def damage_reason(store: BundleStore, digest: Digest) -> NackReason | None:
    """Why a held bundle cannot be used, if it is known to be damaged.

    Args:
        store: Where it is held.
        digest: The bundle.
    """
    try:
        if digest not in store.find_lacking():
            store.get_revision(digest)
            return None
    except StoreCorruptError:
        log.error("the bundle %s is damaged", digest.short)
    return NackReason(code=StoreCorruptError.code, message=_WAITING)
