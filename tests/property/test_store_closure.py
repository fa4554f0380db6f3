"""Directories are looked at where they differ; the verdict is that of a look at everything."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "store"))

from store_factories import WORKSPACE, Forge, receive

from yoi_bundles.errors import BundleError
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store import Repository, encode_bundle_header
from yoi_bundles.store.receive import closure
from yoi_bundles.store.tree import directories
from yoi_bundles.store.tree.objects import Kind, TreeEntry, encode_tree, hash_object

SAFE = ["a", "b", "c", "d", "e", "\u00e9", "f", "g"]
ODD = ["A", "con", ".git", "long" * 12]
NARROW = Limits(files=30, tree_depth=3, path_bytes=40, tree_entries=14)
HISTORIES = 150


class History:
    """Revisions that differ a little, sometimes wrongly."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.number, self.tip = 0, None
        self.files = self.grow(0)

    def grow(self, depth: int) -> dict[str, object]:
        names = self.rng.sample(SAFE, self.rng.randrange(1, 6))
        return {name: self.make(depth) for name in names}

    def make(self, depth: int) -> object:
        is_directory = depth < 3 and self.rng.random() < 0.35
        return self.grow(depth + 1) if is_directory else b"text %d\n" % self.rng.randrange(20)

    def edit(self, node: dict[str, object], depth: int = 0) -> dict[str, object]:
        node, rng = dict(node), self.rng
        name = rng.choice(list(node))
        inner, what = node[name], rng.random()
        if isinstance(inner, dict) and what < 0.6:
            node[name] = self.edit(inner, depth + 1)
        elif what < 0.5:
            node[name] = self.make(depth)
        elif what < 0.8:
            node[rng.choice(ODD if rng.random() < 0.15 else SAFE)] = self.make(depth)
        elif len(node) > 1:
            del node[name]
        return node

    def pack(self, revisions: int, have: set[bytes]) -> bytes:
        """A bundle file of the next revisions, without what a receiver is said to have."""
        forge, base = Forge(), self.tip
        for _ in range(revisions):
            self.files = self.edit(self.files)
            tree, self.number = self.put(forge, self.files, have), self.number + 1
            parent = None if self.tip is None else self.tip.raw
            self.tip = forge.commit(tree, parent, self.number)
        return encode_bundle_header(self.tip, () if base is None else (base,)) + forge.pack()

    def put(self, forge: Forge, node: dict[str, object], have: set[bytes]) -> bytes:
        entries = [
            TreeEntry(name, True, self.put(forge, inner, have))
            if isinstance(inner, dict)
            else TreeEntry(name, False, self.add(forge, Kind.BLOB, inner, have))
            for name, inner in node.items()
        ]
        raw = encode_tree(entries)
        if self.rng.random() < 0.01:
            raw = self.rng.choice([raw[:-1], raw.replace(b"100644", b"100755", 1)])
        return self.add(forge, Kind.TREE, raw, have)

    def add(self, forge: Forge, kind: Kind, data: bytes, have: set[bytes]) -> bytes:
        oid = hash_object(kind, data)
        if oid not in have and self.rng.random() > 0.004:  # else it is missing
            have.add(oid)
            forge.add(kind, data)
        return oid


def judge(path: Path, raw: bytes, limits: Limits) -> str:
    with Repository.open(path) as store:
        try:
            return str(receive(store, raw, limits=limits).revision.digest)
        except BundleError as error:
            return error.code


@pytest.fixture
def look_at_all(monkeypatch):
    """Makes the closure check parse every row of every directory, or not."""

    def set_to(is_all: bool) -> None:
        monkeypatch.setattr(
            closure,
            "parse_directory",
            directories._parse_whole if is_all else directories.parse_directory,
        )

    return set_to


def test_the_verdict_is_that_of_a_look_at_every_row(tmp_path, look_at_all):
    seen = set()
    for seed in range(HISTORIES):
        history, have = History(seed), set()
        limits = history.rng.choice([NARROW, DEFAULT_LIMITS])
        first = history.pack(history.rng.randrange(1, 4), have)
        # An increment may bring again what is held.
        again = set() if history.rng.random() < 0.4 else have
        second = history.pack(history.rng.randrange(1, 4), again)
        verdicts = []
        for is_all in (False, True):
            path = tmp_path / f"{seed}-{is_all}.git"
            Repository.create(path, WORKSPACE).close()
            look_at_all(is_all)
            verdicts.append([judge(path, raw, limits) for raw in (first, second)])
            shutil.rmtree(path)
        assert verdicts[0] == verdicts[1], seed
        seen.update(verdict if len(verdict) < 64 else "accepted" for verdict in verdicts[0])
    assert seen >= {"accepted", "malformed_bundle", "forbidden_path", "missing_object", "too_large"}
