"""Whole objects written as one pack that stays.

Source: docs/adr/0003; docs/format.md, "Order of writes".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from yoi_bundles.store.pack.writer import PackEntry, PackWriter
from yoi_bundles.store.tree.objects import Kind, Oid

NewObjects: TypeAlias = Mapping[Oid, tuple[Kind, bytes]]
"""Objects to write, commit first."""


def write_pack(path: Path, objects: NewObjects) -> tuple[bytes, list[PackEntry]]:
    """Write whole objects as one pack and make its bytes durable.

    Returns:
        The pack's checksum and its entries.

    Raises:
        OSError: Writing failed.
    """
    with path.open("wb") as file:
        pack = PackWriter(file, len(objects))
        for oid, (kind, data) in objects.items():
            pack.add(oid, kind, data)
        checksum = pack.finish()
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)
    return checksum, pack.entries
