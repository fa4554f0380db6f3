"""The graph: tips that are no commits, holes, stowaways, wrong parents, forks, rollbacks."""

from builder import (
    BLOB,
    COMMIT,
    DIR,
    FILE,
    NOWHERE,
    TAG,
    TREE,
    Family,
    Objects,
    Pack,
    Row,
    Upload,
    World,
    encode_commit,
    header,
    oid_of,
)

FAMILY = Family("graph")


def point_at(world: World, kind: int, data: bytes) -> Upload:
    """A ref on something that is no commit."""
    pack = Pack([(kind, data)])
    return Upload(header(oid_of(kind, data), world.head) + pack.encode())


@FAMILY.case
def tip_is_a_blob(world: World) -> Upload:
    return point_at(world, BLOB, b"just bytes\n")


@FAMILY.case
def tip_is_a_tree(world: World) -> Upload:
    return point_at(world, TREE, b"")


@FAMILY.case
def tip_is_a_tag(world: World) -> Upload:
    tag = b"object %s\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx\n"
    return point_at(world, TAG, tag % world.head.hex().encode())


@FAMILY.case
def tip_is_not_in_the_file(world: World) -> Upload:
    return world.next(header_of=lambda tip, base: header(NOWHERE, base))


@FAMILY.case
def tip_is_below_the_newest_commit(world: World) -> Upload:
    """The ref names the first of two new commits: the second one is a stowaway."""
    upload = world.next()
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    first = made.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    made.add(COMMIT, encode_commit(tree, first, world.next_number + 1))
    assert upload
    pack = Pack(made.without(world.objects.made))
    return Upload(header(first, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def missing_blob(world: World) -> Upload:
    return world.next(drop=lambda kind, data: kind == BLOB)


@FAMILY.case
def missing_directory(world: World) -> Upload:
    return world.next(
        files={"prompts/deep/new.md": b"x\n"},
        drop=lambda kind, data: kind == TREE and b"new.md" in data,
    )


@FAMILY.case
def missing_root(world: World) -> Upload:
    return world.next(drop=lambda kind, data: kind == TREE and b"bundle.toml" in data)


@FAMILY.case
def missing_commit(world: World) -> Upload:
    return world.next(drop=lambda kind, data: kind == COMMIT)


@FAMILY.case
def missing_parent(world: World) -> Upload:
    return world.next(parent=NOWHERE)


@FAMILY.case
def missing_commit_between(world: World) -> Upload:
    """A line of three new commits without the middle one."""
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    parent, middle = world.head, b""
    for step in range(3):
        parent = made.add(COMMIT, encode_commit(tree, parent, world.next_number + step))
        middle = parent if step == 1 else middle
    objects = made.without({**world.objects.made, middle: None})
    return Upload(header(parent, world.head) + Pack(objects).encode(), tree.hex())


@FAMILY.case
def blob_as_a_directory(world: World) -> Upload:
    def root(made: Objects) -> bytes:
        made.files(world.files)
        return made.tree(Row(DIR, b"prompts", made.blob(b"not a tree\n")))

    return Upload(world.next(root).raw)


@FAMILY.case
def directory_as_a_file(world: World) -> Upload:
    return world.next(lambda made: made.tree(Row(FILE, b"bundle.toml", made.tree(made.file(b"f")))))


@FAMILY.case
def commit_as_a_file(world: World) -> Upload:
    """An entry that names a commit which came: the parent's line is not content."""

    def root(made: Objects) -> bytes:
        inner = encode_commit(world.trees[-1], world.head, world.next_number)
        return made.tree(Row(FILE, b"bundle.toml", made.add(COMMIT, inner)))

    return world.next(root)


@FAMILY.case
def held_commit_as_a_file(world: World) -> Upload:
    return world.next(lambda made: made.tree(Row(FILE, b"bundle.toml", world.head)))


@FAMILY.case
def held_tree_as_a_file(world: World) -> Upload:
    return world.next(lambda made: made.tree(Row(FILE, b"bundle.toml", world.trees[-1])))


@FAMILY.case
def held_blob_as_a_directory(world: World) -> Upload:
    held = oid_of(BLOB, world.files["prompts/style.md"])
    return world.next(lambda made: made.tree(Row(DIR, b"prompts", held)))


@FAMILY.case
def held_blob_as_the_root(world: World) -> Upload:
    return world.next(lambda made: oid_of(BLOB, world.files["prompts/style.md"]))


@FAMILY.case
def blob_as_the_root(world: World) -> Upload:
    return world.next(lambda made: made.blob(b"not a tree\n"))


@FAMILY.case
def commit_as_the_root(world: World) -> Upload:
    return world.next(lambda made: world.head)


@FAMILY.case
def parent_is_a_tree(world: World) -> Upload:
    return world.next(parent=world.trees[-1])


@FAMILY.case
def parent_is_a_blob_that_came(world: World) -> Upload:
    blob = b"a parent?\n"
    return world.next(parent=oid_of(BLOB, blob), more=[(BLOB, blob)])


def parents(*extra: bytes) -> bytes:
    return b"\n".join(b"parent " + oid.hex().encode() for oid in extra)


def swap_commit(world: World, change, **commit: object) -> Upload:
    """The next revision with other bytes in its commit."""
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    raw = change(encode_commit(tree, world.head, world.next_number, **commit))
    tip = made.add(COMMIT, raw)
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def merge(world: World) -> Upload:
    return swap_commit(
        world,
        lambda raw: raw.replace(b"\nauthor", b"\n" + parents(world.commits[0]) + b"\nauthor", 1),
    )


@FAMILY.case
def same_parent_twice(world: World) -> Upload:
    return swap_commit(
        world, lambda raw: raw.replace(b"\nauthor", b"\n" + parents(world.head) + b"\nauthor", 1)
    )


@FAMILY.case
def octopus_of_200(world: World) -> Upload:
    return swap_commit(
        world,
        lambda raw: raw.replace(b"\nauthor", b"\n" + parents(*[world.head] * 200) + b"\nauthor", 1),
    )


@FAMILY.case
def fork(world: World) -> Upload:
    """A higher number on an older commit: history was rewritten."""
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    tip = made.add(COMMIT, encode_commit(tree, world.commits[1], 9))
    known = {**world.objects.made}
    known.pop(world.trees[2])
    style = oid_of(BLOB, world.files["prompts/style.md"])
    objects = made.without(key for key in known if key != style)
    return Upload(header(tip, world.commits[1]) + Pack(objects).encode(), tree.hex())


@FAMILY.case
def fork_from_the_start(world: World) -> Upload:
    """A whole other history, with a number above the accepted one."""
    return world.full(number=9)


@FAMILY.case
def equivocation(world: World) -> Upload:
    """The current number again, under another commit."""
    return world.full(number=len(world.commits))


@FAMILY.case
def equivocation_on_the_same_parent(world: World) -> Upload:
    made = Objects()
    tree = made.files({**world.history[1], "prompts/a.md": b"a\n"})
    tip = made.add(COMMIT, encode_commit(tree, world.commits[1], 3))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.commits[1]) + pack.encode(), tree.hex())


@FAMILY.case
def old_revision_again(world: World) -> Upload:
    """The very first revision, as it was once published."""
    made = Objects()
    made.files(world.history[0])
    tip = made.add(*world.objects.made[world.commits[0]])
    return Upload(header(tip) + Pack(made.made.values()).encode(), world.trees[0].hex())


@FAMILY.case
def old_number_with_new_content(world: World) -> Upload:
    return world.full(lambda made: made.files({**world.files, "prompts/a.md": b"a\n"}), number=2)


@FAMILY.case
def number_of_its_parent(world: World) -> Upload:
    return world.next(number=len(world.commits))


@FAMILY.case
def number_below_its_parent(world: World) -> Upload:
    return world.next(number=1)


@FAMILY.case
def numbers_that_fall_inside(world: World) -> Upload:
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    first = made.add(COMMIT, encode_commit(tree, world.head, 9))
    tip = made.add(COMMIT, encode_commit(tree, first, 8))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def another_workspace(world: World) -> Upload:
    return world.next(trailers={"Bundle-Workspace": "other"})


@FAMILY.case
def another_workspace_in_between(world: World) -> Upload:
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    first = made.add(
        COMMIT, encode_commit(tree, world.head, 4, trailers={"Bundle-Workspace": "other"})
    )
    tip = made.add(COMMIT, encode_commit(tree, first, 5))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def bad_tree_behind_a_good_tip(world: World) -> Upload:
    """The tip is sound; the revision below it carries a symbolic link."""
    made = Objects()
    link = made.tree(Row(b"120000", b"bundle.toml", made.blob(b"/etc/passwd")))
    first = made.add(COMMIT, encode_commit(link, world.head, 4))
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    tip = made.add(COMMIT, encode_commit(tree, first, 5))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


@FAMILY.case
def only_the_tree_is_new(world: World) -> Upload:
    """The tip is held, but the pack brings objects that it does not need."""
    pack = Pack([(BLOB, b"stowaway\n")])
    return Upload(header(world.head, world.commits[1]) + pack.encode(), world.trees[-1].hex())
