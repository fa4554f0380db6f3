"""The ways people name a revision."""

from __future__ import annotations

import re

from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.protocol import BundleStore


def get_spelled_revision(store: BundleStore, spelled: str) -> Revision:
    """The revision somebody means.

    Args:
        store: Where to look.
        spelled: ``main``, a number (``7`` or ``r7``), or at least 7 digits of a commit id or
            bundle digest.

    Raises:
        BundleMissingError: Nothing here is called that.
    """
    found = _find_revision(store, spelled)
    if found is None:
        raise BundleMissingError(
            f"{store.workspace} has no revision {spelled[:80]!a}",
            hint="main, a number, or 7 or more digits of a commit id or digest; see `log`",
        )
    return found


def _find_revision(store: BundleStore, spelled: str) -> Revision | None:
    if spelled in {"main", "head", "HEAD"}:
        return store.find_head()
    if re.fullmatch(r"[0-9a-f]{64}", spelled):
        return store.find_revision(Digest(spelled)) or store.find_commit(CommitId(spelled))
    if re.fullmatch(r"r?[0-9]{1,6}", spelled):
        number = int(spelled.removeprefix("r"))
        return next((one for one in store.revisions() if one.number == number), None)
    if re.fullmatch(r"[0-9a-f]{7,63}", spelled):
        for one in store.revisions():
            if str(one.commit).startswith(spelled) or str(one.digest).startswith(spelled):
                return one
    return None
