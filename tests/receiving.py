"""Receiving from a stream in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from yoi_bundles.model.ids import Digest
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import AdvanceCheck
from yoi_bundles.model.tree import ContentCheck
from yoi_bundles.store import BundleStore, ReceiveResult

_CHUNK_BYTES = 1024 * 1024


def receive_bundle(
    store: BundleStore,
    stream: BinaryIO | Iterable[bytes],
    *,
    expected: Digest | None,
    check_advance: AdvanceCheck,
    check_content: ContentCheck,
    limits: Limits = DEFAULT_LIMITS,
) -> ReceiveResult:
    """Read a bundle file to its end and accept it.

    Args:
        store: Where it goes.
        stream: The file, or its chunks.
        expected: The bundle it was announced as.
        check_advance: Raises if the workspace may not take this step.
        check_content: Raises if the tip's files may not be accepted.
        limits: Bounds.

    Raises:
        BundleError: See `BundleStore.accept`; whatever reading the stream raises leaves nothing
            behind either.
    """
    with store.open_upload(limits) as upload:
        for chunk in _chunks(stream):
            upload.write(chunk)
        return store.accept(
            upload, expected=expected, check_advance=check_advance, check_content=check_content
        )


def _chunks(stream: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(stream, "read", None)
    if read is None:
        yield from stream
        return
    while chunk := read(_CHUNK_BYTES):
        yield chunk
