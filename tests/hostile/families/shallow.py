"""A tip without its past, for a receiver that holds nothing: what it needs or brings is wrong."""

from builder import (
    BLOB,
    COMMIT,
    NOWHERE,
    TREE,
    Family,
    Objects,
    Pack,
    Upload,
    World,
    append_delta,
    encode_commit,
    header,
    oid_of,
)

FAMILY = Family("shallow")


def pack_of(made: Objects, *, drop: bytes = b"") -> Pack:
    return Pack(value for value in made.made.values() if value[1] != drop)


def tip_of(world: World, parent: bytes | None) -> tuple[Objects, bytes, bytes]:
    """The next revision with its whole closure: objects, tree, tip."""
    made = Objects()
    tree = made.files(world.files)
    return made, tree, made.add(COMMIT, encode_commit(tree, parent, world.next_number))


@FAMILY.case
def two_commits(world: World) -> Upload:
    """Two commits come on a parent that is not here; only one may."""
    made, tree, middle = tip_of(world, world.head)
    tip = made.add(COMMIT, encode_commit(tree, middle, world.next_number + 1))
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def not_the_parent(world: World) -> Upload:
    """The prerequisite is not here, and is not what the tip builds on."""
    made, tree, tip = tip_of(world, world.head)
    return Upload(header(tip, NOWHERE) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def the_parent_and_another(world: World) -> Upload:
    """The parent and one more commit are named; neither is here."""
    made, tree, tip = tip_of(world, world.head)
    return Upload(header(tip, world.head, world.commits[0]) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def first_revision_with_a_past(world: World) -> Upload:
    """A commit without a parent names a prerequisite that is not here."""
    made, tree, tip = tip_of(world, None)
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def increment(world: World) -> Upload:
    """What a holder of the parent would take, to one who holds nothing."""
    return world.next()


@FAMILY.case
def thin_delta_on_the_parent(world: World) -> Upload:
    """A delta on a file that only the parent has."""
    old = world.files["prompts/style.md"]
    new = old + b"More.\n"
    made = Objects()
    tree = made.files({**world.files, "prompts/style.md": new})
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    pack = pack_of(made, drop=new)
    pack.ref(oid_of(BLOB, old), append_delta(old, b"More.\n"))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def missing_tree(world: World) -> Upload:
    """A directory that the parent has is left out."""
    made, tree, tip = tip_of(world, world.head)
    (inner,) = (
        data for kind, data in made.made.values() if kind == TREE and b" coder.md\0" in data
    )
    return Upload(header(tip, world.head) + pack_of(made, drop=inner).encode(), tree.hex())


@FAMILY.case
def missing_blob(world: World) -> Upload:
    """A file that the parent has is left out."""
    made, tree, tip = tip_of(world, world.head)
    drop = world.files["prompts/role/coder.md"]
    return Upload(header(tip, world.head) + pack_of(made, drop=drop).encode(), tree.hex())


@FAMILY.case
def stowaway(world: World) -> Upload:
    """A file comes that nothing names."""
    made, tree, tip = tip_of(world, world.head)
    made.add(BLOB, b"Nobody asked for this.\n")
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def parents_tree_comes_too(world: World) -> Upload:
    """The parent itself is left out, and its tree is not."""
    made, tree, tip = tip_of(world, world.head)
    made.files(world.history[0])
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def another_workspace(world: World) -> Upload:
    """A tip of another workspace, where nothing is held that would contradict it."""
    made = Objects()
    tree = made.files(world.files)
    raw = encode_commit(tree, world.head, 4, trailers={"Bundle-Workspace": "other"})
    tip = made.add(COMMIT, raw)
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())


@FAMILY.case
def another_digest(world: World) -> Upload:
    """A sound tip alone, announced as another bundle."""
    made, _, tip = tip_of(world, world.head)
    return Upload(header(tip, world.head) + pack_of(made).encode(), world.trees[0].hex())


@FAMILY.case
def bad_content(world: World) -> Upload:
    """A sound tip alone whose files are no bundle."""
    made = Objects()
    tree = made.files(
        {**world.files, "bundle.toml": b"surprise = 1\n" + world.files["bundle.toml"]}
    )
    tip = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    return Upload(header(tip, world.head) + pack_of(made).encode(), tree.hex())
