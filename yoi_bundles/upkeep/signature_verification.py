"""Verifying the signatures of everything that is held again, under a host policy.

Source: docs/policy.md, "[trust]"; docs/operations.md, "Signed revisions".
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoi_bundles.errors import BundleError, BundleMissingError, InvalidInputError, StoreError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.host.signatures import SshSignatureVerifier, Verifiers
from yoi_bundles.store import BundleStore, get_spelled_revision
from yoi_bundles.upkeep.verification import each_repository


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What the signature of one held revision is worth.

    Args:
        where: ``backend`` or ``runtime``.
        signer: Who signed; None if nobody is believed to have.
        fault: Why not.
    """

    where: str
    revision: Revision
    signer: str | None
    fault: str | None

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "where": self.where,
            "workspace": str(self.revision.workspace),
            "number": self.revision.number,
            "commit": str(self.revision.commit),
            "signer": self.signer,
            "fault": self.fault,
        }


def verify_signatures(
    data: Path,
    trust: TrustRules,
    only: WorkspaceId | None = None,
    revision: str | None = None,
) -> tuple[SignatureReport, ...]:
    """Verify the signature of every revision that the Backend and the Runtime hold, newest first.

    Unsigned revisions are reported too, whether or not the policy wants signatures.

    Args:
        data: A data directory.
        trust: Host policy's ``[trust]``.
        only: Look at this workspace alone.
        revision: Look at this revision alone, where it is held; wants ``only``.

    Raises:
        InvalidInputError: The policy names no allowed signers.
        StoreError: What is held cannot be read.
    """
    verifier = Verifiers().find(trust)
    if verifier is None:
        raise InvalidInputError(
            "the host policy names no allowed signers",
            hint="set allowed_signers_file in [trust], or use --allowed-signers",
        )
    reports: list[SignatureReport] = []
    with closing(each_repository(data, only)) as found:
        for where, name, repositories in found:
            store = repositories.get(name)
            chosen = _choose(store, revision)
            reports += [_judge(where, store, one, trust, verifier) for one in chosen]
    return tuple(reports)


def _choose(store: BundleStore, spelled: str | None) -> Iterable[Revision]:
    if spelled is None:
        return store.revisions()
    try:
        return (get_spelled_revision(store, spelled),)
    except BundleMissingError:
        return ()


def _judge(
    where: str,
    store: BundleStore,
    revision: Revision,
    trust: TrustRules,
    verifier: SshSignatureVerifier,
) -> SignatureReport:
    if not revision.is_signed:
        return SignatureReport(where, revision, None, "it is not signed")
    principals = trust.principals.get(revision.workspace)
    try:
        signer = verifier.verify_signer(store.read_commit(revision), principals)
    except StoreError:
        raise
    except BundleError as error:
        return SignatureReport(where, revision, None, error.message)
    return SignatureReport(where, revision, signer, None)
