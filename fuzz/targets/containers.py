"""Bundle header, pack and delta: bytes that bound what everything after them costs."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256

from dulwich.pack import apply_delta as reference_delta

from fuzz.hostile import objects_in, split_upload, uploads
from fuzz.recipes import HELD, encode_recipe, read_recipe
from fuzz.target import Target, must, must_equal
from yoi_bundles.model.limits import KIB, MIB, Limits
from yoi_bundles.store.disk.faults import verification_faults
from yoi_bundles.store.pack.deltas import apply_delta, encode_delta
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.writer import OFS_DELTA, REF_DELTA, PackWriter
from yoi_bundles.store.tree.bundle_file import MAIN_REF, encode_bundle_header, read_bundle_header
from yoi_bundles.store.tree.objects import Kind, kind_name

LIMITS = Limits(
    header_bytes=2 * KIB,
    header_line_bytes=200,
    prerequisites=6,
    objects=60,
    object_bytes=32 * KIB,
    inflated_bytes=1 * MIB,
    delta_depth=5,
)
"""Small enough that a fuzzer gets past each of them."""

_COMMENT = re.compile(rb"^(-[0-9a-f]{64}) [^\n]*", re.MULTILINE)


# --- bundle header -----------------------------------------------------------------------------


def check_header(data: bytes) -> None:
    """What is accepted is what we write, but for comments and another branch's name."""
    stream = io.BytesIO(data)
    header = read_bundle_header(stream, LIMITS)
    must_equal(stream.tell(), header.size_bytes, "bytes read")
    must(header.size_bytes <= LIMITS.header_bytes + 1, "a header beyond its limit")
    must(len(header.prerequisites) <= LIMITS.prerequisites, "prerequisites beyond their limit")
    plain = _COMMENT.sub(rb"\1", data[: header.size_bytes])
    again = encode_bundle_header(header.target, header.prerequisites)
    must_equal(again.replace(MAIN_REF.encode(), header.ref.encode()), plain, "encoded again")


def _header_seeds() -> Mapping[str, bytes]:
    files = uploads("container", "refs", "prerequisites")
    return {name: split_upload(raw)[0] for name, raw in files.items()}


# --- pack --------------------------------------------------------------------------------------


def check_pack(data: bytes) -> None:
    """Every object hashes to its id, all bounds hold, and the pack survives being written anew.

    The first byte says what follows: 0, a pack without its checksum, which is mended here, as
    no fuzzer guesses one; anything else, a recipe that is packed first.
    """
    recipe = read_recipe(data[1:]) if data[:1] not in (b"", b"\0") else None
    body = data[1:] if recipe is None else recipe.body
    raw = body + sha256(body).digest()
    pack = _read(raw)
    _verify_bounds(pack, raw)
    objects = _verify_objects(pack)
    if recipe is not None:
        must_equal(sorted(pack.objects), sorted(recipe.expected()), "objects of the recipe")
    _verify_written_anew(objects)


def _read(raw: bytes) -> ReceivedPack:
    with verification_faults("read the bundle file"):
        return ReceivedPack(memoryview(raw), LIMITS, HELD.get)


def _verify_bounds(pack: ReceivedPack, raw: bytes) -> None:
    must(len(pack.objects) <= LIMITS.objects, "objects beyond their limit")
    must_equal(len(pack.objects), int.from_bytes(raw[8:12], "big"), "count")
    must(pack.inflated_bytes <= LIMITS.inflated_bytes, "inflated bytes beyond their limit")
    entries = sorted(pack.entries, key=lambda entry: entry.offset)
    ends = [*(entry.offset for entry in entries[1:]), len(raw) - 32]
    for entry, end in zip(entries, ends, strict=False):  # an empty pack has an end and no entry
        must_equal(entry.crc32, zlib.crc32(raw[entry.offset : end]), "checksum of an entry")


def _verify_objects(pack: ReceivedPack) -> dict[bytes, tuple[Kind, bytes]]:
    objects = {}
    for oid, packed in pack.objects.items():
        data = pack.read(oid)
        head = f"{kind_name(packed.kind)} {len(data)}\0".encode()
        must_equal(sha256(head + data).digest(), oid, "id")
        must(packed.size == len(data) <= LIMITS.object_bytes, "size")
        must(packed.depth <= LIMITS.delta_depth, "depth")
        objects[oid] = (packed.kind, data)
    return objects


def _verify_written_anew(objects: Mapping[bytes, tuple[Kind, bytes]]) -> None:
    out = io.BytesIO()
    writer = PackWriter(out, len(objects))
    for oid, (kind, data) in objects.items():
        writer.add(oid, kind, data)
    writer.finish()
    again = _read(out.getvalue())
    must_equal(again.objects.keys(), objects.keys(), "written anew")
    must_equal(sorted(again.entries), sorted(writer.entries), "entries written anew")


def _pack_seeds() -> Mapping[str, bytes]:
    files = uploads("container", "pack", "deltas")
    seeds = {name: b"\0" + split_upload(raw)[1] for name, raw in files.items()}
    base = b"line one\nline two\nline three\n" * 3
    step = encode_delta(base, base + b"more\n")
    recipes = {
        "whole": [(3, base), (2, b"100644 a\0" + b"\1" * 32), (1, b"tree x\n")],
        "offset": [(3, base), (6, b"\1" + step)],
        "reference": [(7, b"\0" + step), (3, base)],
        "chain": [(3, base), (6, b"\1" + step), (6, b"\1" + encode_delta(base + b"more\n", base))],
        "held": [(7, b"\x80" + encode_delta(next(iter(HELD.values()))[1], base))],
        "nowhere": [(7, b"\xff" + step)],
        "wrong-size": [(3 | 8, base)],
    }
    return seeds | {f"recipe-{k}": b"\1" + encode_recipe(v) for k, v in recipes.items()}


# --- delta -------------------------------------------------------------------------------------


def check_delta(data: bytes) -> None:
    """What we make of a delta is what another implementation makes of it, within bounds.

    Two bytes of length, the base, and the delta; the delta's bytes are a target to encode too.
    """
    size = int.from_bytes(data[:2], "big") % 2048
    base, delta = data[2 : 2 + size], data[2 + size :]
    target = delta
    must_equal(
        apply_delta(base, encode_delta(base, target), 1 << 20), target, "encoded and applied"
    )
    cost = 0

    def spend(amount: int) -> None:
        nonlocal cost
        cost += amount

    made = apply_delta(base, delta, LIMITS.object_bytes, spend)
    must(len(made) <= LIMITS.object_bytes, "a result beyond its limit")
    must(cost >= 512 * (len(delta) // 128 - 1), "commands that cost nothing")
    must_equal(b"".join(reference_delta(base, delta)), made, "dulwich's result")


def _delta_seeds() -> Mapping[str, bytes]:
    base = b"one\ntwo\nthree\nfour\n" * 8
    seeds = {
        "append": (base, encode_delta(base, base + b"five\n")),
        "nothing": (b"", encode_delta(b"", b"")),
        "insert": (b"", encode_delta(b"", b"x" * 200)),
        "middle": (base, encode_delta(base, base[:40] + b"new" + base[50:])),
        "long-copy": (base, b"\x98\x01\x80\x80\x04\x80"),
    }
    found = {name: len(one).to_bytes(2, "big") + one + two for name, (one, two) in seeds.items()}
    for name, delta in _deltas_of(uploads("deltas")):
        found[name] = len(base).to_bytes(2, "big") + base + delta
    return found


def _deltas_of(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, raw in files.items():
        for kind, data in objects_in(split_upload(raw)[1]):
            if kind in (OFS_DELTA, REF_DELTA):
                yield name, data


TARGETS = (
    Target(
        "header",
        check_header,
        frozenset({"malformed_bundle", "too_large"}),
        _header_seeds,
    ),
    Target(
        "pack",
        check_pack,
        frozenset({"malformed_bundle", "too_large", "missing_object"}),
        _pack_seeds,
        max_bytes=8 * KIB,
    ),
    Target(
        "delta",
        check_delta,
        frozenset({"malformed_bundle", "too_large"}),
        _delta_seeds,
    ),
)
