"""The digest that was announced, against the tree that came."""

from builder import Family, Upload, World

FAMILY = Family("digest")


@FAMILY.case
def of_nothing(world: World) -> Upload:
    return Upload(world.next().raw, "ab" * 32)


@FAMILY.case
def of_the_held_bundle(world: World) -> Upload:
    """A new bundle under the digest of the one in force."""
    return Upload(world.next().raw, world.trees[-1].hex())


@FAMILY.case
def of_the_commit(world: World) -> Upload:
    """The commit's id where the tree's belongs."""
    raw = world.next().raw
    tip = raw[raw.index(b"\n", raw.index(b"\n-") + 1) + 1 :][:64].decode()
    return Upload(raw, tip)


@FAMILY.case
def of_the_tree_below(world: World) -> Upload:
    return Upload(world.next().raw, world.trees[0].hex())


@FAMILY.case
def of_a_held_bundle_sent_again(world: World) -> Upload:
    """A file that changes nothing, announced as another bundle that is held."""
    return Upload(world.setup()[1].raw, world.trees[0].hex())
