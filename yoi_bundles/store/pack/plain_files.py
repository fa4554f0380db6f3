"""Files of a received pack that were found plain, asked for many at a time.

Source: docs/adr/0022-one-look-at-what-is-received.md.
"""

from __future__ import annotations

from yoi_bundles.model.tree import PlainCheck
from yoi_bundles.store.tree.objects import Oid

_BATCH_BYTES = 64 * 1024
"""What waits is asked about when it is as long; one file may be longer."""


class PlainFiles:
    """Collects files as they come, and what a check says of them.

    Args:
        check: Asked of every file.
    """

    def __init__(self, check: PlainCheck) -> None:
        self._check = check
        self._oids: list[Oid] = []
        self._files: list[bytes] = []
        self._waiting_bytes = 0
        self._plain: set[Oid] = set()

    def add(self, oid: Oid, data: bytes) -> None:
        """Take a file; its bytes are held until as many as make a batch have come."""
        self._oids.append(oid)
        self._files.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _BATCH_BYTES:
            self.ask()

    def ask(self) -> None:
        """Ask about all that wait."""
        if self._files:
            answers = zip(self._oids, self._check(self._files), strict=True)
            self._plain.update(oid for oid, is_plain in answers if is_plain)
        self._oids, self._files, self._waiting_bytes = [], [], 0

    def __contains__(self, oid: Oid) -> bool:
        return oid in self._plain
