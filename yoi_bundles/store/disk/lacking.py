"""What the last mending of a repository left: files set aside, and bundles that wait for objects.

Apart from mending, as every publish asks this and few repositories are ever mended.

Source: docs/format.md, "Damage".
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import Digest
from yoi_bundles.store.disk.faults import storage_faults

DAMAGED = "damaged"
"""Directory of a repository in which damaged files are kept."""
LACKING = "lacking"
"""The file in it that names bundles."""


def find_lacking(root: Path) -> frozenset[Digest]:
    """Bundles of a repository that wait for objects; takes no lock.

    Raises:
        StoreError: It could not be read.
    """
    with storage_faults("read what is lacking"):
        try:
            text = (root / DAMAGED / LACKING).read_text("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
    found: set[Digest] = set()
    for line in text.split():
        with suppress(InvalidInputError):
            found.add(Digest.parse(line))
    return frozenset(found)


def list_set_aside(root: Path) -> list[Path]:
    """Files that were found damaged and are kept in a repository, by name."""
    directory = root / DAMAGED
    found = sorted(directory.iterdir()) if directory.is_dir() else []
    return [path for path in found if path.name != LACKING]
