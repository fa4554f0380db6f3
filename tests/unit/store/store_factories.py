"""Builders for tests of the store: files, drafts, repositories, and packs no honest tool makes."""

from __future__ import annotations

import io
import os
import subprocess
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from receiving import receive_bundle

from yoi_bundles.model.ids import CommitId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import Advance, Provenance, RevisionDraft
from yoi_bundles.model.tree import TreeReader
from yoi_bundles.store import ReceiveResult, encode_bundle_header, encode_commit
from yoi_bundles.store.pack.writer import encode_entry_header, encode_offset, encode_pack_header
from yoi_bundles.store.tree.objects import Kind, hash_object

WORKSPACE = WorkspaceId("team-a")
EPOCH = 1_700_000_000


def make_files(**changes: str | None) -> dict[RelativePath, bytes]:
    """A small workspace; ``__`` in a keyword is a slash, ``_`` before the suffix a dot."""
    texts: dict[str, str | None] = {
        "bundle.toml": "schema = 1\n",
        "profiles/coder.toml": "description = 'codes'\n" * 5,
        "profiles/tester.toml": "description = 'tests'\n" * 5,
        "prompts/role/coder.md": "You write code.\n" * 20,
        "prompts/role/tester.md": "You write tests.\n" * 20,
        **{name.replace("__", "/") + ".md": text for name, text in changes.items()},
    }
    return {RelativePath(path): t.encode() for path, t in texts.items() if t is not None}


def make_provenance(**changes: object) -> Provenance:
    return Provenance.model_validate(
        {
            "source_kind": "directory",
            "source_uri": "conf",
            "published_by": "Ann Example <ann@example.org>",
            "built_with": "yoi-bundles 0.1.0",
            **changes,
        }
    )


def make_draft(message: str = "", seconds: int = EPOCH, **provenance: object) -> RevisionDraft:
    return RevisionDraft(
        datetime.fromtimestamp(seconds, UTC), make_provenance(**provenance), message
    )


def bundle_bytes(store, target: CommitId, bases: Iterable[CommitId] = ()) -> bytes:
    out = io.BytesIO()
    store.write_bundle(out, target=target, bases=tuple(bases))
    return out.getvalue()


def accept_all(_: Advance | TreeReader) -> None:
    """Both checks of an accept that has no opinion."""


def receive(
    store,
    raw: bytes,
    *,
    expected: Digest | None = None,
    check_advance: Callable[[Advance], None] = accept_all,
    check_content: Callable[[TreeReader], None] = accept_all,
    limits: Limits = DEFAULT_LIMITS,
) -> ReceiveResult:
    return receive_bundle(
        store,
        io.BytesIO(raw),
        expected=expected,
        check_advance=check_advance,
        check_content=check_content,
        limits=limits,
    )


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below a directory with its content: what "leaves no trace" is measured by."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b"<dir>"
        for path in sorted(root.rglob("*"))
    }


def run_git(*arguments: object, cwd: Path | None = None, stdin: bytes | None = None) -> str:
    """Run git with a clean environment; its output, or AssertionError with its complaint."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Git",
        "GIT_AUTHOR_EMAIL": "git@example.org",
        "GIT_COMMITTER_NAME": "Git",
        "GIT_COMMITTER_EMAIL": "git@example.org",
    }
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


# --- packs, byte by byte -----------------------------------------------------------------------


def raw_tree(*entries: tuple[bytes, bytes, bytes]) -> bytes:
    """A tree of (mode, name, id) exactly as given: no order, no rules."""
    return b"".join(mode + b" " + name + b"\0" + oid for mode, name, oid in entries)


def raw_commit(
    tree: bytes, parent: bytes | None = None, number: int = 1, workspace: WorkspaceId = WORKSPACE
) -> bytes:
    """A well-spelt commit for any tree id."""
    return encode_commit(
        digest=Digest.from_bytes(tree),
        parent=None if parent is None else CommitId.from_bytes(parent),
        workspace=workspace,
        number=number,
        created_at=datetime.fromtimestamp(EPOCH, UTC),
        provenance=make_provenance(),
        message="",
    )


class Forge:
    """Puts together a pack, entry by entry, with any defect."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.size = 12

    def raw(self, data: bytes) -> int:
        """Append bytes as one entry; returns its offset."""
        offset = self.size
        self.entries.append(data)
        self.size += len(data)
        return offset

    def add(self, kind: int, data: bytes) -> bytes:
        """Append a whole object; returns its id."""
        self.raw(encode_entry_header(kind, len(data)) + zlib.compress(data))
        return hash_object(kind, data)

    def ref_delta(self, base: bytes, delta: bytes) -> int:
        return self.raw(encode_entry_header(7, len(delta)) + base + zlib.compress(delta))

    def ofs_delta(self, base_offset: int, delta: bytes) -> int:
        distance = encode_offset(self.size - base_offset)
        return self.raw(encode_entry_header(6, len(delta)) + distance + zlib.compress(delta))

    def tree_of(self, files: Mapping[bytes, bytes]) -> bytes:
        """Append blobs and their flat tree; returns the tree's id."""
        rows = [(b"100644", n, self.add(Kind.BLOB, d)) for n, d in sorted(files.items())]
        return self.add(Kind.TREE, raw_tree(*rows))

    def commit(self, tree: bytes, parent: bytes | None = None, number: int = 1) -> CommitId:
        return CommitId.from_bytes(self.add(Kind.COMMIT, raw_commit(tree, parent, number)))

    def pack(self, count: int | None = None, tail: bytes = b"") -> bytes:
        body = encode_pack_header(len(self.entries) if count is None else count)
        body += b"".join(self.entries) + tail
        return body + sha256(body).digest()

    def bundle(self, target: CommitId, *prerequisites: CommitId, **pack: object) -> bytes:
        return encode_bundle_header(target, prerequisites) + self.pack(**pack)


def copy_delta(base: bytes, tail: bytes) -> bytes:
    """A delta that copies the whole base and appends up to 127 bytes; sizes below 128 each."""
    copy = bytes([0x90, len(base)])
    return bytes([len(base), len(base) + len(tail)]) + copy + bytes([len(tail)]) + tail
