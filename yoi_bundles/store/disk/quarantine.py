"""Received bytes that nothing believes yet: one locked file per upload, gone unless accepted.

Step 3 of receive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles.errors import InvalidInputError, TooLargeError
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import is_locked

_SUFFIX = ".bundle"


class Upload:
    """A quarantine file that grows by `write` and is removed by `discard`.

    The file is locked while this object lives, so that recovery in another process can tell it
    from a leftover. Use it as a context manager.

    Args:
        directory: The quarantine directory of a repository.
        limits: Bounds; ``bundle_bytes`` applies here, the others when it is accepted.

    Raises:
        StorageFullError: No room.
        StoreError: The file could not be made.
    """

    def __init__(self, directory: Path, limits: Limits) -> None:
        import tempfile

        self.limits = limits
        self.size_bytes = 0
        self._is_closed = False
        with storage_faults("open a quarantine file"):
            descriptor, name = tempfile.mkstemp(suffix=_SUFFIX, dir=directory)
            self._path = Path(name)
            self._file = os.fdopen(descriptor, "w+b")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the bundle file.

        Raises:
            TooLargeError: More bytes than a bundle file may have; the upload is discarded.
            StorageFullError: No room; the upload is discarded.
            StoreError: Writing failed; the upload is discarded.
            InvalidInputError: The upload was accepted or discarded before.
        """
        self._verify_open()
        try:
            self.size_bytes += len(chunk)
            if self.size_bytes > self.limits.bundle_bytes:
                raise TooLargeError(
                    "the bundle file is too large",
                    limit=self.limits.bundle_bytes,
                    limit_name="bundle_bytes",
                )
            with storage_faults("write to quarantine"):
                self._file.write(chunk)
        except BaseException:
            self.discard()
            raise

    def open_for_reading(self) -> int:
        """Descriptor of the whole file, at its beginning; owned by this upload.

        Raises:
            StorageFullError: No room for the last bytes; the upload is discarded.
            StoreError: Writing failed; the upload is discarded.
            InvalidInputError: The upload was accepted or discarded before.
        """
        self._verify_open()
        try:
            with storage_faults("write to quarantine"):
                self._file.flush()
                self._file.seek(0)
        except BaseException:
            self.discard()
            raise
        return self._file.fileno()

    def discard(self) -> None:
        """Remove the file; harmless when it is gone."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()

    def _verify_open(self) -> None:
        if self._is_closed:
            raise InvalidInputError("the upload was accepted or discarded before")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()


def sweep_quarantine(directory: Path) -> None:
    """Remove the uploads of processes that are gone.

    Raises:
        StoreError: A leftover could not be removed.
    """
    with storage_faults("sweep quarantine"):
        for path in directory.glob(f"*{_SUFFIX}"):
            if not is_locked(path):
                path.unlink(missing_ok=True)
