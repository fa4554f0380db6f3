"""What a Runtime's store does with the bytes of a bundle file, and nothing around it."""

from __future__ import annotations

from yoi_bundles.model.ids import Digest
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.store import ReceiveResult, Repository


def receive_bytes(store: Repository, digest: Digest, data: bytes) -> ReceiveResult:
    """Verify and accept a bundle file; trust and content are nobody's to check here.

    Raises:
        BundleError: See `BundleStore.accept`.
    """
    with store.open_upload(DEFAULT_LIMITS) as upload:
        upload.write(data)
        return store.accept(
            upload,
            expected=digest,
            check_advance=lambda advance: None,
            check_content=lambda tree: None,
        )
