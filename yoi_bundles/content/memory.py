"""A tree held in memory: the builtin tree, and a workspace that is not published yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from yoi_bundles.content.parse import blob_id_of
from yoi_bundles.errors import MissingObjectError
from yoi_bundles.model.ids import BlobId, Digest, RelativePath


class MemoryTree:
    """A `TreeReader` over files in memory.

    Args:
        digest: Their tree id; the caller vouches for it.
    """

    def __init__(self, files: Mapping[RelativePath, bytes], digest: Digest) -> None:
        self._files = dict(sorted(files.items()))
        self._blobs = {path: blob_id_of(data) for path, data in self._files.items()}
        self._digest = digest

    @property
    def digest(self) -> Digest:
        """Identity of the tree."""
        return self._digest

    def entries(self) -> Mapping[RelativePath, BlobId]:
        """All files in path order with their blob ids."""
        return self._blobs

    def changes_from(self, older: Digest) -> None:
        """Nothing is known of other trees here."""

    def read(self, path: RelativePath) -> bytes:
        """The bytes of one file.

        Raises:
            MissingObjectError: The tree has no such file.
        """
        try:
            return self._files[path]
        except KeyError:
            raise MissingObjectError(f"the tree has no file {path}") from None

    def read_all(self, paths: Iterable[RelativePath]) -> Iterator[tuple[RelativePath, bytes]]:
        """See `TreeReader.read_all`."""
        return ((path, self.read(path)) for path in paths)

    def plain_size(self, blob: BlobId) -> None:
        """Nobody has looked at these files before."""
