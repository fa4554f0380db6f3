"""A file system that forgets what was not synced: rebuilds what a power loss may leave.

The model is pessimistic, as POSIX allows: bytes of a file are there only after the file was synced
(before that none are), and a name is there only after its directory was synced. Changes of one
directory reach the disk in order, but any number of the last ones may be missing, and directories
do not wait for one another. A rename within one directory is atomic.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from io_seam import Change

Edit = Callable[[dict[str, "Node"]], object]
Left = frozenset[tuple[str, bytes | None]]
"""Path and bytes of every file, and None for the bytes of a directory."""


@dataclass(eq=False)
class Node:
    """A file or a directory.

    Args:
        data: The bytes that survive; None for a directory.
        entries: Names as programs see them.
        durable: Names as of the last sync of the directory.
        pending: What was done to the names since.
    """

    data: bytes | None
    entries: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[Edit] = field(default_factory=list)

    def edit(self, edit: Edit) -> None:
        """Change names, not yet on the disk."""
        edit(self.entries)
        self.pending.append(edit)

    def sync(self) -> None:
        """Bring all names to the disk."""
        self.durable = dict(self.entries)
        self.pending.clear()


@dataclass(frozen=True)
class Event:
    """A change with what is needed to replay it; `content` is a synced file's."""

    change: Change
    content: bytes = b""


class Recorder:
    """An observer that writes down every change."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.acknowledged_at: dict[str, int] = {}

    def __call__(self, change: Change) -> None:
        is_sync = change.kind == "sync"
        content = Path(f"/proc/self/fd/{change.descriptor}").read_bytes() if is_sync else b""
        self.events.append(Event(change, content))

    def acknowledge(self, what: str) -> None:
        """Note that everything up to here was promised to last."""
        self.acknowledged_at[what] = len(self.events)


def load(root: Path) -> Node:
    """A directory as it lies on a quiet disk."""
    if not root.is_dir():
        return Node(root.read_bytes())
    entries = {path.name: load(path) for path in root.iterdir()}
    return Node(None, entries, dict(entries))


class Disk:
    """Replays events over a directory, then forgets what a power loss may forget."""

    def __init__(self, base: Node, root: Path) -> None:
        self._base = base
        self._root = root

    def apply(self, event: Event) -> None:
        """Do what the program did; a call that failed then (told before it ran) changes nothing."""
        try:
            self._apply(event)
        except KeyError:
            return

    def _apply(self, event: Event) -> None:
        change = event.change
        if change.kind in {"create", "mkdir"}:
            made = Node(None if change.kind == "mkdir" else b"")
            self._put(change.path, made)
        elif change.kind == "link":
            self._put(change.target, self._node(change.path))
        elif change.kind in {"unlink", "rmdir"}:
            directory, name = self._split(change.path)
            directory.edit(lambda names: names.pop(name, None))
        elif change.kind == "rename":
            self._rename(change.path, change.target)
        elif change.kind == "truncate":
            self._node(change.path).data = b""
        elif change.kind == "sync":
            self._node(change.path).data = event.content
        elif change.kind == "syncdir":
            self._node(change.path).sync()

    def _split(self, path: str) -> tuple[Node, str]:
        parts = Path(path).relative_to(self._root).parts
        node = self._base
        for part in parts[:-1]:
            node = node.entries[part]
        return node, parts[-1]

    def _node(self, path: str) -> Node:
        if Path(path) == self._root:
            return self._base
        directory, name = self._split(path)
        return directory.entries[name]

    def _put(self, path: str, node: Node) -> None:
        directory, name = self._split(path)
        if name in directory.entries:
            return
        directory.edit(lambda names: names.__setitem__(name, node))

    def _rename(self, source: str, target: str) -> None:
        node = self._node(source)
        (old, name), (new, to) = self._split(source), self._split(target)
        if old is not new:
            new.edit(lambda names: names.__setitem__(to, node))
            old.edit(lambda names: names.pop(name, None))
            return

        def move(names: dict[str, Node]) -> None:
            names.pop(name, None)
            names[to] = node

        old.edit(move)

    def lose_power(self, rng: random.Random) -> Left:
        """What may be left; the disk goes on as if nothing had happened."""
        return frozenset(_left(self._base, "", rng))


def _left(node: Node, path: str, rng: random.Random) -> Iterator[tuple[str, bytes | None]]:
    yield path, node.data
    names = dict(node.durable)
    for edit in node.pending[: rng.randint(0, len(node.pending))] if node.data is None else ():
        edit(names)
    for name, child in names.items():
        yield from _left(child, f"{path}/{name}", rng)


def write(left: Left, target: Path) -> None:
    """Put what is left into a directory that does not exist."""
    for path, data in sorted(left, key=lambda row: row[0]):
        place = Path(f"{target}{path}")
        if data is None:
            place.mkdir()
            continue
        place.write_bytes(data)
        # Whatever is left was written before the machine went down.
        os.utime(place, (0, 0))
