"""What a bundle file says the receiver has: unknown, untrue, of the wrong type, unrelated."""

from functools import partial

from builder import (
    BLOB,
    COMMIT,
    NOWHERE,
    SHA256,
    SIGNATURE,
    Family,
    Objects,
    Pack,
    Upload,
    World,
    append_delta,
    encode_commit,
    header,
    oid_of,
    ref_line,
)

FAMILY = Family("prerequisites")


def with_lines(make, world: World) -> Upload:
    def header_of(tip: bytes, base: bytes) -> bytes:
        return SIGNATURE + SHA256 + make(base, tip, world) + ref_line(tip) + b"\n"

    return world.next(header_of=header_of)


def line(oid: bytes, rest: bytes = b"") -> bytes:
    return b"-" + oid.hex().encode() + rest + b"\n"


LINES = {
    "unknown": lambda base, tip, world: line(NOWHERE),
    "known-and-unknown": lambda base, tip, world: line(base) + line(NOWHERE),
    "zero-id": lambda base, tip, world: line(b"\0" * 32),
    "a-tree": lambda base, tip, world: line(world.trees[-1]),
    "a-blob": lambda base, tip, world: line(oid_of(BLOB, world.files["prompts/style.md"])),
    "its-own-tip": lambda base, tip, world: line(base) + line(tip),
    "twice": lambda base, tip, world: line(base) * 2,
    "short-id": lambda base, tip, world: line(base[:20]),
    "id-in-capitals": lambda base, tip, world: b"-" + base.hex().upper().encode() + b"\n",
    "space-before-the-id": lambda base, tip, world: b"- " + base.hex().encode() + b"\n",
    "no-id": lambda base, tip, world: b"-\n",
    "nul-in-the-comment": lambda base, tip, world: line(base, b" a\0b"),
    "carriage-return": lambda base, tip, world: line(base, b" a comment\r"),
    "escape-sequence-in-the-comment-of-an-unknown": lambda base, tip, world: line(
        NOWHERE, b" \x1b[2J\x1b]0;owned\x07"
    ),
    "65-of-them": lambda base, tip, world: b"".join(line(b"%032d" % i) for i in range(65)),
}
for _name, _make in LINES.items():
    FAMILY.put(_name, partial(with_lines, _make))


@FAMILY.case
def missing_though_needed(world: World) -> Upload:
    """An increment that says it is a full bundle file."""
    return world.next(header_of=lambda tip, base: header(tip))


@FAMILY.case
def not_the_parent(world: World) -> Upload:
    """The prerequisite is held, but the new commit builds on a younger one."""
    return world.next(header_of=lambda tip, base: header(tip, world.commits[1]))


@FAMILY.case
def not_an_ancestor(world: World) -> Upload:
    """A first revision with a prerequisite that it does not build on, for the sake of its objects.

    Everything in it is at hand; what it claims to be is a history without a past.
    """
    made = Objects()
    tree = made.files(world.files)
    tip = made.add(COMMIT, encode_commit(tree, None, 9))
    return Upload(header(tip, world.head) + Pack([made.made[tip]]).encode(), tree.hex())


@FAMILY.case
def base_beyond_the_prerequisite(world: World) -> Upload:
    """A delta on a blob that is held, but that the named prerequisite does not reach."""
    base = world.files["prompts/style.md"]
    made = Objects()
    tree = made.files({**world.history[1], "prompts/new.md": base + b"More.\n"})
    tip = made.add(COMMIT, encode_commit(tree, world.commits[1], 9))
    pack = Pack(
        value for value in made.without(world.objects.made) if value[1] != base + b"More.\n"
    )
    pack.ref(oid_of(BLOB, base), append_delta(base, b"More.\n"))
    return Upload(header(tip, world.commits[1]) + pack.encode(), tree.hex())


@FAMILY.case
def blob_beyond_the_prerequisite(world: World) -> Upload:
    """A tree names a blob that is held, but that the named prerequisite does not reach."""
    made = Objects()
    tree = made.files({**world.history[1], "prompts/new.md": world.files["prompts/style.md"]})
    tip = made.add(COMMIT, encode_commit(tree, world.commits[1], 9))
    return Upload(
        header(tip, world.commits[1]) + Pack(made.without(world.objects.made)).encode(), tree.hex()
    )
