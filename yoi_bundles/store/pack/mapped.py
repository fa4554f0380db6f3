"""Quarantined files as memory, of which only a part is resident at a time.

A whole bundle file may be larger than what a receive may take.

Source: docs/hostile-corpus.md, "Memory and time".
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

from yoi_bundles.errors import MalformedBundleError

SLICE_BYTES = 8 * 1024 * 1024
"""After so many bytes read in a row, `forget_pages`."""


@contextmanager
def map_file(descriptor: int) -> Iterator[memoryview]:
    """A read-only view of a whole file, without reading it into memory.

    Raises:
        MalformedBundleError: The file is empty.
        OSError: It could not be mapped.
    """
    try:
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise MalformedBundleError("the bundle file is empty") from None
    view = memoryview(mapped)
    try:
        yield view
    finally:
        view.release()
        # A traceback may still hold a slice; the map then goes with it.
        with contextlib.suppress(BufferError):
            mapped.close()


def forget_pages(view: memoryview) -> None:
    """Give back the memory of what was read of a mapped file; it can be read again."""
    if isinstance(view.obj, mmap.mmap):
        view.obj.madvise(mmap.MADV_DONTNEED)


def read_slices(view: memoryview) -> Iterator[memoryview]:
    """The bytes of a view in order, a slice resident at a time."""
    for start in range(0, len(view), SLICE_BYTES):
        yield view[start : start + SLICE_BYTES]
        forget_pages(view)
