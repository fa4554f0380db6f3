"""Sees every call by which Python code changes files, in the order in which it happens.

An observer is told *before* each call. It may kill the process, raise an error in its place, or
write down what happens. Bytes written to a file are seen when the file is synced: until then a
crash may leave any part of them, which `truncate_half` and the power-loss model stand for.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Observer = Callable[["Change"], None]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Change:
    """A call that is about to change files.

    Args:
        kind: create, truncate, sync, syncdir, rename, link, symlink, unlink, mkdir, rmdir or chmod.
        path: What it changes.
        target: New name of a rename or link.
        descriptor: Of the file to sync.
    """

    kind: str
    path: str
    target: str = ""
    descriptor: int = -1


def truncate_half(change: Change) -> None:
    """Leave half of what was written: a crash in the middle of a write."""
    size = os.fstat(change.descriptor).st_size
    os.ftruncate(change.descriptor, size // 2)


def _path(path: Any, dir_fd: int | None = None) -> str:
    text = os.fsdecode(path)
    if dir_fd is not None:
        return str(Path(f"/proc/self/fd/{dir_fd}").readlink() / text)
    return str(Path(text).absolute())


@contextlib.contextmanager
def watching(root: Path, observer: Observer) -> Iterator[None]:
    """Tell the observer of every change below a directory while the block runs."""
    prefix = str(root)
    real: dict[tuple[Any, str], Any] = {}

    def tell(kind: str, path: str, target: str = "", descriptor: int = -1) -> None:
        if path.startswith(prefix):
            observer(Change(kind, path, target, descriptor))

    def patch(module: Any, name: str, replacement: Any) -> None:
        real[module, name] = getattr(module, name)
        setattr(module, name, replacement)

    def one_path(name: str, kind: str) -> None:
        original = getattr(os, name)

        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(path, int):
                tell(kind, _path(path, kwargs.get("dir_fd")))
            return original(path, *args, **kwargs)

        patch(os, name, call)

    def two_paths(name: str, kind: str) -> None:
        original = getattr(os, name)

        def call(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            # What a symbolic link holds is no file that changes: its own name is.
            tell(kind, _path(target if kind == "symlink" else source), _path(target))
            return original(source, target, *args, **kwargs)

        patch(os, name, call)

    for name, kind in (("unlink", "unlink"), ("remove", "unlink"), ("mkdir", "mkdir"),
                       ("rmdir", "rmdir"), ("chmod", "chmod")):  # fmt: skip
        one_path(name, kind)
    for name, kind in (("rename", "rename"), ("replace", "rename"), ("link", "link"),
                       ("symlink", "symlink")):  # fmt: skip
        two_paths(name, kind)

    os_open, io_open, fsync = os.open, io.open, os.fsync

    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & _WRITES:
            full = _path(path, kwargs.get("dir_fd"))
            if not os.path.lexists(full):
                tell("create", full)
            elif flags & os.O_TRUNC:
                tell("truncate", full)
        return os_open(path, flags, *args, **kwargs)

    def io_opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not isinstance(file, int) and set(mode) & set("wax+"):
            full = _path(file)
            tell("create" if not os.path.lexists(full) else "truncate", full)
        return io_open(file, mode, *args, **kwargs)

    def synced(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = str(Path(f"/proc/self/fd/{number}").readlink())
        is_directory = stat.S_ISDIR(os.fstat(number).st_mode)
        tell("syncdir" if is_directory else "sync", path, descriptor=number)
        fsync(descriptor)

    patch(os, "open", opened)
    patch(io, "open", io_opened)
    patch(builtins, "open", io_opened)
    patch(os, "fsync", synced)
    try:
        yield
    finally:
        for (module, name), original in real.items():
            setattr(module, name, original)
