"""Files without an older version: each is packed on one that is like it, in an order that works."""

from __future__ import annotations

import errno
import io
import os
import random
import tracemalloc
import zlib
from pathlib import Path

import pytest
from store_factories import WORKSPACE, make_draft, make_files, receive

from yoi_bundles.errors import MalformedBundleError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.store import Repository
from yoi_bundles.store.pack.deltas import apply_delta
from yoi_bundles.store.send import packing_cache as remembered
from yoi_bundles.store.send import similar
from yoi_bundles.store.send.similar import SimilarFiles
from yoi_bundles.store.tree.objects import Kind, hash_object

WORDS = [f"word{n}" for n in range(60)]


def text(seed: int, lines: int = 40) -> bytes:
    rng = random.Random(seed)
    rows = (
        f"- {' '.join(WORDS[rng.randrange(6) * 10 :][:9])} {rng.randrange(100)}"
        for _ in range(lines)
    )
    return "\n".join(rows).encode()


class Files:
    """Contents by id, and how often each was read."""

    def __init__(self, contents: list[bytes], directory: Path) -> None:
        self.contents = {hash_object(Kind.BLOB, data): data for data in contents}
        self.read_ids: list[bytes] = []
        self.similar = SimilarFiles(self.read, lambda oid: len(self.contents[oid]), directory)

    def read(self, oid: bytes) -> bytes:
        self.read_ids.append(oid)
        return self.contents[oid]

    def pack(self, oids=None):
        """Pack and unpack again; returns how each was packed."""
        chosen = list(self.contents) if oids is None else oids
        made, packed, depths = {}, {}, {}
        for oid, one in self.similar.pack({"md": chosen}):
            data = zlib.decompress(one.data)
            assert len(data) == one.size
            base = one.base
            made[oid] = data if base is None else apply_delta(made[base], data, 1 << 24)
            depths[oid] = 0 if base is None else depths[base] + 1
            packed[oid] = one
        assert made == {oid: self.contents[oid] for oid in chosen}
        assert max(depths.values(), default=0) <= similar._MAX_DEPTH
        return packed


@pytest.fixture
def make(tmp_path):
    return lambda contents: Files(contents, tmp_path)


def size_of(packed) -> int:
    return sum(len(one.data) for one in packed.values())


def test_files_that_are_alike_take_little_together(make):
    files = make([text(seed) for seed in range(60)])
    alone = sum(len(zlib.compress(data, 9)) for data in files.contents.values())
    packed = files.pack()
    assert sum(one.base is not None for one in packed.values()) > 50
    assert size_of(packed) < alone * 0.9


def test_files_that_are_not_alike_are_sent_whole(make):
    rng = random.Random(1)
    packed = make([rng.randbytes(900) for _ in range(12)]).pack()
    assert {one.base for one in packed.values()} == {None}


def test_the_same_files_again_are_not_read(make):
    files = make([text(seed) for seed in range(30)])
    first = files.pack()
    files.read_ids.clear()
    assert files.pack() == first
    assert files.read_ids == []


def test_one_new_file_reads_its_neighbours_only(make):
    files = make([text(seed) for seed in range(60)])
    *most, last = files.contents
    files.pack(most)
    files.read_ids.clear()
    assert files.pack()[last].base is not None
    assert len(set(files.read_ids)) <= 12


@pytest.mark.parametrize("seed", range(4))
def test_whatever_goes_or_comes_bases_come_first(make, seed):
    """What was remembered as a delta on a file that is not sent any more is packed anew."""
    files, rng = make([text(n, 12) for n in range(50)]), random.Random(seed)
    for _ in range(6):
        files.pack(rng.sample(list(files.contents), rng.randint(1, 50)))


def test_a_chain_stays_short_when_its_base_is_packed_anew(make, monkeypatch):
    monkeypatch.setattr(similar, "_MAX_DEPTH", 1)
    files = make([text(1, lines) for lines in (42, 41, 40)])
    large, middle, small = files.contents
    assert files.pack([middle, small])[small].base == middle
    files.similar._packings._young.forget(middle)
    assert files.pack([large, middle])[middle].base == large
    files.pack()  # which looks at the depths


def test_what_is_used_is_remembered_and_the_rest_is_forgotten(make, monkeypatch):
    monkeypatch.setattr(similar, "_REMEMBERED_BYTES", 40_000)
    files = make([text(seed) for seed in range(80)])
    used, *rest = [list(files.contents)[start : start + 20] for start in range(0, 80, 20)]
    files.pack(used)
    for some in rest:
        files.pack(some)
        files.pack(used)
    files.read_ids.clear()
    files.pack(used)
    assert files.read_ids == []
    files.pack(rest[0])
    assert set(files.read_ids) == set(rest[0])


def test_what_the_disk_changed_is_packed_anew(make):
    files = make([text(seed) for seed in range(30)])
    first = files.pack()
    descriptor = files.similar._packings._young._descriptor
    assert os.pread(descriptor, 4, 0) == next(iter(first.values())).data[:4]
    os.pwrite(descriptor, b"junk", 0)
    files.read_ids.clear()
    files.pack()  # which compares the contents
    assert files.read_ids


def test_what_another_build_forgets_meanwhile_is_packed_anew(make):
    files = make([text(seed) for seed in range(30)])
    first = files.pack()
    files.read_ids.clear()
    packing, made = files.similar.pack({"md": list(files.contents)}), {}
    for oid, packed in packing:
        made[oid] = packed
        for known in first:
            files.similar._packings._young.forget(known)

    assert made.keys() == first.keys()
    assert files.read_ids


@pytest.mark.parametrize("is_cut", [False, True], ids=["refused", "cut short"])
def test_without_room_nothing_is_remembered_and_all_is_packed(make, monkeypatch, is_cut):
    files = make([text(seed) for seed in range(30)])
    first = files.pack()
    whole = os.pwrite

    def fail(descriptor, data, at):
        if is_cut:
            return whole(descriptor, data[:-1], at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(remembered.os, "pwrite", fail)
        other = make(list(files.contents.values()))
        assert other.pack() == first
        other.read_ids.clear()
        assert other.pack() == first
        assert len(set(other.read_ids)) == 30
    files.read_ids.clear()
    assert files.pack() == first
    assert files.read_ids == []


def test_large_files_are_neither_deltas_nor_bases(make):
    large = text(1, 4000)
    assert len(large) > 256 * 1024
    packed = make([large, large + b"more", text(2)]).pack()
    assert {one.base for one in packed.values()} == {None}


def test_no_file_is_nothing(make):
    assert make([]).pack() == {}


EDITED = RelativePath("prompts/note-edited.md")


def write_files(tmp_path, count=30):
    """A repository with two revisions, its second tip's bundle file, and the third tip."""
    repository = Repository.create(tmp_path / "a.git", WORKSPACE)
    files = {RelativePath(f"prompts/note-{seed}.md"): text(seed) for seed in range(count)}
    # The smallest is the last that is packed: no other is built on it.
    files |= make_files() | {EDITED: text(0, lines=30)}
    for number in range(3):
        files[EDITED] += b"\n- again"
        repository.publish(files, make_draft())
        if number == 1:
            with (tmp_path / "tip.bundle").open("wb") as out:
                repository.write_bundle(out, target=repository.find_head().commit, is_shallow=True)
    return tmp_path / "tip.bundle"


def write_tip(store) -> bytes:
    out = io.BytesIO()
    store.write_bundle(out, target=store.find_head().commit, is_shallow=True)
    return out.getvalue()


def test_a_new_process_learns_from_an_older_file_how_files_are_packed(tmp_path, monkeypatch):
    older = write_files(tmp_path)
    packed = []
    pack_one = similar._pack_one
    monkeypatch.setattr(
        similar, "_pack_one", lambda *given: packed.append(given[0].data) or pack_one(*given)
    )
    with Repository.open(tmp_path / "a.git") as store:
        store.learn_packing(older)
        made = write_tip(store)
        assert packed == [store.tree(store.find_head().digest).read(EDITED)]
    with Repository.create(tmp_path / "b.git", WORKSPACE) as other:
        receive(other, made)
        assert other.verify().problems == ()


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: raw[:-40] + b"x" * 40, lambda raw: b"", lambda raw: b"#"],
    ids=["cut", "overwritten", "empty", "no header"],
)
def test_from_a_damaged_file_nothing_is_learnt(tmp_path, damage):
    older = write_files(tmp_path, count=3)
    with Repository.open(tmp_path / "a.git") as store:
        expected = write_tip(store)
    older.write_bytes(damage(older.read_bytes()))
    with Repository.open(tmp_path / "a.git") as store:
        with pytest.raises(MalformedBundleError):
            store.learn_packing(older)
        assert write_tip(store) == expected


def test_packing_holds_neither_files_nor_packed_bytes(make):
    """Of bytes that cannot be compressed there would be twelve times as much."""
    size = 300 * 1024
    files = make([random.Random(seed).randbytes(size) for seed in range(24)])
    tracemalloc.start()
    try:
        for _ in range(2):
            tracemalloc.reset_peak()
            for _packed in files.similar.pack({"md": list(files.contents)}):
                pass
            assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()
