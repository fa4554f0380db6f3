"""Deltas: bases that are missing, themselves, cyclic or elsewhere; commands that lie."""

import itertools
import zlib
from functools import partial

from builder import (
    BLOB,
    COMMIT,
    NOWHERE,
    OFS,
    REF,
    Family,
    Objects,
    Pack,
    Upload,
    World,
    append_delta,
    copy,
    delta,
    distance_of,
    encode_commit,
    header,
    insert,
    number,
    oid_of,
    size_header,
)

FAMILY = Family("deltas")
BASE = b"The base of all that follows.\n" * 4
MADE = BASE + b"More.\n"


def on_base(body, world: World) -> Upload:
    """The next revision has `BASE` and, as a delta on it, `MADE`; the delta is as given."""
    return two_files(lambda pack, at: pack.ofs(at, body), world)


def two_files(write, world: World) -> Upload:
    made = Objects()
    tree = made.files({**world.files, "prompts/base.md": BASE, "prompts/made.md": MADE})
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    others = [v for v in made.without(world.objects.made) if v not in ((BLOB, BASE), (BLOB, MADE))]
    pack = Pack(others)
    write(pack, pack.add(BLOB, BASE))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


SIZE = len(BASE)
BODIES = {
    "base-size-wrong": delta(SIZE - 1, len(MADE), copy(0, SIZE), insert(b"More.\n")),
    "base-size-of-2-tib": delta(2**41, len(MADE), copy(0, SIZE), insert(b"More.\n")),
    "base-size-overlong": number(SIZE, pad=3)
    + number(len(MADE))
    + copy(0, SIZE)
    + insert(b"More.\n"),
    "result-size-overlong": number(SIZE)
    + number(len(MADE), pad=1)
    + copy(0, SIZE)
    + insert(b"More.\n"),
    "size-of-100-bits": b"\xff" * 14 + b"\x01" + number(len(MADE)) + copy(0, SIZE),
    "result-too-small": delta(SIZE, len(MADE) - 1, copy(0, SIZE), insert(b"More.\n")),
    "result-too-large": delta(SIZE, len(MADE) + 1, copy(0, SIZE), insert(b"More.\n")),
    "result-of-2-gib": delta(SIZE, 2**31, copy(0, SIZE), insert(b"More.\n")),
    "copy-behind-the-end": delta(SIZE, SIZE, copy(1, SIZE)),
    "copy-from-4-gib": delta(SIZE, SIZE, copy(2**32 - 1, SIZE)),
    "copy-of-64-kib-by-a-zero-size": delta(SIZE, 0x10000, b"\x80"),
    "copy-truncated": delta(SIZE, SIZE, b"\xff\x00"),
    "insert-truncated": delta(SIZE, SIZE + 9, copy(0, SIZE), b"\x09abc"),
    "reserved-command": delta(SIZE, SIZE, copy(0, SIZE), b"\x00"),
    "no-commands": delta(SIZE, len(MADE)),
    "empty": b"",
    "one-byte": b"\x78",
    "other-result": append_delta(BASE, b"Evil.\n"),
    "bytes-behind-the-result": append_delta(BASE, b"More.\n") + copy(0, 1),
}
for _name, _body in BODIES.items():
    FAMILY.put(_name, partial(on_base, _body))

GOOD = append_delta(BASE, b"More.\n")


def raw_ofs(pack: Pack, distance: bytes) -> None:
    pack.raw(size_header(OFS, len(GOOD)) + distance + zlib.compress(GOOD))


WRITERS = {
    "ref-base-missing": lambda pack, at: pack.ref(NOWHERE, GOOD),
    "ref-base-zero": lambda pack, at: pack.ref(b"\0" * 32, GOOD),
    "ref-base-is-itself": lambda pack, at: pack.ref(oid_of(BLOB, MADE), GOOD),
    "ofs-base-is-itself": lambda pack, at: raw_ofs(pack, b"\0"),
    "ofs-base-in-an-object": lambda pack, at: raw_ofs(pack, distance_of(pack.size - at - 1)),
    "ofs-base-in-the-pack-header": lambda pack, at: raw_ofs(pack, distance_of(pack.size - 4)),
    "ofs-base-before-the-pack": lambda pack, at: raw_ofs(pack, distance_of(pack.size + 50)),
    "ofs-base-far-before-the-pack": lambda pack, at: raw_ofs(pack, b"\xff" * 12 + b"\x7f"),
    "ofs-overlong": lambda pack, at: raw_ofs(pack, b"\x80" + distance_of(pack.size - at)),
    "ofs-truncated": lambda pack, at: pack.raw(size_header(OFS, 9) + b"\x80"),
    "ref-truncated": lambda pack, at: pack.raw(size_header(REF, 9) + b"\x80" * 7),
    "stream-longer-than-it-says": lambda pack, at: pack.raw(
        size_header(OFS, len(GOOD) - 1) + distance_of(pack.size - at) + zlib.compress(GOOD)
    ),
}
for _name, _write in WRITERS.items():
    FAMILY.put(_name, partial(two_files, _write))


@FAMILY.case
def ref_cycle(world: World) -> Upload:
    """Two deltas, each the base of the other: neither can ever be made."""

    def write(pack: Pack, at: int) -> None:
        other = MADE + b"!"
        pack.ref(oid_of(BLOB, other), delta(len(other), len(MADE), copy(0, len(MADE))))
        pack.ref(oid_of(BLOB, MADE), append_delta(MADE, b"!"))

    return two_files(write, world)


@FAMILY.case
def ofs_to_a_waiting_cycle(world: World) -> Upload:
    """An offset delta on a delta that waits for the offset delta's result."""

    def write(pack: Pack, at: int) -> None:
        first = pack.ref(oid_of(BLOB, MADE), delta(len(MADE), SIZE, copy(0, SIZE)))
        pack.ofs(first, append_delta(BASE, b"More.\n"))

    return two_files(write, world)


@FAMILY.case
def base_in_another_repository(world: World) -> Upload:
    """A thin delta on an object that only the sender has."""
    return two_files(lambda pack, at: pack.ref(oid_of(BLOB, b"elsewhere\n"), GOOD), world)


@FAMILY.case
def thin_base_in_a_full_bundle(world: World) -> Upload:
    """A file that says it needs nothing builds on what happens to be held."""
    base = world.files["prompts/style.md"]
    made = Objects()
    tree = made.files({**world.files, "prompts/new.md": base + b"More.\n"})
    tip = made.add(COMMIT, encode_commit(tree))
    pack = Pack(v for v in made.made.values() if v[1] != base + b"More.\n" and v[1] != base)
    pack.ref(oid_of(BLOB, base), append_delta(base, b"More.\n"))
    return Upload(header(tip) + pack.encode(), tree.hex())


@FAMILY.case
def tree_made_of_a_blob(world: World) -> Upload:
    """A delta has its base's type: bytes of a tree made from a blob are a blob."""
    made = Objects()
    tree = made.files({**world.files, "prompts/base.md": BASE})
    raw = made.made[tree][1]
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    others = [v for v in made.without(world.objects.made) if v[1] != raw]
    pack = Pack(others)
    pack.ref(oid_of(BLOB, BASE), delta(SIZE, len(raw), insert(raw)))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


def chain(depth: int, world: World, *, backwards: bool = False) -> Upload:
    """Files that are deltas of one another, the last of this depth."""
    texts = [BASE]
    for step in range(depth):
        texts.append(texts[-1] + b"%d\n" % step)
    made = Objects()
    files = {f"prompts/chain/n{i:05d}.md": text for i, text in enumerate(texts)}
    tree = made.files({**world.files, **files})
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    others = [v for v in made.without(world.objects.made) if v[0] != BLOB]
    pack = Pack(others)
    links = [
        (oid_of(BLOB, old), append_delta(old, new[len(old) :]))
        for old, new in itertools.pairwise(texts)
    ]
    if backwards:
        for base, body in reversed(links):
            pack.ref(base, body)
        pack.add(BLOB, BASE)
    else:
        at = pack.add(BLOB, BASE)
        for _, body in links:
            at = pack.ofs(at, body)
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


FAMILY.put("depth-65", partial(chain, 65))
FAMILY.put("depth-65-backwards", partial(chain, 65, backwards=True))
FAMILY.put("depth-2000", partial(chain, 2000))
FAMILY.put("depth-2000-backwards", partial(chain, 2000, backwards=True))
