"""A publish request with its commit, spelled whole and signed by who publishes.

The Backend makes the same commit from the request, and keeps it only if it is byte for byte it.

Source: docs/adr/0012; docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from yoi_bundles.errors import RevisionConflictError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.revision import CommitSigner, Revision, RevisionDraft, verify_signed
from yoi_bundles.store import encode_draft
from yoi_bundles.wire.messages.publishing import PublishRequest


def sign_request(
    request: PublishRequest,
    workspace: WorkspaceId,
    head: Revision | None,
    *,
    digest: Digest,
    created_at: datetime,
    sign: CommitSigner,
) -> PublishRequest:
    """The request with the commit that it is to become, signed.

    Args:
        request: What is to be published.
        workspace: Whose it is.
        head: The newest revision at the Backend, or None if there is none.
        digest: Of the tree that the request makes.
        created_at: Becomes the commit's time, at which the key must be valid; with a time zone.
        sign: Makes the signature; not called if the head carries these files already.

    Raises:
        RevisionConflictError: The head is not the expected one, or carries these files unsigned.
        InvalidInputError: The request cannot become a commit.
        BundleError: Whatever the signer raises.
    """
    at = None if head is None else head.commit
    if head is not None and head.digest == digest:
        verify_signed(head)
        # Nothing is to be made; if another revision comes in between, nothing unsigned is made.
        return replace(request, expected=at)
    if request.expected is not None and request.expected != at:
        raise RevisionConflictError(
            "another revision was published meanwhile",
            hint="look at the newest revision and publish again",
            expected=str(request.expected),
            actual=None if at is None else str(at),
        )
    draft = RevisionDraft(created_at, request.provenance, request.message)
    raw = encode_draft(draft, digest, head, workspace, sign)
    return replace(request, expected=at, signed_commit=raw.decode("utf-8"))
