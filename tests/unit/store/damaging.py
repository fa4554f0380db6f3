"""Real damage to repositories on disk: bytes turned around, files lost, objects left out."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from store_factories import EPOCH, make_draft, make_files

from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import Repository
from yoi_bundles.store.disk.merging import remove_packs
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.tree.objects import Kind, Oid, hash_object

LONG_AGO = EPOCH


def publish_line(repository: Repository, count: int = 3) -> list[Revision]:
    """Revisions that each change one file, oldest first; one pack each."""
    return [
        repository.publish(make_files(note=f"note {i}\n"), make_draft(seconds=EPOCH + i)).revision
        for i in range(count)
    ]


def list_packs(repository: Repository) -> list[Path]:
    return sorted((repository.path / "objects" / "pack").glob("pack-*.pack"))


def flip(path: Path, at: int) -> bytes:
    """Turn one byte around, in a file that takes the other's place; returns the damaged bytes."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.unlink()
    path.write_bytes(data)
    return bytes(data)


def with_trailer(body: bytes) -> bytes:
    """Bytes that end as git's files do: with the SHA-256 of all before it."""
    return body + sha256(body).digest()


def rewrite(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def age(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def lose_index(pack: Path) -> None:
    """Leave a pack without its index, so long ago that nobody is still writing one."""
    pack.with_suffix(".idx").unlink()
    age(pack)


def blob_of(repository: Repository, revision: Revision, path: str) -> Oid:
    return repository.tree(revision.digest).entries()[RelativePath(path)].raw


def lose_objects(repository: Repository, lost: Collection[Oid]) -> None:
    """Take objects out of a repository whose files stay sound."""
    objects = repository._objects
    kept = {oid: objects.find(oid) for oid in objects.list_ids() - set(lost)}
    old = list_packs(repository)
    made = objects.install_pack(lambda path: write_pack(path, kept))
    gone = [pack.with_suffix(".idx") for pack in old if pack.stem != made]
    remove_packs(gone, objects.pack_directory)
    forget(repository)


def forget(repository: Repository) -> None:
    """Let the next reads be of the disk."""
    repository._objects.forget()
    repository._history.forget()


def install(repository: Repository, kind: Kind, data: bytes) -> Oid:
    """Put one object of any shape into a repository, past every check."""
    oid = hash_object(kind, data)
    repository._objects.install_pack(lambda path: write_pack(path, {oid: (kind, data)}))
    return oid


def write_loose(repository: Repository, kind: str, data: bytes) -> Path:
    """A loose object, as git commands make them."""
    raw = b"%s %d\0%s" % (kind.encode(), len(data), data)
    name = sha256(raw).hexdigest()
    path = repository.path / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(raw))
    return path


def point(repository: Repository, name: str, value: object) -> None:
    """Write a ref as a careless hand would."""
    (repository.path / name).write_text(f"{value}\n")
