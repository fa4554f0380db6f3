"""Good bundle files in unusual but honest forms; sent in this order, each moves the head on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from builder import (
    BLOB,
    COMMIT,
    PERSON,
    SHA256,
    SIGNATURE,
    TREE,
    Objects,
    Pack,
    Upload,
    World,
    append_delta,
    delta,
    encode_commit,
    header,
    insert,
    oid_of,
    ref_line,
)

CONTROLS: dict[str, Callable[[World], Upload]] = {}
FRESH_CONTROLS: dict[str, Callable[[World], Upload]] = {}
"""In this order for one who holds nothing at first."""
HELD = {"held-tip-again", "tip-alone-again"}
Writer = Callable[[Pack, list[tuple[int, bytes]]], None]


def control(build: Callable[[World], Upload]) -> Callable[[World], Upload]:
    CONTROLS[build.__name__.replace("_", "-")] = build
    return build


def write_whole(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
    for kind, data in objects:
        pack.add(kind, data)


def step(
    world: World,
    files: Mapping[str, bytes | None],
    *,
    write: Writer = write_whole,
    header_of: Callable[..., bytes] = header,
    **commit: object,
) -> Upload:
    """One more revision, written as asked and then held by the world too."""
    changed = {k: v for k, v in {**world.files, **files}.items() if v is not None}
    made = Objects()
    tree = made.files(changed)
    arguments: dict[str, object] = {"number": world.next_number, **commit}
    tip = made.add(COMMIT, encode_commit(tree, world.head, **arguments))  # type: ignore[arg-type]
    pack = Pack()
    write(pack, made.without(world.objects.made))
    raw = header_of(tip, world.head) + pack.encode()
    world.adopt(changed, tree, tip, made)
    return Upload(raw, tree.hex())


@control
def plain(world: World) -> Upload:
    return step(world, {"prompts/plain.md": b"Plain.\n" * 10})


BASE = b"The base of what follows.\n" * 4


def deltas(world: World, link: Callable[[Pack, int, bytes], None], path: str) -> Upload:
    base = path.encode() + BASE
    more = base + b"More.\n"

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        write_whole(pack, [v for v in objects if v not in ((BLOB, more), (BLOB, base))])
        link(pack, pack.add(BLOB, base), base)

    return step(world, {f"prompts/{path}-a.md": base, f"prompts/{path}-b.md": more}, write=write)


@control
def offset_delta(world: World) -> Upload:
    return deltas(
        world, lambda pack, at, base: pack.ofs(at, append_delta(base, b"More.\n")), "offset"
    )


@control
def reference_delta_in_the_pack(world: World) -> Upload:
    return deltas(
        world,
        lambda pack, at, base: pack.ref(oid_of(BLOB, base), append_delta(base, b"More.\n")),
        "reference",
    )


@control
def reference_delta_before_its_base(world: World) -> Upload:
    base, more = b"early" + BASE, b"early" + BASE + b"More.\n"

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        pack.ref(oid_of(BLOB, base), append_delta(base, b"More.\n"))
        write_whole(pack, [v for v in objects if v != (BLOB, more)])

    return step(world, {"prompts/early-a.md": base, "prompts/early-b.md": more}, write=write)


@control
def thin(world: World) -> Upload:
    """A delta on a held file, and another one on what that makes."""
    base = world.files["prompts/style.md"]
    more, most = base + b"Thin.\n", base + b"Thin.\nThinner.\n"

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        at = pack.ref(oid_of(BLOB, base), append_delta(base, b"Thin.\n"))
        pack.ofs(at, append_delta(more, b"Thinner.\n"))
        write_whole(pack, [v for v in objects if v[1] not in (more, most)])

    return step(world, {"prompts/thin.md": more, "prompts/thinner.md": most}, write=write)


@control
def thin_with_the_chain_backwards(world: World) -> Upload:
    """The dependent delta comes first: its base is made of a held one."""
    base = world.files["prompts/plain.md"]
    more, most = base + b"One.\n", base + b"One.\nTwo.\n"

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        pack.ref(oid_of(BLOB, more), append_delta(more, b"Two.\n"))
        pack.ref(oid_of(BLOB, base), append_delta(base, b"One.\n"))
        write_whole(pack, [v for v in objects if v[1] not in (more, most)])

    return step(world, {"prompts/one.md": more, "prompts/two.md": most}, write=write)


@control
def chain_of_50(world: World) -> Upload:
    texts = [b"chain\n" + BASE]
    for index in range(50):
        texts.append(texts[-1] + b"%d\n" % index)

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        write_whole(pack, [v for v in objects if v[1] not in texts])
        at = pack.add(BLOB, texts[0])
        for old, new in itertools.pairwise(texts):
            at = pack.ofs(at, append_delta(old, new[len(old) :]))

    files = {f"prompts/chain/n{i}.md": text for i, text in enumerate(texts)}
    return step(world, files, write=write)


@control
def delta_of_a_tree(world: World) -> Upload:
    """The new root as a delta on the held one."""
    old = world.objects.made[world.trees[-1]][1]

    def write(pack: Pack, objects: list[tuple[int, bytes]]) -> None:
        for kind, data in objects:
            if kind == TREE and b"bundle.toml" in data:
                pack.ref(oid_of(TREE, old), delta(len(old), len(data), insert(data)))
            else:
                pack.add(kind, data)

    return step(world, {"prompts/tree.md": b"x\n"}, write=write)


@control
def non_ascii(world: World) -> Upload:
    """Umlauts, kana, right-to-left text and an emoji, in message, person and content."""
    person = "Änne Beispiel <aenne@example.org>"
    return step(
        world,
        {"prompts/texts.md": "Grüße, こんにちは, שלום, 🦊\n".encode()},
        message="Grüße an alle\n\nこんにちは",
        person=person,
        trailers={"Published-By": person},
    )


@control
def empty_body(world: World) -> Upload:
    """The subject that a publisher gets who says nothing."""
    number = world.next_number
    return step(world, {"prompts/b.md": b"b\n"}, message=f"Publish revision {number} of team")


@control
def long_message(world: World) -> Upload:
    return step(world, {"prompts/c.md": b"c\n"}, message="Much\n\n" + "to say\n" * 800 + "end")


@control
def all_trailers(world: World) -> Upload:
    more = {
        "Source-Kind": "git",
        "Source-Revision": "ab" * 20,
        "Source-Dirty": "false",
        "Published-By": PERSON,
        "Built-With": "hostile 1",
    }
    return step(world, {"prompts/d.md": b"d\n"}, trailers=more)


@control
def no_mail(world: World) -> Upload:
    return step(
        world,
        {"prompts/e.md": b"e\n"},
        person="A service <>",
        trailers={"Published-By": "A service"},
    )


@control
def signed(world: World) -> Upload:
    """Armoured; this host does not ask whether the signature is good."""
    armour = b"-----BEGIN SSH SIGNATURE-----\n U1NIU0lHAAAAAQ==\n -----END SSH SIGNATURE-----"
    return step(world, {"prompts/f.md": b"f\n"}, headers=[b"gpgsig-sha256 " + armour])


@control
def comment_behind_the_prerequisite(world: World) -> Upload:
    def header_of(tip: bytes, base: bytes) -> bytes:
        known = b"-" + base.hex().encode() + b" what \xc3\xbcber it was said \x1b[31m\n"
        return SIGNATURE + SHA256 + known + ref_line(tip) + b"\n"

    return step(world, {"prompts/g.md": b"g\n"}, header_of=header_of)


@control
def two_prerequisites(world: World) -> Upload:
    older = world.commits[-2]
    return step(
        world,
        {"prompts/h.md": b"h\n"},
        header_of=lambda tip, base: header(tip, older, base),
    )


@control
def gap_in_the_numbers(world: World) -> Upload:
    world.number += 1000
    return step(world, {"prompts/i.md": b"i\n"})


@control
def older_content_again(world: World) -> Upload:
    """A new revision whose every object but the commit is held: a digest with two revisions."""
    older = world.history[3]
    gone = {path: None for path in world.files if path not in older}
    return step(world, {**gone, **older})


@control
def files_removed_and_moved(world: World) -> Upload:
    text = world.files["prompts/plain.md"]
    return step(world, {"prompts/plain.md": None, "prompts/deep/a/b/moved.md": text})


@control
def a_thousand_files(world: World) -> Upload:
    return step(world, {f"prompts/many/n{i:04d}.md": b"%d\n" % i for i in range(1000)})


@control
def many_revisions(world: World) -> Upload:
    """Two hundred revisions in one file."""
    base, made = world.head, Objects()
    for index in range(200):
        files = {**world.files, "prompts/counter.md": b"%d\n" % index}
        tree = made.files(files)
        raw = encode_commit(tree, world.head, world.next_number)
        world.adopt(files, tree, made.add(COMMIT, raw), Objects())
    objects = made.without(world.objects.made)
    world.objects.made.update(made.made)
    return Upload(header(world.head, base) + Pack(objects).encode(), world.trees[-1].hex())


@control
def full_history(world: World) -> Upload:
    """Every revision from the first to a new one, to a receiver who has all but the last."""
    files = {**world.files, "prompts/j.md": b"j\n"}
    tree = world.objects.files(files)
    tip = world.objects.add(COMMIT, encode_commit(tree, world.head, world.next_number))
    world.adopt(files, tree, tip, Objects())
    return Upload(header(tip) + Pack(world.objects.made.values()).encode(), tree.hex())


@control
def held_tip_again(world: World) -> Upload:
    return Upload(
        header(world.head) + Pack(world.objects.made.values()).encode(), world.trees[-1].hex()
    )


# --- for a receiver that holds nothing ----------------------------------------------------------


def fresh_control(build: Callable[[World], Upload]) -> Callable[[World], Upload]:
    FRESH_CONTROLS[build.__name__.replace("_", "-")] = build
    return build


def tip_alone_of(world: World) -> Upload:
    """The newest revision with all that its tree needs, and its parent as prerequisite."""
    made = Objects()
    tree = made.files(world.files)
    made.add(*world.objects.made[world.head])
    raw = header(world.head, world.commits[-2]) + Pack(made.made.values()).encode()
    return Upload(raw, tree.hex())


@fresh_control
def tip_alone(world: World) -> Upload:
    """A revision without its past, where history may begin with it."""
    return tip_alone_of(world)


@fresh_control
def tip_alone_again(world: World) -> Upload:
    return tip_alone_of(world)


@fresh_control
def increment_on_a_tip_alone(world: World) -> Upload:
    return step(world, {"prompts/k.md": b"k\n"})


@fresh_control
def whole_history_on_a_tip_alone(world: World) -> Upload:
    return full_history(world)
