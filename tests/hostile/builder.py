"""Makes bundle files byte by byte, with any defect and with everything around it right.

Nothing here comes from the product but the digest in a test's expectation: what git's formats say
is written down a second time, so that a mistake in one place is not excused by the other.

Source: gitformat-bundle, gitformat-pack, gitformat-commit; docs/format.md.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

WORKSPACE = "team"
EPOCH = 1_700_000_000
COMMIT, TREE, BLOB, TAG, OFS, REF = 1, 2, 3, 4, 6, 7
FILE, DIR = b"100644", b"40000"
NOWHERE = b"\x99" * 32
"""The id of nothing."""
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}


def rng(name: str) -> random.Random:
    """Noise that is the same in every run, and another one for every case."""
    return random.Random(f"hostile/{name}")


def oid_of(kind: int, data: bytes) -> bytes:
    return sha256(b"%s %d\0" % (_NAMES[kind], len(data)) + data).digest()


# --- packs -------------------------------------------------------------------------------------


def size_header(kind: int, size: int, *, pad: int = 0) -> bytes:
    """Type and size of an entry; ``pad`` adds groups of zero bits that mean nothing."""
    groups, rest = [(kind << 4) | (size & 15)], size >> 4
    while rest:
        groups.append(rest & 127)
        rest >>= 7
    groups += [0] * pad
    return bytes(g | 128 for g in groups[:-1]) + bytes(groups[-1:])


def distance_of(value: int) -> bytes:
    out = bytearray([value & 127])
    while value := value >> 7:
        value -= 1
        out.insert(0, 128 | (value & 127))
    return bytes(out)


def number(value: int, *, pad: int = 0) -> bytes:
    """A size inside a delta."""
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127)
    groups += [0] * pad
    return bytes(g | 128 for g in groups[:-1]) + bytes(groups[-1:])


def copy(start: int, size: int) -> bytes:
    command, operands = 128, b""
    for bit, byte in enumerate(struct.pack("<I", start) + struct.pack("<I", size)[:3]):
        if byte:
            command |= 1 << bit
            operands += bytes([byte])
    return bytes([command]) + operands


def insert(data: bytes) -> bytes:
    return b"".join(
        bytes([len(data[at : at + 127])]) + data[at : at + 127] for at in range(0, len(data), 127)
    )


def delta(base: int, result: int, *commands: bytes) -> bytes:
    return number(base) + number(result) + b"".join(commands)


def append_delta(base: bytes, tail: bytes) -> bytes:
    """A delta that copies a whole base and adds to it."""
    copies = [copy(at, min(0xFFFF, len(base) - at)) for at in range(0, len(base), 0xFFFF)]
    return delta(len(base), len(base) + len(tail), *copies, insert(tail))


def stored(data: bytes) -> bytes:
    """A zlib stream without compression; for the many small objects of a bomb."""
    body = b"\x01" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
    return b"\x78\x01" + body + struct.pack(">I", zlib.adler32(data))


class Pack:
    """A pack under construction; every method takes what it is told, right or wrong."""

    def __init__(self, objects: Iterable[tuple[int, bytes]] = ()) -> None:
        self.entries: list[bytes] = []
        self.size = 12
        for kind, data in objects:
            self.add(kind, data)

    def raw(self, data: bytes) -> int:
        """Append bytes; returns their offset."""
        at = self.size
        self.entries.append(data)
        self.size += len(data)
        return at

    def add(self, kind: int, data: bytes, *, level: int = 6) -> int:
        return self.raw(size_header(kind, len(data)) + zlib.compress(data, level))

    def ref(self, base: bytes, body: bytes) -> int:
        return self.raw(size_header(REF, len(body)) + base + zlib.compress(body))

    def ofs(self, base_at: int, body: bytes) -> int:
        distance = distance_of(self.size - base_at)
        return self.raw(size_header(OFS, len(body)) + distance + zlib.compress(body))

    def encode(
        self,
        *,
        count: int | None = None,
        version: int = 2,
        tail: bytes = b"",
        checksum: bytes | None = None,
    ) -> bytes:
        head = b"PACK" + struct.pack(">II", version, len(self.entries) if count is None else count)
        body = head + b"".join(self.entries) + tail
        return body + (sha256(body).digest() if checksum is None else checksum)


# --- trees and commits -------------------------------------------------------------------------


class Row(NamedTuple):
    """An entry of a directory, believed as it is."""

    mode: bytes
    name: bytes
    oid: bytes


def encode_rows(rows: Iterable[Row]) -> bytes:
    """The rows in the order given."""
    return b"".join(b"%s %s\0%s" % row for row in rows)


def sort_rows(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.name + b"/" if row.mode == DIR else row.name)


class Objects:
    """Objects by id, in the order in which they were made."""

    def __init__(self) -> None:
        self.made: dict[bytes, tuple[int, bytes]] = {}

    def add(self, kind: int, data: bytes) -> bytes:
        oid = oid_of(kind, data)
        self.made[oid] = (kind, data)
        return oid

    def blob(self, data: bytes) -> bytes:
        return self.add(BLOB, data)

    def tree(self, *rows: Row, in_order: bool = True) -> bytes:
        return self.add(TREE, encode_rows(sort_rows(rows) if in_order else rows))

    def file(self, name: bytes, data: bytes = b"x\n") -> Row:
        return Row(FILE, name, self.blob(data))

    def dir(self, name: bytes, *rows: Row) -> Row:
        return Row(DIR, name, self.tree(*rows))

    def files(self, files: Mapping[str, bytes]) -> bytes:
        """The tree of files by path."""
        root: dict[str, object] = {}
        for path, data in files.items():
            node = root
            *parents, name = path.split("/")
            for parent in parents:
                node = node.setdefault(parent, {})  # type: ignore[assignment]
            node[name] = data
        return self._node(root)

    def _node(self, node: Mapping[str, object]) -> bytes:
        return self.tree(
            *(
                self.file(name.encode(), child)
                if isinstance(child, bytes)
                else Row(DIR, name.encode(), self._node(child))  # type: ignore[arg-type]
                for name, child in node.items()
            )
        )

    def without(self, known: Iterable[bytes]) -> list[tuple[int, bytes]]:
        """Everything that is not known already."""
        gone = set(known)
        return [value for oid, value in self.made.items() if oid not in gone]


PERSON = "Ada Example <ada@example.org>"
TRAILERS = {
    "Bundle-Schema": "1",
    "Bundle-Workspace": WORKSPACE,
    "Bundle-Revision": "1",
    "Source-Kind": "directory",
    "Source-Uri": "team",
    "Published-By": PERSON,
    "Built-With": "hostile 1",
}
ORDER = (*list(TRAILERS)[:5], "Source-Revision", "Source-Dirty", *list(TRAILERS)[5:])


def encode_commit(
    tree: bytes,
    parent: bytes | None = None,
    number: int | str = 1,
    *,
    when: str | None = None,
    person: str = PERSON,
    headers: Iterable[bytes] = (),
    message: str = "A change",
    trailers: Mapping[str, str | None] | None = None,
    extra: str = "",
) -> bytes:
    """A commit in its canonical spelling, but for what is asked.

    Args:
        number: Becomes ``Bundle-Revision``.
        when: What stands behind the person.
        headers: Lines after the committer.
        trailers: Other values by key; None leaves one out.
        extra: Text after the last trailer.
    """
    merged = {**TRAILERS, "Bundle-Revision": str(number), **(trailers or {})}
    values = {key: merged.pop(key) for key in ORDER if key in merged} | merged
    stamp = f"{EPOCH} +0000" if when is None else when
    lines = [b"tree " + tree.hex().encode()]
    lines += [] if parent is None else [b"parent " + parent.hex().encode()]
    lines += [f"{role} {person} {stamp}".encode() for role in ("author", "committer")]
    lines += headers
    block = "".join(f"{key}: {value}\n" for key, value in values.items() if value is not None)
    return b"\n".join(lines) + f"\n\n{message}\n\n{block}{extra}".encode()


# --- bundle files ------------------------------------------------------------------------------

SIGNATURE = b"# v3 git bundle\n"
SHA256 = b"@object-format=sha256\n"


def ref_line(tip: bytes, name: bytes = b"refs/heads/main") -> bytes:
    return tip.hex().encode() + b" " + name + b"\n"


def header(tip: bytes, *bases: bytes, signature: bytes = SIGNATURE, caps: bytes = SHA256) -> bytes:
    known = b"".join(b"-" + base.hex().encode() + b"\n" for base in bases)
    return signature + caps + known + ref_line(tip) + b"\n"


@dataclass(frozen=True, slots=True)
class Upload:
    """A bundle file and the digest it is announced as."""

    raw: bytes
    digest: str = "0" * 64


BASE_FILES = {
    "bundle.toml": (
        b'schema = 1\ndefault_profile = "coder"\n\n[workspace]\nid = "team"\nname = "Team"\n'
        b'description = "Meets hostile input"\n'
    ),
    "models/acme.toml": (
        b'kind = "acme"\ndescription = "A provider"\n\n[models.standard]\nupstream = "standard-1"\n'
        b"context_tokens = 100000\nmax_output_tokens = 4000\n"
    ),
    "profiles/coder.toml": (
        b'description = "Writes code"\n\n[engine]\nkind = "tool-loop"\n'
        b'system_prompt = "role.coder"\n\n[model]\nref = "acme/standard"\n'
    ),
    "prompts/role/coder.md": b"You write code that others can read.\n" * 20,
    "prompts/style.md": b"Say what it is, then why.\n" * 20,
}


@dataclass
class World:
    """What the receiver holds, and the honest next step from there.

    Revisions 1 and 2 came in one bundle file, revision 3 in another.
    """

    objects: Objects = field(default_factory=Objects)
    commits: list[bytes] = field(default_factory=list)
    trees: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=lambda: dict(BASE_FILES))
    history: list[dict[str, bytes]] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        for step in (1, 2, 3):
            self.files["prompts/style.md"] += b"Rule %d.\n" % step
            self.advance(dict(self.files))

    @property
    def head(self) -> bytes:
        return self.commits[-1]

    @property
    def next_number(self) -> int:
        return self.number + 1

    def advance(self, files: dict[str, bytes]) -> None:
        """Hold one more revision."""
        tree = self.objects.files(files)
        parent = self.commits[-1] if self.commits else None
        raw = encode_commit(tree, parent, self.next_number)
        self.adopt(files, tree, self.objects.add(COMMIT, raw), Objects())

    def adopt(self, files: dict[str, bytes], tree: bytes, tip: bytes, made: Objects) -> None:
        """Hold a revision that was made elsewhere."""
        self.commits.append(tip)
        self.trees.append(tree)
        self.history.append(files)
        self.files = dict(files)
        self.number += 1
        self.objects.made.update(made.made)

    def setup(self) -> list[Upload]:
        """What the receiver is sent first."""
        early, late = Objects(), Objects()
        for files, commit in zip(self.history[:2], self.commits[:2], strict=True):
            early.files(files)
            early.add(*self.objects.made[commit])
        late.files(self.history[2])
        late.add(*self.objects.made[self.commits[2]])
        first = header(self.commits[1]) + Pack(early.made.values()).encode()
        pack = Pack(late.without(early.made))
        second = header(self.commits[2], self.commits[1]) + pack.encode()
        return [Upload(first, self.trees[1].hex()), Upload(second, self.trees[2].hex())]

    def next(
        self,
        root: Callable[[Objects], bytes] | None = None,
        *,
        files: Mapping[str, bytes | None] | None = None,
        header_of: Callable[..., bytes] = header,
        pack: Mapping[str, object] | None = None,
        more: Iterable[tuple[int, bytes]] = (),
        drop: Callable[[int, bytes], bool] = lambda kind, data: False,
        **commit: object,
    ) -> Upload:
        """The increment on the head, right but for what is asked.

        Args:
            root: Makes the tree; by default the head's files with ``files`` put in.
            files: Changed, added and (None) removed files.
            header_of: Makes the header from tip and prerequisite.
            pack: Arguments of `Pack.encode`.
            more: Further objects of the pack.
            drop: Objects that are left out of it.
            commit: Arguments of `encode_commit`.
        """
        made = Objects()
        tree = made.files(self._changed(files)) if root is None else root(made)
        arguments: dict[str, object] = {
            "parent": self.head,
            "number": self.next_number,
            **commit,
        }
        tip = made.add(COMMIT, encode_commit(tree, **arguments))  # type: ignore[arg-type]
        objects = [*made.without(self.objects.made), *more]
        kept = [(kind, data) for kind, data in objects if not drop(kind, data)]
        raw = header_of(tip, self.head) + Pack(kept).encode(**(pack or {}))  # type: ignore[arg-type]
        return Upload(raw, tree.hex())

    def _changed(self, files: Mapping[str, bytes | None] | None) -> dict[str, bytes]:
        default = {"prompts/style.md": self.files["prompts/style.md"] + b"One more.\n"}
        merged = {**self.files, **(default if files is None else files)}
        return {path: data for path, data in merged.items() if data is not None}

    def with_blob(self, entry: Callable[[Pack, bytes], None], data: bytes = b"New.\n") -> Upload:
        """The next revision, whose one new file is written into the pack by ``entry``."""
        made = Objects()
        tree = made.files({**self.files, "prompts/new.md": data})
        tip = made.add(COMMIT, encode_commit(tree, self.head, self.next_number))
        pack = Pack()
        blob = oid_of(BLOB, data)
        pack_objects = [v for v in made.without(self.objects.made) if v != (BLOB, data)]
        for kind, body in pack_objects:
            pack.add(kind, body)
        assert blob in made.made
        entry(pack, data)
        return Upload(header(tip, self.head) + pack.encode(), tree.hex())

    def full(self, root: Callable[[Objects], bytes] | None = None, **commit: object) -> Upload:
        """A bundle file of one first revision that needs nothing."""
        made = Objects()
        tree = made.files(self.files) if root is None else root(made)
        tip = made.add(COMMIT, encode_commit(tree, **commit))  # type: ignore[arg-type]
        return Upload(header(tip) + Pack(made.made.values()).encode(), tree.hex())


Builder = Callable[[World], "Upload | bytes"]


@dataclass
class Family:
    """Cases that are about one thing.

    Args:
        name: Its name in the table; a case is ``<family>/<name>``.
    """

    name: str
    cases: dict[str, Builder] = field(default_factory=dict)

    def case(self, build: Builder) -> Builder:
        """Register a case under its function's name."""
        return self.put(build.__name__.strip("_"), build)

    def put(self, name: str, build: Builder) -> Builder:
        """Register a case of a series."""
        key = f"{self.name}/{name.replace('_', '-')}"
        assert key not in self.cases, key
        self.cases[key] = build
        return build


def as_upload(built: Upload | bytes) -> Upload:
    return built if isinstance(built, Upload) else Upload(built)
