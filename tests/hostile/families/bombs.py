"""Small uploads that ask for much memory or time. Each is answered in its own process and measured.

What they attack is said in the table. All are right in every other respect, as far as they get.
"""

import zlib
from functools import lru_cache

from builder import (
    BLOB,
    COMMIT,
    OFS,
    REF,
    Family,
    Objects,
    Pack,
    Row,
    Upload,
    World,
    copy,
    delta,
    distance_of,
    encode_commit,
    encode_rows,
    header,
    insert,
    number,
    oid_of,
    rng,
    size_header,
    stored,
)

FAMILY = Family("bombs")
MIB = 2**20
EIGHT = 8 * MIB
COPY = 0xFF0000 // 4
"""What one command copies."""


@lru_cache(maxsize=4)
def zeros(size: int) -> bytes:
    """Zeros as a zlib stream; a thousandth of their size."""
    return zlib.compress(bytes(size), 9)


def big(index: int, size: int = EIGHT - 64) -> bytes:
    return b"%08d" % index + bytes(size - 8)


def packed_big(index: int, size: int = EIGHT - 64) -> bytes:
    """The entry of `big`, quickly: the zeros, which all have, are packed once."""
    start = big(index, 8)
    packer = zlib.compressobj(1, wbits=-15)
    body = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros_after, packed_zeros = _packed_zeros(size - len(start))
    check = zlib.adler32(zeros_after, zlib.adler32(start))
    return size_header(BLOB, size) + b"\x78\x01" + body + packed_zeros + check.to_bytes(4, "big")


@lru_cache(maxsize=4)
def _packed_zeros(size: int) -> tuple[bytes, bytes]:
    """Zeros, and the end of a zlib stream that holds them, without its checksum."""
    packer = zlib.compressobj(1, wbits=-15)
    return bytes(size), packer.compress(bytes(size)) + packer.flush()


def upload(world: World, pack: Pack, rows: list[Row] | None = None) -> Upload:
    """The next revision over a pack that already has the objects of the attack."""
    made = Objects()
    tree = made.tree(*(rows or [made.file(b"bundle.toml")]))
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    for kind, data in made.made.values():
        pack.add(kind, data)
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def zip_of_one_object(world: World) -> Upload:
    """One object says 1 GiB and is."""
    pack = Pack()
    pack.raw(size_header(BLOB, 1024 * MIB) + zeros(64 * MIB))
    return upload(world, pack)


@FAMILY.case
def zip_that_says_little(world: World) -> Upload:
    """An object says 100 bytes and inflates to 256 MiB."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(16 * MIB)) for _ in range(16)) + packer.flush()
    pack = Pack()
    pack.raw(size_header(BLOB, 100) + body)
    return upload(world, pack)


@FAMILY.case
def zip_of_many_objects(world: World) -> Upload:
    """140 objects of just under 8 MiB each: 1.1 GiB from one MiB."""
    pack = Pack()
    for index in range(140):
        pack.raw(packed_big(index))
    return upload(world, pack)


@FAMILY.case
def zip_below_the_total(world: World) -> Upload:
    """120 objects of just under 8 MiB: below the cap, so all are inflated and then not needed."""
    pack = Pack()
    for index in range(120):
        pack.raw(packed_big(index))
    return upload(world, pack)


@FAMILY.case
def delta_of_one_gib(world: World) -> Upload:
    """A delta that copies 16 MiB 64 times over."""
    pack = Pack()
    at = pack.raw(packed_big(0))
    size = EIGHT - 64
    body = delta(size, 1024 * MIB, *[copy(0, COPY)] * 257)
    pack.ofs(at, body)
    return upload(world, pack)


@FAMILY.case
def delta_that_says_four_gib(world: World) -> Upload:
    pack = Pack()
    at = pack.raw(packed_big(0))
    pack.ofs(at, number(EIGHT - 64) + number(2**32) + b"\x80")
    return upload(world, pack)


@FAMILY.case
def deltas_that_wait_for_one_base(world: World) -> Upload:
    """120 deltas stand before their base and make 8 MiB each: all at once when it comes."""
    pack = Pack()
    base = big(0)
    for index in range(120):
        pack.ref(oid_of(BLOB, base), shifted(len(base), index))
    pack.raw(packed_big(0))
    return upload(world, pack)


def shifted(size: int, index: int) -> bytes:
    """A delta to another object of the same size: eight bytes are new."""
    return delta(size, size, b"\x08%08d" % (index + 1000), *big_copies(8, size))


@FAMILY.case
def deltas_that_wait_and_are_large(world: World) -> Upload:
    """A hundred waiting deltas of 8 MiB each, whose base never comes."""
    pack = Pack()
    body = number(100) + number(EIGHT) + b"\x7f" + bytes(EIGHT - 200)
    packed = zlib.compress(body, 1)
    for index in range(100):
        pack.raw(size_header(REF, len(body)) + b"%032d" % index + packed)
    return upload(world, pack)


@FAMILY.case
def comb(world: World) -> Upload:
    """Chains of 60 over 8 MiB: every tooth is made again from the bottom once memory is short."""
    pack = Pack()
    size = EIGHT - 64
    for tooth in range(40):
        at = pack.raw(packed_big(tooth))
        for step in range(60):
            at = pack.ofs(at, shifted(size, tooth * 100 + step))
    return upload(world, pack)


@FAMILY.case
def comb_over_forgotten_bases(world: World) -> Upload:
    """Deltas in turn on bases that no longer fit into memory."""
    pack = Pack()
    size = 4 * MIB
    bases = [pack.raw(packed_big(index, size)) for index in range(30)]
    for step in range(40):
        for base in bases:
            pack.ofs(base, shifted(size, 100 + step * 100 + base % 97))
    return upload(world, pack)


@FAMILY.case
def delta_of_four_million_commands(world: World) -> Upload:
    """Every command copies one byte; thirty such deltas."""
    pack = Pack()
    at = pack.add(BLOB, bytes(1000))
    for index in range(30):
        count = 4 * MIB - 100
        body = number(1000) + number(count + 8) + b"\x08%08d" % index + b"\x90\x01" * count
        pack.raw(size_header(OFS, len(body)) + distance_of(pack.size - at) + zlib.compress(body, 1))
    return upload(world, pack)


@FAMILY.case
def delta_of_two_byte_inserts(world: World) -> Upload:
    """Nearly three million pieces, each an object of its own in a careless reader."""
    pack = Pack()
    at = pack.add(BLOB, bytes(1000))
    for index in range(6):
        count = 2_700_000
        body = number(1000) + number(2 * count + 8) + b"\x08%08d" % index + b"\x02ab" * count
        pack.raw(size_header(OFS, len(body)) + distance_of(pack.size - at) + zlib.compress(body, 1))
    return upload(world, pack)


@FAMILY.case
def objects_400000(world: World) -> Upload:
    """As many objects as a pack may have, each of three bytes and needed by nothing."""
    pack = Pack()
    for index in range(399_990):
        data = index.to_bytes(3, "big")
        pack.raw(b"\x33" + stored(data))
    return upload(world, pack)


@FAMILY.case
def deltas_400000_waiting(world: World) -> Upload:
    """As many deltas as a pack may have, each with a base of its own that never comes."""
    pack = Pack()
    body = stored(b"\x05\x05\x90\x05")
    for index in range(399_990):
        pack.raw(size_header(REF, 4) + b"%032d" % index + body)
    return upload(world, pack)


def large_directories(count: int, *, grow: bool) -> tuple[Objects, list[bytes]]:
    """Trees of 20,000 names, each with another row than the one before, or with one more."""
    made = Objects()
    blob = made.blob(b"x\n")
    raw = encode_rows(Row(b"100644", b"n%06d" % i, blob) for i in range(19_990 - grow * count))
    width, trees = len(raw) // (19_990 - grow * count), [raw]
    for step in range(1, count):
        at = (step + 1) * width + grow * (step - 1) * (width + 1)
        new = Row(b"100644", b"n%06d" % step + b"a" * grow, made.blob(b"x%d\n" % step))
        raw = raw[: at if grow else at - width] + encode_rows([new]) + raw[at:]
        trees.append(raw)
    return made, trees


def history_of(world: World, made: Objects, trees: list[bytes], order: list[int]) -> Upload:
    """A commit for each tree; each tree a delta on the one that stands before it in an order."""
    pack, tip, last = Pack(), world.head, 0
    for step, raw in enumerate(trees):
        tip = made.add(COMMIT, encode_commit(oid_of(2, raw), tip, world.next_number + step))
    for place, step in enumerate(order):
        if place % 50 == 0:
            last = pack.add(2, trees[step])
        else:
            last = pack.ofs(last, tree_delta(trees[order[place - 1]], trees[step]))
    for kind, data in made.made.values():
        pack.add(kind, data)
    return Upload(header(tip, world.head) + pack.encode(), oid_of(2, trees[-1]).hex())


@FAMILY.case
def history_of_large_directories(world: World) -> Upload:
    """300 commits, each with another tree of 20,000 names that a delta makes of the one before."""
    made, trees = large_directories(300, grow=False)
    return history_of(world, made, trees, list(range(len(trees))))


@FAMILY.case
def history_of_growing_directories(world: World) -> Upload:
    """300 commits, each with one name more, which 20,000 others may be equal to."""
    made, trees = large_directories(300, grow=True)
    return history_of(world, made, trees, list(range(len(trees))))


@FAMILY.case
def history_of_shuffled_directories(world: World) -> Upload:
    """300 trees of 20,000 names in a history, each a delta on one from elsewhere in it."""
    made, trees = large_directories(300, grow=False)
    order = list(range(len(trees)))
    rng("history-of-shuffled-directories").shuffle(order)
    return history_of(world, made, trees, order)


def tree_delta(base: bytes, target: bytes) -> bytes:
    """A tree made of another: both ends are copied, what lies between is given."""
    start = common(base, target)
    end = min(common(base[::-1], target[::-1]), min(len(base), len(target)) - start)
    return delta(
        len(base),
        len(target),
        *big_copies(0, start),
        insert(target[start : len(target) - end]),
        *big_copies(len(base) - end, len(base)),
    )


def common(one: bytes, other: bytes) -> int:
    """How many bytes are equal at the start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def big_copies(start: int, end: int) -> list[bytes]:
    return [copy(at, min(COPY, end - at)) for at in range(start, end, COPY)]


@FAMILY.case
def empty_deflate_blocks(world: World) -> Upload:
    """32 MiB of deflate blocks without content in front of five bytes."""
    pack = Pack()
    pack.raw(
        size_header(BLOB, 5)
        + b"\x78\x01"
        + b"\0\0\0\xff\xff" * (32 * MIB // 5)
        + stored(b"abcde")[2:]
    )
    return upload(world, pack)


@FAMILY.case
def line_of_100000_commits(world: World) -> Upload:
    """As many commits as a file may have, and the last one is not of this workspace."""
    pack, tip = Pack(), world.head
    tree = world.trees[-1]
    for step in range(99_000):
        raw = encode_commit(tree, tip, world.next_number + step)
        pack.raw(size_header(COMMIT, len(raw)) + stored(raw))
        tip = oid_of(COMMIT, raw)
    raw = encode_commit(tree, tip, 10**6, trailers={"Bundle-Workspace": "other"})
    pack.add(COMMIT, raw)
    return Upload(header(oid_of(COMMIT, raw), world.head) + pack.encode(), tree.hex())


@FAMILY.case
def findings_of_eight_mib(world: World) -> Upload:
    """Files that are nothing but what looks like secrets."""
    line = b'password = "Zx9mQ2rT7vLp4KsW8nBc"\n'
    return world.next(files={f"prompts/p{i}.md": line * 20_000 + b"%d" % i for i in range(8)})


@FAMILY.case
def noise_of_200_mib(world: World) -> Upload:
    """No bomb but a flood: 25 files of nearly 8 MiB that do not compress, needed by nothing."""
    noise, pack = rng("noise"), Pack()
    for _ in range(25):
        pack.add(BLOB, noise.randbytes(EIGHT - 64), level=0)
    return upload(world, pack)


@FAMILY.case
def text_of_60_mib(world: World) -> Upload:
    """Sixty large prompts, each well-formed, and one file that no bundle may have."""
    prompts = {f"prompts/p{i:03d}.md": b"%03d\n" % i + b"word " * 200_000 for i in range(60)}
    return world.next(files={**prompts, "hooks/x.sh": b"x\n"})


@FAMILY.case
def text_of_50000_files(world: World) -> Upload:
    """As many files as a bundle may have, and one of them where none may be."""
    prompts = {f"prompts/d{i // 5000}/p{i}.md": b"%d\n" % i for i in range(49_900)}
    return world.next(files={**prompts, "hooks/x.sh": b"x\n"})
