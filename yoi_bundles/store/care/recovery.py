"""What a crash may leave behind, and its removal; runs under the writer lock.

Only files that are known to be ours are touched: git commands of an operator may be at work.

Source: docs/format.md, "Order of writes" and "Recovery".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import TEMP_PREFIX
from yoi_bundles.store.disk.objects import INDEX_MARK, KEEP_TARGET
from yoi_bundles.store.disk.quarantine import sweep_quarantine
from yoi_bundles.store.disk.refs import PACKED_REFS

_STALE_SECONDS = 60.0
"""Older than this, a lock or half a pack is nobody's work in progress."""


def recover_repository(root: Path, quarantine: Path) -> None:
    """Remove the leftovers of writers that died; the caller holds the writer lock.

    Args:
        root: The repository.
        quarantine: Its quarantine directory.

    Raises:
        StoreError: A leftover could not be removed.
    """
    sweep_quarantine(quarantine)
    with storage_faults("recover the repository"):
        _sweep_ref_locks(root)
        _sweep_packs(root / "objects" / "pack")
        for path in root.glob(f"{TEMP_PREFIX}*"):
            path.unlink(missing_ok=True)


def _sweep_ref_locks(root: Path) -> None:
    """Locks that are links of our temporary files, and such as no git command holds so long."""
    ours = {path.stat().st_ino for path in root.glob(f"{TEMP_PREFIX}ref_*")}
    for lock in _ref_locks(root):
        stat = lock.stat()
        if stat.st_ino in ours or _is_stale(stat.st_mtime):
            lock.unlink(missing_ok=True)


def _ref_locks(root: Path) -> Iterator[Path]:
    yield from root.glob(f"{PACKED_REFS}.lock")
    yield from (root / "refs" / "heads").glob("*.lock")
    yield from (root / "refs" / "bundles").glob("*.lock")


def _sweep_packs(directory: Path) -> None:
    """Half-made packs: by their temporary halves, or by age if a power loss hid those."""
    for path in list(directory.glob(f"{TEMP_PREFIX}*{INDEX_MARK}")):
        checksum = path.name.removeprefix(TEMP_PREFIX).removesuffix(INDEX_MARK)
        pack = directory / f"pack-{checksum}.pack"
        if not pack.with_suffix(".idx").exists():
            pack.unlink(missing_ok=True)
    for path in directory.glob(f"{TEMP_PREFIX}*"):
        path.unlink(missing_ok=True)
    for path in directory.glob("pack-*.keep"):
        if path.is_symlink() and path.readlink() == KEEP_TARGET:
            path.unlink(missing_ok=True)
    for path in directory.glob("pack-*.pack"):
        if not path.with_suffix(".idx").exists() and _is_stale(path.stat().st_mtime):
            _drop_pack(path)


def _drop_pack(path: Path) -> None:
    """A whole one may be all that is left of a pack whose index was lost: it is set aside."""
    from yoi_bundles.store.care.damage import find_stamp, has_trailer, set_aside

    if has_trailer(path):
        set_aside(path.parent.parent.parent, [path], find_stamp())
    path.unlink(missing_ok=True)


def _is_stale(modified_at: float) -> bool:
    """Whether whoever wrote a file then is gone: it was before this boot, or long ago."""
    now = time.time()
    return modified_at < now - _uptime_seconds() or abs(now - modified_at) > _STALE_SECONDS


def _uptime_seconds() -> float:
    """How long this machine has been up; where that cannot be told, longer than any lock is held.

    Source: clock_gettime(2), CLOCK_BOOTTIME (Linux).
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return _STALE_SECONDS if clock is None else time.clock_gettime(clock)
