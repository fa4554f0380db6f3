"""Revisions signed by who publishes them, wherever the Backend is.

The publisher spells the whole commit, signs it and sends it with the files. The Backend makes the
same commit from the files and what the request says, and keeps it only if it is byte for byte the
one that was signed: so it can neither sign for a publisher nor be made to keep another text.

Source: docs/adr/0012; docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from yoi_bundles.errors import BundleError, InvalidInputError, RevisionConflictError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.revision import CommitSigner, Revision, RevisionDraft
from yoi_bundles.store import ParsedCommit, encode_draft, parse_commit
from yoi_bundles.wire.publish_messages import PublishRequest


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


def verify_signed(current: Revision) -> None:
    """Return if the revision that carries the files already is signed.

    Raises:
        RevisionConflictError: It is not, and a revision cannot be signed afterwards.
    """
    if not current.is_signed:
        raise RevisionConflictError(
            f"revision {current.number} of {current.workspace} carries these files already, and is "
            "not signed",
            hint="a revision is signed when it is made: change something, and publish that signed",
            actual=str(current.commit),
        )


def read_signed(text: str, workspace: WorkspaceId) -> ParsedCommit:
    """The commit that a request carries.

    Raises:
        InvalidInputError: It is no signed revision of the workspace.
    """
    fault = None
    try:
        parsed = parse_commit(text.encode("utf-8", "surrogatepass"))
    except BundleError as error:
        fault = error.message
    if fault is not None:
        raise _wrong(f"it cannot be read: {fault}")
    if parsed.signature is None:
        raise _wrong("it carries no signature")
    if parsed.revision.workspace != workspace:
        raise _wrong("it is of another workspace")
    return parsed


def signer_of(parsed: ParsedCommit) -> CommitSigner:
    """Gives out the signature of a commit for exactly its bytes, and for no others."""

    def sign(payload: bytes) -> bytes:
        if payload != parsed.payload or parsed.signature is None:
            raise _wrong("the files and provenance of the request make another one")
        return parsed.signature

    return sign


def _wrong(reason: str) -> InvalidInputError:
    return InvalidInputError(f"the signed commit does not fit: {reason}")
