"""Where objects may be taken from to mend a repository: another clone, or a bundle file.

Nothing of either is believed: whoever takes an object hashes it first.

Source: docs/adr/0014; gitformat-bundle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yoi_bundles.errors import InvalidInputError, StoreError
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store.disk.faults import verification_faults
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.pack.mapped import map_file
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.protocol import ObjectSource
from yoi_bundles.store.tree.bundle_file import read_bundle_header
from yoi_bundles.store.tree.objects import Oid


@contextmanager
def open_source(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[ObjectSource]:
    """Objects of a SHA-256 repository, or of a full bundle file, by their ids.

    Args:
        path: A bare repository, a directory with ``.git`` in it, or a bundle file.
        limits: Bounds of a bundle file.

    Raises:
        InvalidInputError: It is neither, or an increment.
        VerificationError: The bundle file is wrong in itself.
    """
    objects = next((one for one in (path, path / ".git") if (one / "objects").is_dir()), None)
    if objects is not None:
        with _open_repository(objects / "objects", limits) as source:
            yield source
    elif path.is_file():
        with _open_bundle(path, limits) as source:
            yield source
    else:
        raise InvalidInputError("there is neither a repository nor a bundle file of this name")


@contextmanager
def _open_repository(objects: Path, limits: Limits) -> Iterator[ObjectSource]:
    database = ObjectDatabase(objects, limits)

    def find(oid: Oid) -> tuple[int, bytes] | None:
        # What is damaged there too is just not to be had there.
        with suppress(StoreError):
            return database.find(oid)
        return None

    try:
        yield find
    finally:
        database.close()


@contextmanager
def _open_bundle(path: Path, limits: Limits) -> Iterator[ObjectSource]:
    with (
        path.open("rb") as file,
        verification_faults("read the bundle file"),
        map_file(file.fileno()) as view,
    ):
        header = read_bundle_header(file, limits)
        if header.prerequisites:
            raise InvalidInputError(
                "the bundle file is an increment", hint="mending needs a full one"
            )
        pack = ReceivedPack(view[header.size_bytes :], limits, lambda oid: None)

        def find(oid: Oid) -> tuple[int, bytes] | None:
            packed = pack.objects.get(oid)
            return None if packed is None else (packed.kind, pack.read(oid))

        yield find
