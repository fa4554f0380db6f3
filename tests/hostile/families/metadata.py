"""Headers of commits: any but the canonical ones, and values that two readers read differently."""

from functools import partial

from builder import COMMIT, PERSON, Family, Objects, Pack, Upload, World, encode_commit, header

from families.graph import swap_commit

FAMILY = Family("metadata")
ARMOUR = b"-----BEGIN SSH SIGNATURE-----\n U1NIU0lHAAAAAQ==\n -----END SSH SIGNATURE-----"

HEADERS = {
    "encoding": [b"encoding ISO-8859-1"],
    "mergetag": [b"mergetag object " + b"ab" * 32],
    "unknown-header": [b"x-payload anything"],
    "gpgsig-of-sha1": [b"gpgsig " + ARMOUR],
    "gpgsig-sha256-twice": [b"gpgsig-sha256 " + ARMOUR] * 2,
    "gpgsig-and-gpgsig-sha256": [b"gpgsig " + ARMOUR, b"gpgsig-sha256 " + ARMOUR],
    "gpgsigx-smuggled": [b"gpgsigx-payload run this", b"gpgsig-sha256 " + ARMOUR],
    "gpgsig-sha256-with-a-suffix": [b"gpgsig-sha256-more run this"],
    "gpgsig-sha256-empty": [b"gpgsig-sha256 "],
    "header-behind-the-signature": [b"gpgsig-sha256 " + ARMOUR, b"x-unsigned anything"],
    "second-author": [b"author Eve <eve@example.org> 1 +0000"],
    "second-tree": [b"tree " + b"ab" * 32],
    "continuation-line": [b" more of the committer"],
    "empty-header": [b" "],
    "nul-in-a-header": [b"x-a \0b"],
    "signature-with-nul": [b"gpgsig-sha256 " + ARMOUR.replace(b"U1NI", b"U1\0I")],
    "signature-not-utf8": [b"gpgsig-sha256 " + ARMOUR.replace(b"U1NI", b"\xff\xfe")],
    "signature-with-carriage-returns": [b"gpgsig-sha256 " + ARMOUR.replace(b"\n", b"\r\n")],
    "signature-that-is-prose": [b"gpgsig-sha256 room for anything at all", b" on many lines"],
}
for _name, _lines in HEADERS.items():
    FAMILY.put(_name, lambda world, lines=_lines: world.next(headers=lines))

TIMES = {
    "negative-time": "-1 +0000",
    "padded-time": "01700000000 +0000",
    "time-of-the-year-292-milliards": "9223372036854775807 +0000",
    "time-beyond-64-bits": "99999999999999999999999 +0000",
    "time-of-the-year-10000": "253402300800 +0000",
    "time-in-hex": "0x6553f100 +0000",
    "time-with-a-fraction": "1700000000.5 +0000",
    "time-of-other-digits": "\u0661\u0667\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660 +0000",
    "time-empty": " +0000",
    "zone-of-an-hour": "1700000000 +0100",
    "zone-negative-zero": "1700000000 -0000",
    "zone-absurd": "1700000000 +9999",
    "zone-missing": "1700000000",
    "zone-of-words": "1700000000 UTC",
    "two-spaces-before-the-time": " 1700000000 +0000",
    "bytes-behind-the-zone": "1700000000 +0000 x",
}
for _name, _when in TIMES.items():
    FAMILY.put(_name, lambda world, when=_when: world.next(when=when))

PEOPLE = {
    "person-without-a-mail": "Ada Example",
    "person-with-two-mails": "Ada <a@example.org> <b@example.org>",
    "person-with-an-open-mail": "Ada <ada@example.org",
    "person-with-a-nul": "Ada\0 <ada@example.org>",
    "person-with-an-escape-sequence": "\x1b[31mAda <ada@example.org>",
    "person-with-bidi": "Ada \u202egro.elpmaxe <ada@example.org>",
    "person-empty": " <>",
    "person-of-10-kib": "A" * 10_240 + " <ada@example.org>",
    "person-other-than-the-publisher": "Eve <eve@example.org>",
}
for _name, _person in PEOPLE.items():
    FAMILY.put(_name, lambda world, person=_person: world.next(person=person))


UNSEEN = {
    "publisher-with-bidi": "Ada \u202egro.elpmaxe <ada@example.org>",
    "publisher-with-a-c1-control": "Ada \x9b31m <ada@example.org>",
    "publisher-with-an-isolate": "Ada \u2067 <ada@example.org>",
    "publisher-with-tag-characters": "Ada\U000e0020\U000e0041 <ada@example.org>",
}
for _name, _person in UNSEEN.items():
    FAMILY.put(
        _name,
        lambda world, person=_person: world.next(
            person=person,
            trailers={"Bundle-Revision": str(world.next_number), "Published-By": person},
        ),
    )


def patched(change, world: World) -> Upload:
    return swap_commit(world, change)


PATCHES = {
    "no-author": lambda raw: raw.replace(b"author " + PERSON.encode(), b"authot x", 1),
    "author-missing": lambda raw: raw[: raw.index(b"author")] + raw[raw.index(b"committer") :],
    "committer-missing": lambda raw: raw[: raw.index(b"committer")] + raw[raw.index(b"\n\n") + 1 :],
    "committer-differs": lambda raw: raw.replace(b"committer Ada", b"committer Eve"),
    "committer-before-author": lambda raw: _swap_lines(raw, b"author", b"committer"),
    "parent-before-tree": lambda raw: _swap_lines(raw, b"tree", b"parent"),
    "parent-after-author": lambda raw: _swap_lines(raw, b"parent", b"author"),
    "parent-in-capitals": lambda raw: raw.replace(raw[77:141], raw[77:141].upper(), 1),
    "tree-in-capitals": lambda raw: raw.replace(raw[5:69], raw[5:69].upper(), 1),
    "tree-id-short": lambda raw: raw.replace(raw[5:69], raw[5:45], 1),
    "tree-line-with-a-space": lambda raw: raw.replace(raw[5:69], raw[5:69] + b" ", 1),
    "tree-missing": lambda raw: raw[raw.index(b"parent") :],
    "crlf-headers": lambda raw: raw.replace(b"\n", b"\r\n"),
    "no-body": lambda raw: raw[: raw.index(b"\n\n") + 1],
    "empty": lambda raw: b"",
    "garbage": lambda raw: b"\xff" * 200,
    "nul-in-the-message": lambda raw: raw.replace(b"A change", b"A\0change"),
    "nul-behind-everything": lambda raw: raw + b"\0evil",
    "message-not-utf8": lambda raw: raw.replace(b"A change", b"A ch\xe4nge"),
    "message-with-surrogates": lambda raw: raw.replace(b"A change", b"A \xed\xa0\x80"),
    "message-with-an-escape-sequence": lambda raw: raw.replace(b"A change", b"\x1b[2Jgone"),
    "message-with-a-c1-control": lambda raw: raw.replace(b"A change", "A \x9b2Jchange".encode()),
    "message-with-bidi": lambda raw: raw.replace(b"A change", "A \u202echange".encode()),
    "message-with-tag-characters": lambda raw: raw.replace(
        b"A change", "A change\U000e0041".encode()
    ),
    "message-with-a-byte-order-mark": lambda raw: raw.replace(b"A change", "\ufeffA".encode()),
    "message-with-a-carriage-return": lambda raw: raw.replace(b"A change", b"A\rB"),
    "message-with-spaces-at-line-ends": lambda raw: raw.replace(b"A change", b"A change  "),
    "message-with-a-blank-line-first": lambda raw: raw.replace(b"A change", b"\nA change"),
    "message-of-one-mib": lambda raw: raw.replace(b"A change", b"word " * 200_000 + b"end"),
    "message-with-a-scissors-line": lambda raw: raw.replace(
        b"A change", b"A change\n# ------------------------ >8 ------------------------\n"
    ),
    "end-without-a-newline": lambda raw: raw[:-1],
    "newlines-at-the-end": lambda raw: raw + b"\n\n",
}


def _swap_lines(raw: bytes, one: bytes, two: bytes) -> bytes:
    head, gap, body = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    first = next(i for i, line in enumerate(lines) if line.startswith(one + b" "))
    second = next(i for i, line in enumerate(lines) if line.startswith(two + b" "))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines) + gap + body


for _name, _change in PATCHES.items():
    FAMILY.put(_name, partial(patched, _change))


@FAMILY.case
def bad_commit_below_a_good_tip(world: World) -> Upload:
    """Room outside the signed text, in a commit that is not the tip."""
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    first = made.add(
        COMMIT, encode_commit(tree, world.head, 4, headers=[b"gpgsigx-payload run this"])
    )
    tip = made.add(COMMIT, encode_commit(tree, first, 5))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())
