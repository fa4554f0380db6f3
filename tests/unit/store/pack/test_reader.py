"""The one-pass pack reader: every byte accounted for."""

import io
import zlib

import pytest
from store_factories import Forge, copy_delta

from yoi_bundles.errors import MalformedBundleError, MissingObjectError, TooLargeError
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store.pack import reader as packreader
from yoi_bundles.store.pack.reader import ReceivedPack
from yoi_bundles.store.pack.writer import PackWriter, encode_entry_header
from yoi_bundles.store.tree.objects import Kind, hash_object

BLOB = b"hello world, hello pack"


def read(pack, limits=DEFAULT_LIMITS, held=None):
    return ReceivedPack(memoryview(pack), limits, (held or {}).get)


def entry(kind, data, size=None):
    return encode_entry_header(kind, len(data) if size is None else size) + zlib.compress(data)


def test_whole_objects_are_hashed_and_can_be_read_again():
    forge = Forge()
    ids = [forge.add(Kind.BLOB, data) for data in (BLOB, b"", b"x" * 5000)]
    pack = read(forge.pack())
    assert list(pack.objects) == ids
    assert [pack.read(oid) for oid in ids] == [BLOB, b"", b"x" * 5000]
    assert pack.inflated_bytes == len(BLOB) + 5000
    assert [e.crc32 for e in pack.entries] == [zlib.crc32(e) for e in forge.entries]


def test_an_empty_pack_is_a_pack():
    assert read(Forge().pack()).objects == {}


def test_deltas_are_resolved_whichever_way_their_base_is_named():
    forge = Forge()
    base = forge.add(Kind.BLOB, BLOB)
    first = forge.ofs_delta(12, copy_delta(BLOB, b"!"))
    forge.ref_delta(base, copy_delta(BLOB, b"?"))
    forge.ofs_delta(first, copy_delta(BLOB + b"!", b"!"))
    pack = read(forge.pack())
    made = {pack.read(oid) for oid in pack.objects}
    assert made == {BLOB, BLOB + b"!", BLOB + b"?", BLOB + b"!!"}
    assert sorted(p.depth for p in pack.objects.values()) == [0, 1, 1, 2]


def test_a_delta_may_come_before_its_base():
    forge = Forge()
    first = forge.ref_delta(hash_object(Kind.BLOB, BLOB), copy_delta(BLOB, b"!"))
    forge.ofs_delta(first, copy_delta(BLOB + b"!", b"!"))
    forge.add(Kind.BLOB, BLOB)
    pack = read(forge.pack())
    assert {pack.read(oid) for oid in pack.objects} == {BLOB, BLOB + b"!", BLOB + b"!!"}


def held_blob():
    return {hash_object(Kind.BLOB, BLOB): (Kind.BLOB, BLOB)}


def test_a_base_outside_the_pack_is_found_and_noted():
    (base,) = held_blob()
    forge = Forge()
    forge.ref_delta(hash_object(Kind.BLOB, BLOB + b"!"), copy_delta(BLOB + b"!", b"!"))
    forge.ref_delta(base, copy_delta(BLOB, b"!"))
    pack = read(forge.pack(), held=held_blob())
    assert {pack.read(oid) for oid in pack.objects} == {BLOB + b"!", BLOB + b"!!"}
    assert pack.external_bases == {base: Kind.BLOB}


def test_what_no_longer_fits_in_memory_is_inflated_again(monkeypatch):
    monkeypatch.setattr(packreader, "_KEPT_BYTES", 64)
    monkeypatch.setattr(packreader, "_KEPT_DELTA_BYTES", 8)
    (base,) = held_blob()
    forge = Forge()
    root = forge.add(Kind.BLOB, b"root" * 8)
    child = forge.ofs_delta(12, copy_delta(b"root" * 8, b"child"))
    forge.ofs_delta(child, copy_delta(b"root" * 8 + b"child", b"grandchild"))
    outside = forge.ref_delta(base, copy_delta(BLOB, b"!"))
    forge.ofs_delta(outside, copy_delta(BLOB + b"!", b"!"))
    pack = read(forge.pack(), held=held_blob())
    for oid, packed in pack.objects.items():
        assert hash_object(packed.kind, pack.read(oid)) == oid
    assert pack.read(root) == b"root" * 8
    assert len(pack.objects) == 5


def test_inflating_again_counts_as_work(monkeypatch):
    monkeypatch.setattr(packreader, "_KEPT_BYTES", 0)
    forge = Forge()
    oid = forge.add(Kind.BLOB, BLOB * 10)
    pack = read(forge.pack(), Limits(inflated_bytes=len(BLOB) * 25))
    pack.read(oid)
    with pytest.raises(TooLargeError) as caught:
        pack.read(oid)
    assert caught.value.facts["limit_name"] == "inflated_bytes"


def test_a_missing_base_is_named():
    forge = Forge()
    forge.ref_delta(b"\x11" * 32, copy_delta(BLOB, b"!"))
    with pytest.raises(MissingObjectError) as caught:
        read(forge.pack())
    assert caught.value.facts["object"] == "11" * 32


def test_deltas_that_need_each_other_are_refused():
    forge = Forge()
    forge.ref_delta(hash_object(Kind.BLOB, BLOB + b"!"), copy_delta(BLOB + b"!", b"?"))
    forge.ref_delta(hash_object(Kind.BLOB, BLOB + b"!?"), copy_delta(BLOB + b"!?", b"?"))
    with pytest.raises(MissingObjectError) as caught:
        read(forge.pack())
    assert caught.value.code == "missing_object"


def forged(*raws, count=None, tail=b""):
    forge = Forge()
    for raw in raws:
        forge.raw(raw)
    return forge.pack(count=count, tail=tail)


GOOD = forged(entry(3, BLOB))


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        b"PACK",
        GOOD[:-1],
        GOOD[:-1] + b"\0",
        GOOD + b"x",
        b"JUNK" + GOOD[4:],
        GOOD[:7] + b"\x03" + GOOD[8:],
        forged(entry(3, BLOB), count=0),
        forged(entry(3, BLOB), count=2),
        forged(entry(3, BLOB), count=3),
        forged(entry(3, BLOB), tail=b"trailing bytes"),
        forged(entry(3, BLOB), entry(3, BLOB)),
        forged(entry(4, b"tag")),
        forged(entry(0, b"")),
        forged(entry(5, b"")),
        forged(entry(3, BLOB, size=len(BLOB) - 1)),
        forged(entry(3, BLOB, size=len(BLOB) + 1)),
        forged(entry(3, b"", size=1)),
        forged(b"\x30" + b"\0" * 12),
        forged(b"\xb0\x00" + zlib.compress(b"")),
        forged(b"\xb0" + b"\x80" * 8 + b"\x01" + zlib.compress(b"")),
        forged(b"\xbf" * 12),
        forged(b"\x31" + zlib.compress(b"x")[:-1] + b"\0"),
        forged(b"\x31" + zlib.compress(b"x" * 99)[:9]),
        forged(entry(3, BLOB), b"\x61\x00" + zlib.compress(b"x")),
        forged(entry(3, BLOB), b"\x61\x05" + zlib.compress(b"x")),
        forged(entry(3, BLOB), b"\x61\xff\xff\xff\x7f" + zlib.compress(b"x")),
        forged(entry(3, BLOB), b"\x61" + b"\xff" * 9),
    ],
)
def test_any_deviation_from_the_format_is_malformed(pack):
    with pytest.raises((MalformedBundleError, zlib.error)) as caught:
        read(pack)
    assert not isinstance(caught.value, MalformedBundleError) or caught.value.code


def padded_stream(data):
    packer = zlib.compressobj()
    out = b"".join(
        packer.compress(data[i : i + 1]) + packer.flush(zlib.Z_FULL_FLUSH) for i in range(len(data))
    )
    return out + packer.flush()


def test_a_stream_of_many_small_blocks_is_still_read():
    data = bytes(range(60))
    stream = padded_stream(data)
    assert len(stream) > 300
    pack = read(forged(encode_entry_header(3, 60) + stream, entry(3, BLOB)))
    assert hash_object(Kind.BLOB, data) in pack.objects


@pytest.mark.parametrize("size", [4, 39, 41, 400])
def test_a_long_stream_of_another_size_is_malformed(size):
    raw = encode_entry_header(3, size) + padded_stream(b"x" * 40)
    with pytest.raises(MalformedBundleError):
        read(forged(raw))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(objects=1), "objects"),
        (Limits(object_bytes=10), "object_bytes"),
        (Limits(inflated_bytes=30), "inflated_bytes"),
        (Limits(inflate_ratio=0), "inflate_ratio"),
    ],
)
def test_every_bound_is_named_when_it_is_passed(limits, name):
    with pytest.raises(TooLargeError) as caught:
        read(forged(entry(3, BLOB), entry(3, BLOB + b"2")), limits)
    assert caught.value.facts["limit_name"] == name
    assert caught.value.code == "too_large"


def test_a_declared_size_is_refused_before_it_is_inflated():
    with pytest.raises(TooLargeError) as caught:
        read(forged(entry(3, BLOB, size=1 << 40)))
    assert caught.value.facts["limit_name"] == "object_bytes"


@pytest.mark.parametrize("is_backwards", [True, False])
def test_chains_of_deltas_are_bounded(is_backwards):
    links = [copy_delta(b"x" * i, b"y") for i in range(1, 6)]
    contents = [b"x"]
    for i in range(1, 6):
        links[i - 1] = copy_delta(contents[-1], b"y")
        contents.append(contents[-1] + b"y")
    forge = Forge()
    rows = [(hash_object(Kind.BLOB, contents[i]), links[i]) for i in range(5)]
    if not is_backwards:
        forge.add(Kind.BLOB, contents[0])
    for base, link in reversed(rows) if is_backwards else rows:
        forge.ref_delta(base, link)
    if is_backwards:
        forge.add(Kind.BLOB, contents[0])
    assert len(read(forge.pack(), Limits(delta_depth=5)).objects) == 6
    with pytest.raises(TooLargeError) as caught:
        read(forge.pack(), Limits(delta_depth=4))
    assert caught.value.facts["limit_name"] == "delta_depth"


def test_a_delta_bomb_is_refused_even_while_it_waits():
    bomb = b"\x17" + b"\x80\x80\x80\x80\x04" + b"\x90\x17"
    for base in (b"\x11" * 32, hash_object(Kind.BLOB, BLOB)):
        forge = Forge()
        forge.add(Kind.BLOB, BLOB)
        forge.ref_delta(base, bomb)
        with pytest.raises(TooLargeError):
            read(forge.pack())


def test_what_the_writer_writes_the_reader_reads():
    out = io.BytesIO()
    pack = PackWriter(out, 3)
    one, two, three = BLOB * 200, BLOB * 200 + b"!", BLOB + b"!"
    offset = pack.add(hash_object(3, one), 3, one)
    delta = b"\xf8\x23\xf9\x23" + b"\xb0\xf8\x11" + b"\x01!"
    pack.add_ofs_delta(hash_object(3, two), offset, delta)
    pack.add_ref_delta(hash_object(3, three), hash_object(3, BLOB), copy_delta(BLOB, b"!"))
    pack.finish()
    found = read(out.getvalue(), held=held_blob())
    assert found.entries == pack.entries
    assert {found.read(oid) for oid in found.objects} == {one, two, three}


def test_a_writer_that_was_promised_more_objects_does_not_finish():
    with pytest.raises(ValueError, match="announced"):
        PackWriter(io.BytesIO(), 1).finish()


def test_a_base_of_many_stays_in_memory_however_old_it_is(monkeypatch):
    monkeypatch.setattr(packreader, "_KEPT_BYTES", 2000)
    forge = Forge()
    base = b"base" * 30
    forge.add(Kind.BLOB, base)
    for number in range(40):
        forge.add(Kind.BLOB, bytes([number]) * 100)
        forge.ofs_delta(12, copy_delta(base, b"%03d" % number))
    # 17,040 if the base is inflated once; 1,560 more if it is forgotten and inflated again.
    pack = read(forge.pack(), Limits(inflated_bytes=17_500))
    assert len(pack.objects) == 81


def test_what_is_read_in_the_order_of_the_pack_is_inflated_once_more(monkeypatch):
    monkeypatch.setattr(packreader, "_KEPT_BYTES", 1600)
    forge = Forge()
    data = b"x" * 40
    forge.add(Kind.BLOB, data)
    at = 12
    for number in range(40):
        delta = copy_delta(data, b"%d" % (number % 10))
        data += b"%d" % (number % 10)
        at = forge.ofs_delta(at, delta)
    # The pass over the pack takes 8,460.
    limits = Limits(inflated_bytes=2 * 8460)
    pack = read(forge.pack(), limits)
    assert not pack.is_kept
    for oid in sorted(pack.objects, key=pack.place_of):
        assert hash_object(Kind.BLOB, pack.read(oid)) == oid

    other = read(forge.pack(), limits)
    backwards = sorted(other.objects, key=other.place_of, reverse=True)
    with pytest.raises(TooLargeError):
        list(map(other.read, backwards))
    assert pack.place_of(b"\x00" * 32) == -1
