"""The files of a bare SHA-256 repository of ours.

Source: gitrepository-layout; git-config, ``extensions.objectFormat``; docs/format.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeAlias

from yoi_bundles.errors import BundleMissingError, InvalidInputError, StoreCorruptError
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import (
    PRIVATE,
    make_directories,
    replace_file,
    sync_directory,
    write_new_file,
)
from yoi_bundles.store.tree.bundle_file import MAIN_REF

Side: TypeAlias = Literal["backend", "runtime"]

_MARKS: dict[Side, tuple[str, ...]] = {
    "backend": ("registry.sqlite3", "workspaces"),
    "runtime": ("catalog.sqlite3", "bundles"),
}
"""What shows that a directory is one side's."""

LOCK_FILE = "yoi.lock"
QUARANTINE = "quarantine"
HEAD_BYTES = f"ref: {MAIN_REF}\n".encode("ascii")
_DIRECTORIES = ("objects/info", "objects/pack", "refs/heads", "refs/bundles", QUARANTINE)

# gc.auto=0: maintenance is started by us or by an operator, never by a passing git command.
_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tfilemode = true
\tbare = true
\tlogallrefupdates = false
[extensions]
\tobjectformat = sha256
[gc]
\tauto = 0
[receive]
\tdenyCurrentBranch = refuse
[yoi]
\tformat = 1
\tworkspace = {workspace}
"""
_WORKSPACE = re.compile(r"^\[yoi\]\s[^\[]*?^\s*workspace\s*=\s*(\S+)\s*$", re.MULTILINE)
_FORMAT = re.compile(r"^\s*objectformat\s*=\s*sha256\s*$", re.MULTILINE | re.IGNORECASE)


def create_data_directory(path: Path) -> None:
    """Make the directory of a Backend or a Runtime, readable by its owner only and durable.

    Args:
        path: The directory; harmless if it exists.

    Raises:
        StorageFullError: No room.
        StoreError: It could not be made.
    """
    with storage_faults("make the data directory"):
        make_directories(path, PRIVATE)


def create_side_directory(path: Path, side: Side) -> None:
    """Make the directory of one side, or refuse one that is plainly another's.

    Args:
        path: The directory; harmless if it exists and is of this side, or empty.
        side: Whose it is to be.

    Raises:
        InvalidInputError: It is the other side's, or holds the directories of both.
        StoreError: See `create_data_directory`.
    """
    other: Side = "runtime" if side == "backend" else "backend"
    for one in (side, other):
        if any((path / one / mark).exists() for mark in _MARKS[one]):
            raise InvalidInputError(
                f"this directory holds the data of both sides; the {side}'s is `{side}` in it",
                hint=f'open the directory "{side}" below it, or an empty one',
            )
    if any((path / mark).exists() for mark in _MARKS[other]):
        raise InvalidInputError(
            f"this directory is a {other}'s, and no {side}'s",
            hint=f"open the {side}'s own directory, or an empty one",
        )
    create_data_directory(path)


def create_layout(path: Path, workspace: WorkspaceId) -> None:
    """Make an empty repository in a directory that does not exist or is empty.

    All in it is durable; its own name is not yet.

    Raises:
        InvalidInputError: The directory holds something.
        StoreError: It could not be made.
    """
    with storage_faults("create a repository"):
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise InvalidInputError("the directory for a repository is not empty")
        for name in _DIRECTORIES:
            (path / name).mkdir(parents=True)
        (path / QUARANTINE).chmod(PRIVATE)
        write_new_file(path / "config", _encode_config(workspace))
        write_new_file(path / "HEAD", HEAD_BYTES)
        write_new_file(path / LOCK_FILE, b"", is_durable=False)
        for directory in (path / "objects", path / "refs", path):
            sync_directory(directory)


def _encode_config(workspace: WorkspaceId) -> bytes:
    return _CONFIG.format(workspace=workspace).encode("ascii")


def mend_layout(path: Path, workspace: WorkspaceId) -> list[str]:
    """Make anew what every repository of ours has and this one has lost; nothing if it is whole.

    Args:
        path: The repository.
        workspace: Whose it is, known from its name.

    Returns:
        Names of what was made.

    Raises:
        StoreError: It could not be written.
    """
    made: list[str] = []
    with storage_faults("mend a repository"):
        for name in _DIRECTORIES:
            if not (path / name).is_dir():
                make_directories(path / name)
                made.append(name)
        if not _is_head_sound(path):
            replace_file(path / "HEAD", HEAD_BYTES)
            made.append("HEAD")
        try:
            is_ours = read_workspace(path) == workspace
        except (StoreCorruptError, BundleMissingError):
            is_ours = False
        if not is_ours:
            replace_file(path / "config", _encode_config(workspace))
            made.append("config")
    return made


def is_repository(path: Path) -> bool:
    """Whether a repository is here, even one that has lost its configuration."""
    return (path / "config").is_file() or (path / "objects").is_dir()


def find_layout_fault(path: Path) -> str | None:
    """What git needs to see a repository here at all, and is not as we made it."""
    # A clone that was put here lacks some of our directories; it is whole without them.
    return None if _is_head_sound(path) else "HEAD is lost or damaged"


def _is_head_sound(path: Path) -> bool:
    try:
        return (path / "HEAD").read_bytes() == HEAD_BYTES
    except OSError:
        return False


def read_workspace(path: Path) -> WorkspaceId:
    """The workspace that a repository was made for.

    Raises:
        BundleMissingError: There is no repository.
        StoreCorruptError: It is not one of ours.
        StoreError: It could not be read.
    """
    with storage_faults("read a repository's configuration"):
        try:
            config = (path / "config").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            if is_repository(path):
                raise StoreCorruptError(
                    "a repository's configuration is lost", hint="repair the repository"
                ) from None
            raise BundleMissingError("there is no such repository") from None
    match = _WORKSPACE.search(config)
    if match is None or _FORMAT.search(config) is None:
        raise StoreCorruptError("not a SHA-256 repository of a workspace")
    try:
        return WorkspaceId.parse(match[1])
    except InvalidInputError as error:
        raise StoreCorruptError(error.message) from error
