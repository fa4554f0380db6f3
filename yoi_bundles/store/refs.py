"""Refs of one repository: read as git keeps them, written durably, one at a time.

Source: gitrepository-layout, "refs" and "packed-refs"; docs/format.md, "Order of writes".
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store.faults import storage_faults
from yoi_bundles.store.files import TEMP_PREFIX, make_directories, sync_directory, write_new_file

_LOOSE = re.compile(rb"([0-9a-f]{64})\n?")
_PACKED = re.compile(rb"^([0-9a-f]{64}) (refs/[!-~]+)$", re.MULTILINE)
_LOCK_PATIENCE_SECONDS = 5.0
_LOCK_PAUSE_SECONDS = 0.005
BUNDLES = "refs/bundles/"


def bundle_ref(digest: Digest) -> str:
    """The ref by which a bundle is looked up."""
    return f"{BUNDLES}{digest}"


class RefStore:
    """Refs of a bare repository.

    Reading takes no lock. Writing takes git's own ``<ref>.lock``, so that ``git pack-refs`` and
    ``git update-ref`` of an operator cannot lose an update; the caller holds the writer lock.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._packed: dict[str, CommitId] = {}
        self._packed_key: tuple[int, int, int] | None = None

    def find(self, name: str) -> CommitId | None:
        """The commit a ref names, or None if there is no such ref.

        Raises:
            StoreCorruptError: The ref does not hold an id.
            StoreError: It could not be read.
        """
        with storage_faults("read a ref"):
            try:
                raw = (self._root / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                # git writes packed-refs before it removes the loose ref: in this order, a ref
                # is never missed.
                return self._read_packed().get(name)
        match = _LOOSE.fullmatch(raw)
        if match is None:
            raise StoreCorruptError(f"ref {name} does not hold an object id")
        return CommitId(match[1].decode("ascii"))

    def list_bundles(self) -> Iterator[tuple[Digest, CommitId]]:
        """Every bundle ref, by digest.

        Raises:
            StoreCorruptError: A ref does not hold an id.
            StoreError: They could not be read.
        """
        with storage_faults("list refs"):
            try:
                loose = [path.name for path in (self._root / BUNDLES).iterdir()]
            except FileNotFoundError:
                loose = []
            packed = [
                name.removeprefix(BUNDLES)
                for name in self._read_packed()
                if name.startswith(BUNDLES)
            ]
        names = {name for name in (*loose, *packed) if re.fullmatch(Digest.pattern, name)}
        for name in sorted(names):
            commit = self.find(BUNDLES + name)
            if commit is not None:
                yield Digest(name), commit

    def _read_packed(self) -> dict[str, CommitId]:
        path = self._root / "packed-refs"
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                key = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if key == self._packed_key:
                    return self._packed
                raw = file.read()
        except FileNotFoundError:
            return {}
        found = {
            match[2].decode("ascii"): CommitId(match[1].decode("ascii"))
            for match in _PACKED.finditer(raw)
        }
        self._packed, self._packed_key = found, key
        return found

    def write(self, updates: Sequence[tuple[str, CommitId]]) -> None:
        """Point refs at commits, durably: when this returns they survive a power loss.

        All that needs room is done before the first ref changes; then they change in order. A
        lock is a hard link of a temporary file of ours, by which recovery knows it from git's.

        Args:
            updates: Names and commits; the first is the commit point.

        Raises:
            StorageFullError: No room; no ref has changed.
            StoreError: A ref stays locked by another program, or writing failed.
        """
        prepared: list[_Prepared] = []
        with storage_faults("write a ref"):
            try:
                for name, commit in updates:
                    prepared.append(self._prepare(name, commit))
                for ref in prepared:
                    ref.lock.rename(ref.path)
                for directory in {ref.path.parent: None for ref in prepared}:
                    sync_directory(directory)
            finally:
                for ref in prepared:
                    _release(ref)

    def _prepare(self, name: str, commit: CommitId) -> _Prepared:
        """Take a ref's lock with the new content in it."""
        path = self._root / name
        ref = _Prepared(
            path,
            path.with_name(path.name + ".lock"),
            self._root / f"{TEMP_PREFIX}ref_{secrets.token_hex(8)}",
        )
        make_directories(path.parent)
        write_new_file(ref.temporary, commit.hex_ascii + b"\n")
        try:
            _link(ref.temporary, ref.lock)
        except BaseException:
            ref.temporary.unlink(missing_ok=True)
            raise
        return ref


class _Prepared(NamedTuple):
    """A ref about to change: its file, git's lock on it, and our name for that lock."""

    path: Path
    lock: Path
    temporary: Path


def _release(ref: _Prepared) -> None:
    """Drop a lock that was not renamed, then our name for it."""
    try:
        if ref.lock.samefile(ref.temporary):
            ref.lock.unlink()
    except FileNotFoundError:
        pass
    ref.temporary.unlink(missing_ok=True)


def _link(temporary: Path, lock: Path) -> None:
    """Take a ref's lock, waiting a little for a git command that has it.

    Raises:
        StoreError: It is still taken.
    """
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            lock.hardlink_to(temporary)
        except FileExistsError:
            if time.monotonic() > deadline:
                raise StoreError(
                    "a ref is locked by another program",
                    hint="wait for the git command to end; a stale lock is swept at start",
                ) from None
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return
