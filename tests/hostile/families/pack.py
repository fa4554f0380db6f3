"""The pack's frame and entries: counts, checksum, hidden objects, size encodings, zlib streams."""

import struct
import zlib
from functools import partial

from builder import (
    BLOB,
    COMMIT,
    TAG,
    Family,
    Objects,
    Pack,
    Upload,
    World,
    encode_commit,
    header,
    oid_of,
    size_header,
)

FAMILY = Family("pack")
NEW = b"New.\n"


def count_off(by: int, world: World) -> Upload:
    objects = len(_next_pack(world).entries)
    return world.next(pack={"count": objects + by})


def _next_pack(world: World) -> Pack:
    raw = world.next().raw
    pack = Pack()
    at = raw.index(b"PACK")
    pack.entries = [b""] * struct.unpack(">I", raw[at + 8 : at + 12])[0]
    return pack


for _by in (-1, 1, 1000):
    FAMILY.put(f"count-{'less' if _by < 0 else 'more'}-by-{abs(_by)}", partial(count_off, _by))


@FAMILY.case
def count_zero(world: World) -> Upload:
    return world.next(pack={"count": 0})


@FAMILY.case
def count_of_four_milliards(world: World) -> Upload:
    return world.next(pack={"count": 2**32 - 1})


@FAMILY.case
def empty(world: World) -> Upload:
    """No object at all, and a tip that is not held."""
    tip = encode_commit(world.trees[-1], world.head, world.next_number)
    return Upload(header(oid_of(COMMIT, tip), world.head) + Pack().encode())


@FAMILY.case
def checksum_wrong(world: World) -> Upload:
    return world.next(pack={"checksum": b"\0" * 32})


@FAMILY.case
def checksum_of_sha1_length(world: World) -> Upload:
    return world.next(pack={"checksum": b"\0" * 20})


@FAMILY.case
def junk_before_the_checksum(world: World) -> Upload:
    return world.next(pack={"tail": b"hidden"})


@FAMILY.case
def uncounted_object(world: World) -> Upload:
    """A whole object behind the last one that is counted; the checksum covers it."""
    data = b"nobody counts me\n"
    return world.next(pack={"tail": size_header(BLOB, len(data)) + zlib.compress(data)})


@FAMILY.case
def junk_between_objects(world: World) -> Upload:
    def entry(pack: Pack, data: bytes) -> None:
        pack.add(BLOB, data)
        pack.entries[0] += b"\0\0\0"

    return world.with_blob(entry)


@FAMILY.case
def object_twice(world: World) -> Upload:
    def entry(pack: Pack, data: bytes) -> None:
        pack.add(BLOB, data)
        pack.add(BLOB, data, level=0)

    return world.with_blob(entry)


@FAMILY.case
def object_twice_as_delta(world: World) -> Upload:
    def entry(pack: Pack, data: bytes) -> None:
        at = pack.add(BLOB, data)
        pack.ofs(at, bytes([len(data), len(data), 0x90, len(data)]))

    return world.with_blob(entry)


@FAMILY.case
def object_that_is_held(world: World) -> Upload:
    """Sent again although nothing new names it: the newest tree leaves it out."""
    gone = world.files["prompts/style.md"]
    return world.next(files={"prompts/style.md": None}, more=[(BLOB, gone)])


@FAMILY.case
def stowaway_blob(world: World) -> Upload:
    return world.next(more=[(BLOB, b"nobody asked for me\n")])


@FAMILY.case
def stowaway_tree(world: World) -> Upload:
    made = Objects()
    made.tree(made.file(b"payload", b"nobody asked for me\n"))
    return world.next(more=made.made.values())


@FAMILY.case
def stowaway_commit(world: World) -> Upload:
    raw = encode_commit(world.trees[-1], world.head, 77)
    return world.next(more=[(COMMIT, raw)])


@FAMILY.case
def stowaway_tag(world: World) -> Upload:
    tag = b"object %s\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx\n"
    return world.next(more=[(TAG, tag % world.head.hex().encode())])


def raw_entry(make, world: World) -> Upload:
    return world.with_blob(lambda pack, data: pack.raw(make(data)) and None, NEW)


def with_dictionary(data: bytes) -> bytes:
    """A stream that inflates only with a dictionary that nobody sent."""
    packer = zlib.compressobj(zdict=b"New.\n")
    return size_header(BLOB, len(data)) + packer.compress(data) + packer.flush()


def bad_checksum(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return size_header(BLOB, len(data)) + packed[:-4] + b"\0\0\0\0"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return size_header(BLOB, len(data)) + packer.compress(data) + packer.flush()


def gzip_stream(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return size_header(BLOB, len(data)) + packer.compress(data) + packer.flush()


def unfinished(data: bytes) -> bytes:
    packer = zlib.compressobj()
    return size_header(BLOB, len(data)) + packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def empty_blocks(data: bytes) -> bytes:
    """Ten thousand empty deflate blocks before the end: bytes that mean nothing."""
    packer = zlib.compressobj()
    body = packer.compress(data)
    body += b"".join(packer.flush(zlib.Z_FULL_FLUSH) for _ in range(10_000)) + packer.flush()
    end = body.rindex(body[-6:])
    return size_header(BLOB, len(data)) + body[:end] + b"\0\0\0\xff\xff" * 10_000 + body[end:]


ENTRIES = {
    "size-overlong-by-one": lambda data: size_header(BLOB, len(data), pad=1) + zlib.compress(data),
    "size-overlong-by-nine": lambda data: size_header(BLOB, len(data), pad=9) + zlib.compress(data),
    "size-of-200-bits": lambda data: b"\xb5" + b"\xff" * 28 + b"\x01" + zlib.compress(data),
    "size-of-4-tib": lambda data: size_header(BLOB, 2**42) + zlib.compress(data),
    "size-of-2-gib": lambda data: size_header(BLOB, 2**31) + zlib.compress(data),
    "size-too-small": lambda data: size_header(BLOB, len(data) - 1) + zlib.compress(data),
    "size-too-large": lambda data: size_header(BLOB, len(data) + 1) + zlib.compress(data),
    "size-zero": lambda data: size_header(BLOB, 0) + zlib.compress(data),
    "type-0": lambda data: size_header(0, len(data)) + zlib.compress(data),
    "type-5": lambda data: size_header(5, len(data)) + zlib.compress(data),
    "type-tag": lambda data: size_header(TAG, len(data)) + zlib.compress(data),
    "type-of-another": lambda data: size_header(COMMIT, len(data)) + zlib.compress(data),
    "other-bytes": lambda data: size_header(BLOB, len(data)) + zlib.compress(b"Evil\n"),
    "preset-dictionary": with_dictionary,
    "adler-wrong": bad_checksum,
    "raw-deflate": raw_deflate,
    "gzip": gzip_stream,
    "stream-without-end": unfinished,
    "not-zlib": lambda data: size_header(BLOB, len(data)) + b"\0" * 12,
    "no-stream": lambda data: size_header(BLOB, len(data)),
}
for _name, _make in ENTRIES.items():
    FAMILY.put(_name, partial(raw_entry, _make))


@FAMILY.case
def pack_in_a_pack(world: World) -> Upload:
    """The uncounted rest is a pack of its own with a right checksum."""
    raw = world.next().raw
    return world.next(pack={"tail": raw[raw.index(b"PACK") :]})
