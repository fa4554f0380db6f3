"""The publisher's own commit at the Backend: taken as it was signed, or not at all.

The publisher spells the whole commit, signs it and sends it with the files. The Backend makes the
same commit from the files and what the request says, and keeps it only if it is byte for byte the
one that was signed: so it can neither sign for a publisher nor be made to keep another text.

Source: docs/adr/0012; docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

from yoi_bundles.errors import BundleError, InvalidInputError
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.model.revision import CommitSigner
from yoi_bundles.store import ParsedCommit, parse_commit


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
