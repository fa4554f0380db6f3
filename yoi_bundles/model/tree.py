"""How the layers read a tree without knowing where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from yoi_bundles.model.ids import BlobId, Digest, RelativePath


class TreeChange(NamedTuple):
    """One file that differs between two trees."""

    path: RelativePath
    kind: Literal["added", "removed", "changed"]
    old: BlobId | None
    new: BlobId | None


class TreeReader(Protocol):
    """Read access to the files of one bundle; every byte handed out has been verified."""

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        ...

    def entries(self) -> Mapping[RelativePath, BlobId]:
        """All files in path order with their blob ids.

        Raises:
            StoreCorruptError: Stored bytes are not what their name says.
        """
        ...

    def changes_from(self, older: Digest) -> tuple[TreeChange, ...] | None:
        """Files that differ from another tree, found without a look at what both share.

        Args:
            older: The other tree.

        Returns:
            None where the trees cannot be compared that way: compare `entries` then.

        Raises:
            StoreCorruptError: Stored bytes are not what their name says.
        """
        ...

    def read(self, path: RelativePath) -> bytes:
        """The bytes of one file, checked against its blob id.

        Raises:
            MissingObjectError: The tree has no such file.
            StoreCorruptError: The bytes are not those the blob id names.
        """
        ...

    def read_all(self, paths: Iterable[RelativePath]) -> Iterator[tuple[RelativePath, bytes]]:
        """The bytes of some files, each checked as in `read`, in the order that is quickest here.

        Args:
            paths: Files of the tree, each once.

        Raises:
            MissingObjectError: While iterating: the tree has no such file.
            StoreCorruptError: While iterating: bytes are not those the blob id names.
        """
        ...

    def plain_size(self, blob: BlobId) -> int | None:
        """Length of a file that a `PlainCheck` has called plain while it came; else None."""
        ...


ContentCheck: TypeAlias = Callable[[TreeReader], None]
"""Step 9 of receive: raises if the tree's content may not be accepted."""

PlainCheck: TypeAlias = Callable[[Sequence[bytes]], Sequence[bool]]
"""Which of some files are plain: a `ContentCheck` need not read them, wherever they stand.

Asked while the bytes are in memory, of files whose place nobody has verified; takes no longer than
inflating them.
"""
