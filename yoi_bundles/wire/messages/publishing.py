"""Bodies of a publish: what is asked, and what came of it.

Apart from the other messages, as a publish from the command line needs these and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import CommitId, Digest, RelativePath
from yoi_bundles.model.record import Record, Rule
from yoi_bundles.model.revision import Provenance, Revision
from yoi_bundles.model.texts import CommitText

_MESSAGE_LENGTH = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest(Record):
    """The files of a workspace, to become one revision: all, or what differs from a base."""

    files: dict[RelativePath, str]
    base: Digest | None = None
    """If set, a bundle that the Backend holds; ``files`` are those that are not as in it."""
    removed: tuple[RelativePath, ...] = ()
    """Files of the base that are not in the new revision."""
    provenance: Provenance
    message: Annotated[str, Rule(max_length=_MESSAGE_LENGTH)] = ""
    expected: CommitId | None = None
    """If set, the newest revision the publisher knows; another one is ``revision_conflict``."""
    signed_commit: CommitText | None = field(default=None, repr=False)
    """The commit as its publisher signed it; kept if the rest makes just that, byte for byte."""

    def __post_init__(self) -> None:
        """Refuse what a Backend would.

        Raises:
            InvalidInputError: The message is too long, or came of bytes that are no UTF-8.
        """
        try:
            self.message.encode()
        except UnicodeEncodeError:
            raise InvalidInputError("message: must be Unicode") from None
        if len(self.message) > _MESSAGE_LENGTH:
            raise InvalidInputError(f"message: must have at most {_MESSAGE_LENGTH} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReply(Record):
    """The revision that carries the files now."""

    revision: Revision
    is_new: bool
    warnings: tuple[Finding, ...] = ()


def texts_of(files: Mapping[RelativePath, bytes]) -> dict[RelativePath, str]:
    """Files as a publish request carries them; bytes that are no UTF-8 are kept for the check."""
    return {path: data.decode("utf-8", "surrogateescape") for path, data in files.items()}
