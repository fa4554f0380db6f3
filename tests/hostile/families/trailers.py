"""Trailers: missing, double, contradicting, unknown, hidden, with values out of range."""

from functools import partial

from builder import TRAILERS, Family, Upload, World

from families.graph import swap_commit

FAMILY = Family("trailers")

for _key in TRAILERS:
    FAMILY.put(
        f"without-{_key.lower()}",
        lambda world, key=_key: world.next(trailers={key: None}),
    )

VALUES = {
    "schema-unknown": {"Bundle-Schema": "2"},
    "schema-zero": {"Bundle-Schema": "0"},
    "schema-padded": {"Bundle-Schema": "01"},
    "schema-empty": {"Bundle-Schema": ""},
    "revision-zero": {"Bundle-Revision": "0"},
    "revision-negative": {"Bundle-Revision": "-4"},
    "revision-padded": {"Bundle-Revision": "04"},
    "revision-signed": {"Bundle-Revision": "+4"},
    "revision-in-hex": {"Bundle-Revision": "0x4"},
    "revision-with-underscores": {"Bundle-Revision": "1_0"},
    "revision-of-other-digits": {"Bundle-Revision": "\u0664"},
    "revision-beyond-53-bits": {"Bundle-Revision": str(2**53)},
    "revision-of-5000-digits": {"Bundle-Revision": "9" * 5000},
    "workspace-with-traversal": {"Bundle-Workspace": "../team"},
    "workspace-in-capitals": {"Bundle-Workspace": "TEAM"},
    "workspace-empty": {"Bundle-Workspace": ""},
    "workspace-with-a-space-behind": {"Bundle-Workspace": "team "},
    "source-kind-unknown": {"Source-Kind": "ftp"},
    "source-kind-in-capitals": {"Source-Kind": "Directory"},
    "source-uri-with-control-characters": {"Source-Uri": "a\x07b"},
    "source-uri-of-600-characters": {"Source-Uri": "u" * 600},
    "source-uri-with-a-c1-control": {"Source-Uri": "a\x9b31mb"},
    "source-uri-with-a-line-separator": {"Source-Uri": "a\u2028Bundle-Revision: 9"},
    "source-revision-with-bidi": {"Source-Revision": "\u2066main"},
    "built-with-tag-characters": {"Built-With": "tool \U000e0041\U000e0042"},
    "built-with-a-byte-order-mark": {"Built-With": "tool\ufeff 1"},
    "source-dirty-yes": {"Source-Dirty": "yes"},
    "source-dirty-in-capitals": {"Source-Dirty": "True"},
    "published-by-another": {"Published-By": "Eve <eve@example.org>"},
    "built-with-empty": {"Built-With": ""},
    "channel": {"Bundle-Channel": "stable"},
    "sequence": {"Bundle-Sequence": "7"},
    "unknown-trailer": {"Bundle-Payload": "anything"},
    "foreign-trailer": {"Signed-off-by": "Eve <eve@example.org>"},
    "trailer-in-lower-case": {"Bundle-Revision": None, "bundle-revision": "4"},
}
for _name, _values in VALUES.items():
    FAMILY.put(
        _name,
        lambda world, values=_values: world.next(
            trailers={"Bundle-Revision": str(world.next_number), **values}
        ),
    )

EXTRAS = {
    "revision-twice": "Bundle-Revision: 4\n",
    "revision-contradicted": "Bundle-Revision: 5\n",
    "workspace-contradicted": "Bundle-Workspace: other\n",
    "schema-contradicted": "Bundle-Schema: 2\n",
    "text-behind": "And some prose.\n",
    "second-block": "\nBundle-Revision: 5\n",
    "continuation": " and more of it\n",
    "comment-behind": "# a comment\n",
}
for _name, _extra in EXTRAS.items():
    FAMILY.put(_name, lambda world, extra=_extra: world.next(extra=extra))

MESSAGES = {
    "revision-in-the-message": "A change\n\nBundle-Revision: 5",
    "workspace-in-the-message": "Bundle-Workspace: other",
    "published-by-in-the-message": "A change\npublished-by : Eve",
    "source-in-the-message": "A change\n\nSource-Uri: elsewhere",
}
for _name, _message in MESSAGES.items():
    FAMILY.put(_name, lambda world, message=_message: world.next(message=message))

PATCHES = {
    "no-space-behind-the-colon": lambda raw: raw.replace(b"Bundle-Revision: ", b"Bundle-Revision:"),
    "two-spaces-behind-the-colon": lambda raw: raw.replace(
        b"Bundle-Revision: ", b"Bundle-Revision:  "
    ),
    "space-before-the-colon": lambda raw: raw.replace(b"Bundle-Revision:", b"Bundle-Revision :"),
    "equals-for-a-colon": lambda raw: raw.replace(b"Bundle-Revision: ", b"Bundle-Revision= "),
    "other-order": lambda raw: raw.replace(b"Bundle-Schema: 1\n", b"") + b"Bundle-Schema: 1\n",
    "no-blank-line-before": lambda raw: raw.replace(b"\n\nBundle-Schema", b"\nBundle-Schema"),
    "two-blank-lines-before": lambda raw: raw.replace(b"\n\nBundle-Schema", b"\n\n\nBundle-Schema"),
    "only-trailers": lambda raw: raw.replace(b"A change\n\n", b""),
    "tab-for-a-space": lambda raw: raw.replace(b"Bundle-Revision: ", b"Bundle-Revision:\t"),
    "crlf": lambda raw: raw.replace(b"Bundle-Schema: 1\n", b"Bundle-Schema: 1\r\n"),
}


def patched(change, world: World) -> Upload:
    def changed(raw: bytes) -> bytes:
        made = change(raw)
        assert made != raw
        return made

    return swap_commit(world, changed)


for _name, _change in PATCHES.items():
    FAMILY.put(_name, partial(patched, _change))
