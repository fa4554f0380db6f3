"""A workspace's directory as it was when it was published, kept from one process to the next.

Source: docs/adr/0021-what-a-stat-cache-may-vouch-for.md; git's index and its racy-git document.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from functools import partial
from pathlib import Path
from typing import NamedTuple

from yoi_bundles.author.source import Snapshot, Stamp
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.kept.file import read_kept, write_kept
from yoi_bundles.kept.rules_id import find_rules_id
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits

_MAGIC = f"yoi-bundles stat cache 2, {sys.byteorder} endian\n".encode("ascii")
_COLUMNS = "QqqQ"
"""Types of sizes, times and inodes; eight bytes each."""
_MISFITS = (ValueError, KeyError, TypeError, AttributeError, InvalidInputError)
_make_stamp = partial(tuple.__new__, Stamp)
"""`Stamp` of its fields in a row: ten thousand of them in half of the time."""


class Published(NamedTuple):
    """A bundle that was made of a directory, and the directory as it was then."""

    workspace: WorkspaceId
    digest: Digest
    snapshot: Snapshot


class StatCache:
    """What was last published of one directory to one place.

    Args:
        root: Where such caches are kept.
        directory: The workspace's directory.
        place: Where it is published: a URL, or "" for the data directory.
        rules: What files that are not read again were checked under (see `find_rules_id`).
    """

    def __init__(self, root: Path, directory: Path, *, place: str, rules: str) -> None:
        self._directory = directory.resolve()
        self._rules = rules
        key = f"{place}\0{self._directory}".encode("utf-8", "surrogateescape")
        self._path = root / hashlib.sha256(key).hexdigest()

    def load(self) -> Published | None:
        """What was kept last; None if that is nothing, or not of this directory and these rules."""
        payload = read_kept(self._path, _MAGIC)
        if payload is None:
            return None
        try:
            return self._decode(payload)
        except (*_MISFITS, OSError):
            return None

    def save(self, published: Published) -> None:
        """Keep what was published; a failure costs the next publish time and is not told."""
        try:
            about = self._about() | {
                "workspace": str(published.workspace),
                "digest": str(published.digest),
                "began_ns": published.snapshot.began_ns,
                "count": len(published.snapshot.stamps),
            }
        except OSError:
            return
        stamps = published.snapshot.stamps
        *numbers, blobs = zip(*stamps.values(), strict=True)
        columns = [array(kind, column) for kind, column in zip(_COLUMNS, numbers, strict=True)]
        texts = "\0".join([*stamps, *blobs]).encode()
        payload = b"".join([json.dumps(about).encode(), b"\n", *columns, texts])
        write_kept(self._path, _MAGIC, payload)

    def _about(self) -> dict[str, object]:
        """What must be the same when it is loaded.

        Raises:
            OSError: The directory is not there.
        """
        status = self._directory.stat()
        return {"rules": self._rules, "device": status.st_dev, "inode": status.st_ino}

    def _decode(self, payload: bytes) -> Published | None:
        """The opposite of `save`.

        Raises:
            Any of `_MISFITS`: It does not fit.
            OSError: The directory is not there.
        """
        line, _, rest = payload.partition(b"\n")
        about = json.loads(line)
        if not about.items() >= self._about().items():
            return None
        count = int(about["count"])
        size = 8 * count
        columns = [
            array(kind, rest[at * size : (at + 1) * size]) for at, kind in enumerate(_COLUMNS)
        ]
        texts = rest[len(_COLUMNS) * size :].decode().split("\0")
        rows = zip(*columns, texts[count:], strict=True)
        stamps = dict(zip(texts[:count], map(_make_stamp, rows), strict=True))
        return Published(
            WorkspaceId.parse(about["workspace"]),
            Digest.parse(about["digest"]),
            Snapshot(stamps, {}, int(about["began_ns"])),
        )


def open_stat_cache(
    data: Path, directory: Path, *, place: str, limits: Limits = DEFAULT_LIMITS
) -> StatCache | None:
    """The cache for a directory that is published again and again.

    Args:
        data: The data directory.
        directory: The workspace's directory.
        place: As for `StatCache`.
        limits: Bounds of what may be published.

    Returns:
        None if this program cannot tell by which rules it checks.
    """
    rules = find_rules_id(limits)
    root = data / "stat-cache"
    return None if rules is None else StatCache(root, directory, place=place, rules=rules)
