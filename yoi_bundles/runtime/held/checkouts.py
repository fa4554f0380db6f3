"""Held bundles as files: read-only checkouts, made when they are needed and anew when damaged.

Source: docs/format.md, "Checkouts"; docs/adr/0014.
"""

from __future__ import annotations

import logging

from yoi_bundles.errors import StoreCorruptError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.tree import TreeReader
from yoi_bundles.runtime.held.upkeep import Upkeep
from yoi_bundles.store import CheckoutArea, WorkspaceRepositories

log = logging.getLogger(__name__)


class HeldTrees:
    """The checkouts of one Runtime.

    Args:
        repositories: What is held.
        checkouts: Where it is materialised.
        upkeep: Mends what turns out to be damaged.
    """

    def __init__(
        self, repositories: WorkspaceRepositories, checkouts: CheckoutArea, upkeep: Upkeep
    ) -> None:
        self._repositories = repositories
        self._checkouts = checkouts
        self._upkeep = upkeep

    def get(self, workspace: WorkspaceId, digest: Digest) -> TreeReader:
        """A verified reader over the read-only checkout of a held bundle.

        Raises:
            BundleMissingError: Not held here.
            StoreCorruptError: The object store itself is damaged.
        """
        store = self._repositories.get(workspace)
        try:
            source = store.tree(digest)
        except StoreCorruptError:
            # The checkout proves itself: it stays in use whatever has become of the repository.
            found = self._checkouts.find(digest)
            if found is None:
                raise
            found.verify_names()
            return found.reader
        return self._checkouts.ensure(digest, source).reader

    def ensure(self, workspace: WorkspaceId, digest: Digest) -> None:
        """Make the checkout of a held bundle if there is none, or if it is damaged.

        Raises:
            BundleMissingError: Not held here.
            StoreCorruptError: The object store itself is damaged.
        """
        try:
            self.get(workspace, digest)
        except StoreCorruptError:
            self.repair(workspace, digest)

    def repair(self, workspace: WorkspaceId, digest: Digest) -> TreeReader:
        """Make a damaged checkout anew from the object store, mending that if need be.

        Raises:
            StoreCorruptError: The object store lacks something; the bundle is to be sent again.
        """
        log.warning("checkout %s is damaged and is made anew", digest.short)
        store = self._repositories.get(workspace)
        self._upkeep.verify_whole(workspace, digest)
        try:
            return self._checkouts.repair(digest, store.tree(digest)).reader
        except StoreCorruptError:
            self._upkeep.mend(workspace)
            self._upkeep.verify_whole(workspace, digest)
            return self._checkouts.repair(digest, store.tree(digest)).reader
