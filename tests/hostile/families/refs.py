"""The one ref: its namespace, its name, how many there are, what it names."""

from functools import partial

from builder import SHA256, SIGNATURE, Family, Upload, World, ref_line

FAMILY = Family("refs")


def named(name: bytes, world: World) -> Upload:
    def header_of(tip: bytes, base: bytes) -> bytes:
        known = b"-" + base.hex().encode() + b"\n"
        return SIGNATURE + SHA256 + known + ref_line(tip, name) + b"\n"

    return world.next(header_of=header_of)


NAMES = {
    "another-branch": b"refs/heads/other",
    "channel": b"refs/heads/channels/stable",
    "bundle-mark": b"refs/bundles/" + b"ab" * 32,
    "tag": b"refs/tags/v1",
    "head": b"HEAD",
    "bare-name": b"main",
    "note": b"refs/notes/commits",
    "replacement": b"refs/replace/" + b"ab" * 32,
    "traversal": b"refs/heads/../../config",
    "traversal-at-the-end": b"refs/heads/main/..",
    "absolute": b"/etc/passwd",
    "double-slash": b"refs/heads//main",
    "slash-at-the-end": b"refs/heads/main/",
    "lock": b"refs/heads/main.lock",
    "capitals": b"refs/heads/MAIN",
    "at-brace": b"refs/heads/main@{0}",
    "caret": b"refs/heads/main^",
    "glob": b"refs/heads/*",
    "backslash": b"refs\\heads\\main",
    "control-character": b"refs/heads/ma\x07in",
    "escape-sequence": b"refs/heads/\x1b]0;owned\x07",
    "nul": b"refs/heads/main\0evil",
    "carriage-return": b"refs/heads/main\r",
    "delete": b"refs/heads/main\x7f",
    "space-at-the-end": b"refs/heads/main ",
    "look-alike": "refs/heads/m\u0430in".encode(),
    "not-utf8": b"refs/heads/\xff\xfe",
    "empty": b"",
    "option": b"--upload-pack=evil",
    "300-bytes": b"refs/heads/" + b"m" * 300,
}
for _name, _ref in NAMES.items():
    FAMILY.put(_name, partial(named, _ref))


@FAMILY.case
def no_ref(world: World) -> Upload:
    return world.next(
        header_of=lambda tip, base: SIGNATURE + SHA256 + b"-" + base.hex().encode() + b"\n\n"
    )


def with_refs(make, world: World) -> Upload:
    def header_of(tip: bytes, base: bytes) -> bytes:
        known = b"-" + base.hex().encode() + b"\n"
        return SIGNATURE + SHA256 + known + make(tip, base) + b"\n"

    return world.next(header_of=header_of)


SETS = {
    "two-refs": lambda tip, base: ref_line(tip) + ref_line(tip, b"refs/heads/other"),
    "same-ref-twice": lambda tip, base: ref_line(tip) * 2,
    "same-ref-with-two-tips": lambda tip, base: ref_line(tip) + ref_line(base),
    "with-head": lambda tip, base: ref_line(tip, b"HEAD") + ref_line(tip),
    "a-thousand-refs": lambda tip, base: b"".join(
        ref_line(tip, b"refs/heads/b%d" % i) for i in range(500)
    ),
    "zero-id": lambda tip, base: ref_line(b"\0" * 32),
    "short-id": lambda tip, base: ref_line(tip[:20]),
    "long-id": lambda tip, base: ref_line(tip + tip[:4]),
    "id-in-capitals": lambda tip, base: tip.hex().upper().encode() + b" refs/heads/main\n",
    "id-not-hex": lambda tip, base: b"g" * 64 + b" refs/heads/main\n",
    "tab-behind-the-id": lambda tip, base: tip.hex().encode() + b"\trefs/heads/main\n",
    "no-name": lambda tip, base: tip.hex().encode() + b"\n",
}
for _name, _make in SETS.items():
    FAMILY.put(_name, partial(with_refs, _make))
