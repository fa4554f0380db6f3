"""Refs of one repository: read as git keeps them, written durably, one at a time.

Source: gitrepository-layout, "refs" and "packed-refs"; docs/format.md, "Order of writes".
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.store.disk.faults import storage_faults, translate_os_error
from yoi_bundles.store.disk.files import (
    make_directories,
    make_temporary_name,
    sync_directory,
    write_new_file,
)
from yoi_bundles.store.disk.shallow import ShallowBoundary

_LOOSE = re.compile(rb"([0-9a-f]{64})\n?")
_PACKED = re.compile(
    rb"#[^\n]*|\^[0-9a-f]{64}"
    rb"|([0-9a-f]{64}) (refs/bundles/[0-9a-f]{64}|refs/(?!bundles/)[!-~]+)"
)
_DIGEST = re.compile(Digest.pattern)
_ANY_REF = re.compile(r"refs/[!-~]+(?<!\.lock)")
_LOCK_TIMEOUT_SECONDS = 5.0
_LOCK_PAUSE_SECONDS = 0.005
BUNDLES = "refs/bundles/"
PACKED_REFS = "packed-refs"


_RACY_NANOSECONDS = 2_000_000_000
"""Age a ref's file must have to be known by its stamp: see `yoi_bundles.author.source`."""
_KEPT_REFS = 4096
_MAX_LOOSE = 64

_Stamp: TypeAlias = tuple[int, int, int, int]
"""Times of last change and modification in nanoseconds, inode and size of a file."""


def _stamp_of(path: str) -> _Stamp | None:
    """The stamp of a file, or None if there is none; a ref is replaced, never written into."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translate_os_error("read a ref", error) from error
    return (status.st_ctime_ns, status.st_mtime_ns, status.st_ino, status.st_size)


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
        self.boundary = ShallowBoundary(root)
        self._loose: dict[str, tuple[_Stamp, CommitId]] = {}
        self._packed: tuple[_Stamp | None, dict[str, CommitId]] = (None, {})

    def find(self, name: str) -> CommitId | None:
        """The commit a ref names, or None if there is no such ref.

        Raises:
            StoreCorruptError: The ref does not hold an id.
            StoreError: It could not be read.
        """
        began_ns = time.time_ns()
        stamp = _stamp_of(f"{self._root}/{name}")
        known = self._loose.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        commit = None if stamp is None else self._read_loose(name)
        if commit is None:
            # git writes packed-refs before it removes the loose ref: in this order, a ref is never
            # missed.
            return self._read_packed().get(name)
        if stamp is not None and stamp[0] < began_ns - _RACY_NANOSECONDS:
            if len(self._loose) > _KEPT_REFS:
                self._loose = {}
            self._loose[name] = (stamp, commit)
        return commit

    def _read_loose(self, name: str) -> CommitId | None:
        """The commit in a ref's own file, or None if it has none."""
        path = self._root / name
        with storage_faults("read a ref"):
            try:
                raw = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
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
            loose = self._list_loose()
            packed = {
                name.removeprefix(BUNDLES): commit
                for name, commit in self._read_packed().items()
                if name.startswith(BUNDLES)
            }
        for name in sorted(loose | packed.keys()):
            commit = self.find(BUNDLES + name) if name in loose else packed[name]
            if commit is not None:
                yield Digest(name), commit

    def _list_loose(self) -> set[str]:
        """Digests of the bundle refs that are files of their own."""
        try:
            names = os.listdir(self._root / BUNDLES)  # noqa: PTH208  (names alone are wanted)
        except FileNotFoundError:
            return set()
        return {name for name in names if _DIGEST.fullmatch(name)}

    def list_all(self) -> Iterator[tuple[str, CommitId]]:
        """Every ref, also those of an operator, by name: all that keeps objects from removal.

        Raises:
            StoreCorruptError: A ref does not hold an id.
            StoreError: They could not be read.
        """
        with storage_faults("list refs"):
            files = [path for path in (self._root / "refs").rglob("*") if path.is_file()]
            names = {str(path.relative_to(self._root)) for path in files} | set(self._read_packed())
        for name in sorted(filter(_ANY_REF.fullmatch, names)):
            commit = self.find(name)
            if commit is not None:
                yield name, commit

    def _read_packed(self) -> dict[str, CommitId]:
        """What is in ``packed-refs``; as git, this knows the file by its stamp."""
        stamp = _stamp_of(f"{self._root}/{PACKED_REFS}")
        known, packed = self._packed
        if stamp == known:
            return packed
        with storage_faults("read packed refs"):
            try:
                packed = parse_packed((self._root / PACKED_REFS).read_bytes())
            except FileNotFoundError:
                return {}
        self._packed = (stamp, packed)
        return packed

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
                    # The commit point is on the disk before any other ref changes.
                    sync_directory(ref.path.parent)
            finally:
                for ref in prepared:
                    _release(ref)

    def pack_if_many(self) -> None:
        """Pack the refs of bundles when so many are loose that listing them takes time.

        Raises:
            StorageFullError: No room; nothing has changed.
            StoreError: Refs are locked by another program, or could not be written.
        """
        with storage_faults("pack refs"):
            is_due = len(self._list_loose()) > _MAX_LOOSE
        if is_due:
            self.pack()

    def pack(self, *, drop: Collection[str] = ()) -> None:
        """Put all bundle refs but those to drop into ``packed-refs``, as ``git pack-refs`` does.

        A reader finds each ref at any time: the loose one is removed when the packed one is
        durable, and only if nobody changed it meanwhile. The caller holds the writer lock.

        Args:
            drop: Names of refs that are to be gone.

        Raises:
            StorageFullError: No room; nothing has changed.
            StoreError: Refs are locked by another program, or could not be written.
        """
        with storage_faults("pack refs"):
            lock = self._prepare_bytes(PACKED_REFS, b"")
            try:
                loose = {f"{BUNDLES}{digest}": commit for digest, commit in self.list_bundles()}
                packed = {**self._read_packed(), **loose}
                kept = {name: packed[name] for name in packed if name not in drop}
                _fill(lock, encode_packed(kept))
                lock.lock.rename(lock.path)
                sync_directory(self._root)
                for name, commit in loose.items():
                    self._remove_loose(name, commit)
                sync_directory(self._root / BUNDLES)
            finally:
                _release(lock)

    def _remove_loose(self, name: str, commit: CommitId) -> None:
        """Remove a loose ref that still holds this commit, under git's lock."""
        path = self._root / name
        if not path.exists():
            return
        lock = self._prepare_bytes(name, b"", is_durable=False)
        try:
            if path.read_bytes().strip() == commit.hex_ascii:
                path.unlink()
        finally:
            _release(lock)

    def _prepare(self, name: str, commit: CommitId) -> _Prepared:
        """Take a ref's lock with the new content in it."""
        return self._prepare_bytes(name, commit.hex_ascii + b"\n")

    def _prepare_bytes(self, name: str, content: bytes, *, is_durable: bool = True) -> _Prepared:
        path = self._root / name
        ref = _Prepared(
            path,
            path.with_name(path.name + ".lock"),
            self._root / make_temporary_name("ref_"),
        )
        make_directories(path.parent)
        write_new_file(ref.temporary, content, is_durable=is_durable)
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


def parse_packed(raw: bytes) -> dict[str, CommitId]:
    """The refs in the bytes of a ``packed-refs`` file.

    Raises:
        StoreCorruptError: A line is none of that format, or the last one is cut off.

    Source: git's ``refs/packed-backend.c``.
    """
    found: dict[str, CommitId] = {}
    *lines, rest = raw.split(b"\n")
    for line in lines:
        match = _PACKED.fullmatch(line)
        if match is None:
            raise StoreCorruptError("packed-refs has a line that is no ref")
        if match[1] is not None:
            found[match[2].decode("ascii")] = CommitId(match[1].decode("ascii"))
    if rest:
        raise StoreCorruptError("packed-refs is cut off")
    return found


def encode_packed(refs: Mapping[str, CommitId]) -> bytes:
    """The bytes of a ``packed-refs`` file; it promises no peeled tags, as we have none."""
    lines = [b"# pack-refs with: sorted \n"]
    lines += [b"%s %s\n" % (refs[name].hex_ascii, name.encode("ascii")) for name in sorted(refs)]
    return b"".join(lines)


def _fill(ref: _Prepared, content: bytes) -> None:
    """Write into a lock that is held, durably; lock and temporary are one file."""
    with ref.temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
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
