"""The repositories of all workspaces below one directory.

Source: docs/format.md, "On disk".
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from yoi_bundles.errors import InvalidInputError, WorkspaceNotVisibleError
from yoi_bundles.model.ids import BUILTIN_WORKSPACE, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store.disk.faults import storage_faults
from yoi_bundles.store.disk.files import (
    PRIVATE,
    TEMP_PREFIX,
    exclusive_lock,
    make_directories,
    make_temporary_name,
    sync_directory,
)
from yoi_bundles.store.disk.layout import LOCK_FILE, create_layout, is_repository, mend_layout
from yoi_bundles.store.repository import Repository

_SUFFIX = ".git"


class WorkspaceRepositories:
    """Opens each workspace's repository once and keeps it open.

    Args:
        root: A directory; it is made if missing, those above it for their owner only.
        limits: Bounds of every repository.

    Raises:
        StoreError: The directory could not be made.
    """

    def __init__(self, root: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self._root = root
        self._limits = limits
        self._lock = Lock()
        self._open: dict[WorkspaceId, Repository] = {}
        self._is_tidying_deferred = False
        with storage_faults("open the directory of repositories"):
            make_directories(root.parent, PRIVATE)
            make_directories(root)

    def list(self) -> tuple[WorkspaceId, ...]:
        """All workspaces that have a repository, in order.

        Raises:
            StoreError: The directory could not be read.
        """
        with storage_faults("list repositories"):
            names = [
                path.name.removesuffix(_SUFFIX)
                for path in self._root.glob(f"*{_SUFFIX}")
                if is_repository(path)
            ]
        found: list[WorkspaceId] = []
        for name in sorted(names):
            try:
                found.append(WorkspaceId.parse(name))
            except InvalidInputError:
                continue
        return tuple(found)

    def find(self, workspace: WorkspaceId) -> Repository | None:
        """A workspace's repository, or None; opened and recovered on first use.

        Raises:
            StoreCorruptError: It is not one of ours.
            InvalidInputError: This is no workspace's name.
            StoreError: It could not be opened.
        """
        # Text would open a second repository of the same name, and call it damaged.
        workspace = WorkspaceId.coerce(workspace)
        with self._lock:
            known = self._open.get(workspace)
            if known is None:
                path = self._path_of(workspace)
                if not is_repository(path):
                    return None
                known = Repository.open(path, workspace, self._limits)
                if self._is_tidying_deferred:
                    known.tidying.defer()
                self._open[workspace] = known
            return known

    def find_open(self, workspace: WorkspaceId) -> Repository | None:
        """A workspace's repository if it was opened before; never touches the disk."""
        return self._open.get(workspace)

    def get(self, workspace: WorkspaceId) -> Repository:
        """A workspace's repository.

        Raises:
            WorkspaceNotVisibleError: There is none.
            StoreError: It could not be opened.
        """
        found = self.find(workspace)
        if found is None:
            raise WorkspaceNotVisibleError(f"there is no workspace {workspace} here")
        return found

    def mend_layout(self, workspace: WorkspaceId) -> None:
        """Make the configuration of a repository anew if it is lost, so that it can be opened.

        Raises:
            WorkspaceNotVisibleError: There is no such directory.
            StoreError: It could not be written.
        """
        path = self._path_of(WorkspaceId.coerce(workspace))
        if not path.is_dir():
            raise WorkspaceNotVisibleError(f"there is no workspace {workspace} here")
        with storage_faults("mend a repository"), exclusive_lock(path / LOCK_FILE):
            mend_layout(path, workspace)

    def create(self, workspace: WorkspaceId) -> Repository:
        """A workspace's repository, made if there is none; a repeated call is safe.

        Raises:
            InvalidInputError: The name is that of the builtin profiles, whose host rules a synced
                workspace must not meet.
            StoreError: It could not be made or opened.
        """
        workspace = WorkspaceId.coerce(workspace)
        if workspace == BUILTIN_WORKSPACE:
            raise InvalidInputError(
                f"no workspace can be called {workspace}", hint="it names the builtin profiles"
            )
        found = self.find(workspace)
        if found is not None:
            return found
        with storage_faults("create a repository"), exclusive_lock(self._root / LOCK_FILE):
            self._sweep()
            if not self._path_of(workspace).exists():
                self._make(workspace)
        return self.get(workspace)

    def _sweep(self) -> None:
        """Repositories that a crash left half made."""
        import shutil

        for path in self._root.glob(f"{TEMP_PREFIX}*"):
            shutil.rmtree(path)

    def _make(self, workspace: WorkspaceId) -> None:
        """Under another name first: a repository is there whole or not at all."""
        import shutil

        temporary = self._root / make_temporary_name()
        try:
            create_layout(temporary, workspace)
            temporary.rename(self._path_of(workspace))
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(self._root)

    def _path_of(self, workspace: WorkspaceId) -> Path:
        return self._root / f"{workspace}{_SUFFIX}"

    def defer_tidying(self) -> None:
        """From now on leave it to the caller to tidy after writes; see `Tidying`."""
        with self._lock:
            self._is_tidying_deferred = True
            for repository in self._open.values():
                repository.tidying.defer()

    def close(self) -> None:
        """Close every open repository."""
        with self._lock:
            for repository in self._open.values():
                repository.close()
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
