"""The bundle file around the pack: header lines, versions, capabilities, truncation."""

from functools import partial

from builder import SHA256, SIGNATURE, Family, Pack, Upload, World, header, ref_line

FAMILY = Family("container")
BOUNDARIES = {
    "nothing": lambda raw, pack: 0,
    "in-the-signature": lambda raw, pack: 8,
    "after-the-signature": lambda raw, pack: len(SIGNATURE),
    "in-the-capability": lambda raw, pack: len(SIGNATURE) + 9,
    "after-the-capability": lambda raw, pack: len(SIGNATURE + SHA256),
    "in-the-prerequisite": lambda raw, pack: len(SIGNATURE + SHA256) + 20,
    "after-the-prerequisite": lambda raw, pack: len(SIGNATURE + SHA256) + 66,
    "in-the-ref": lambda raw, pack: pack - 10,
    "before-the-empty-line": lambda raw, pack: pack - 1,
    "before-the-pack": lambda raw, pack: pack,
    "in-the-pack-header": lambda raw, pack: pack + 6,
    "after-the-pack-header": lambda raw, pack: pack + 12,
    "in-the-first-object": lambda raw, pack: pack + 20,
    "before-the-checksum": lambda raw, pack: len(raw) - 32,
    "in-the-checksum": lambda raw, pack: len(raw) - 16,
    "last-byte": lambda raw, pack: len(raw) - 1,
}


def truncated(at, world: World) -> bytes:
    raw = world.next().raw
    return raw[: at(raw, raw.index(b"PACK"))]


for _name, _at in BOUNDARIES.items():
    FAMILY.put(f"truncated-{_name}", partial(truncated, _at))


def replaced(old: bytes, new: bytes, world: World) -> Upload:
    """The honest file with something else in its header."""
    upload = world.next()
    assert old in upload.raw
    return Upload(upload.raw.replace(old, new, 1), upload.digest)


SWAPS = {
    "version-2": (SIGNATURE, b"# v2 git bundle\n"),
    "version-4": (SIGNATURE, b"# v4 git bundle\n"),
    "signature-with-crlf": (SIGNATURE, SIGNATURE[:-1] + b"\r\n"),
    "signature-with-a-byte-order-mark": (SIGNATURE, b"\xef\xbb\xbf" + SIGNATURE),
    "signature-in-capitals": (SIGNATURE, SIGNATURE.upper()),
    "sha1": (SHA256, b"@object-format=sha1\n"),
    "no-object-format": (SHA256, b""),
    "object-format-twice": (SHA256, SHA256 + SHA256),
    "object-format-in-capitals": (SHA256, b"@object-format=SHA256\n"),
    "object-format-with-a-space": (SHA256, b"@object-format=sha256 \n"),
    "unknown-capability": (SHA256, SHA256 + b"@frobnicate\n"),
    "filter": (SHA256, SHA256 + b"@filter=blob:none\n"),
    "empty-capability": (SHA256, SHA256 + b"@\n"),
    "capability-with-control-characters": (SHA256, SHA256 + b"@\x1b[2J\x00\n"),
}
for _name, (_old, _new) in SWAPS.items():
    FAMILY.put(_name, partial(replaced, _old, _new))


@FAMILY.case
def not_a_bundle(world: World) -> bytes:
    return b"PK\x03\x04 this is an archive of another kind"


@FAMILY.case
def only_a_pack(world: World) -> bytes:
    raw = world.next().raw
    return raw[raw.index(b"PACK") :]


@FAMILY.case
def capability_after_the_ref(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: header(tip, base)[:-1] + SHA256 + b"\n",
    )


@FAMILY.case
def capability_after_a_prerequisite(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: header(tip, base, caps=b"").replace(
            b"\n" + tip.hex().encode(), b"\n" + SHA256 + tip.hex().encode()
        ),
    )


@FAMILY.case
def prerequisite_after_the_ref(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: (
            SIGNATURE + SHA256 + ref_line(tip) + b"-" + base.hex().encode() + b"\n\n"
        ),
    )


@FAMILY.case
def header_without_an_end(world: World) -> Upload:
    return world.next(header_of=lambda tip, base: header(tip, base)[:-1])


@FAMILY.case
def trailing_bytes(world: World) -> Upload:
    upload = world.next()
    return Upload(upload.raw + b"\0" * 7, upload.digest)


@FAMILY.case
def trailing_checksum(world: World) -> Upload:
    """The last 32 bytes are the right checksum, of a pack with the first one as its tail."""
    upload = world.next()
    return Upload(upload.raw + upload.raw[-32:], upload.digest)


@FAMILY.case
def trailing_pack(world: World) -> Upload:
    upload = world.next()
    return Upload(upload.raw + Pack().encode(), upload.digest)


@FAMILY.case
def two_bundles(world: World) -> Upload:
    upload = world.next()
    return Upload(upload.raw + upload.raw, upload.digest)


@FAMILY.case
def capability_line_of_10_kib(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: header(tip, base, caps=SHA256 + b"@x=" + b"y" * 10_240 + b"\n")
    )


@FAMILY.case
def capability_line_of_one_mib(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: header(tip, base, caps=SHA256 + b"@" + b"y" * 2**20 + b"\n")
    )


@FAMILY.case
def ref_line_of_10_kib(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: header(tip, base)[:-2] + b"/" + b"r" * 10_240 + b"\n\n"
    )


@FAMILY.case
def prerequisite_line_of_10_kib(world: World) -> Upload:
    def long_comment(tip: bytes, base: bytes) -> bytes:
        return header(tip, base).replace(
            base.hex().encode(), base.hex().encode() + b" " + b"c" * 10_240
        )

    return world.next(header_of=long_comment)


@FAMILY.case
def header_of_128_kib(world: World) -> Upload:
    """More prerequisites than a header may hold; git wants to have each of them."""
    return world.next(
        header_of=lambda tip, base: header(tip, base, *[b"%032d" % i for i in range(2000)])
    )


@FAMILY.case
def pack_version_3(world: World) -> Upload:
    return world.next(pack={"version": 3})


@FAMILY.case
def pack_version_4(world: World) -> Upload:
    return world.next(pack={"version": 4})


@FAMILY.case
def no_pack_but_text(world: World) -> Upload:
    upload = world.next()
    return Upload(upload.raw.replace(b"PACK", b"KCAP", 1), upload.digest)
