"""The builtin bundle: profiles that work without a workspace, in the layout of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from yoi_bundles.model.ids import RelativePath

_SUFFIXES = (".toml", ".md")


def load_builtin_files() -> Mapping[RelativePath, bytes]:
    """All files of the builtin tree by path, in path order; read anew at every call."""
    return dict(sorted(_walk(files(__name__), "")))


def _walk(directory: Traversable, prefix: str) -> Iterator[tuple[RelativePath, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIXES):
            yield RelativePath(f"{prefix}{entry.name}"), entry.read_bytes()
