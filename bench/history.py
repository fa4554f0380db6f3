"""Ten thousand revisions in seconds: our own canonical commits, written by git in one stream."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.stage import PROVENANCE, git
from bench.workload import WORKSPACE, edit
from yoi_bundles.model.ids import Digest, RelativePath
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import encode_commit

_NO_DIGEST = Digest("0" * 64)  # git works out the tree; only the message is taken


def extend_history(
    repository: Path, head: Revision, files: dict[RelativePath, bytes], revisions: int
) -> dict[RelativePath, bytes]:
    """Add one-file revisions to a repository that nobody has open; returns the newest files.

    As maintenance leaves it: one pack, packed refs. Every bundle has its ref.

    Args:
        repository: Of the workspace, with one revision or more.
        head: Its newest revision.
        files: Of that revision.
        revisions: How many to add.
    """
    stream, newest = bytearray(), files
    for number, (path, data, newest) in enumerate(_edits(files, revisions), head.number + 1):  # noqa: B007
        stream += _encode(number, path, data, is_first=number == head.number + 1)
    command = ["git", "-C", str(repository), "-c", "fastimport.unpackLimit=1",
               "fast-import", "--quiet"]  # fmt: skip
    subprocess.run(command, input=bytes(stream), check=True)
    listed = git(repository, "log", "--format=create refs/bundles/%T %H", f"-{revisions}", "main")
    update = ["git", "-C", str(repository), "update-ref", "--stdin"]
    subprocess.run(update, input=listed + "\n", text=True, check=True)
    git(repository, "pack-refs", "--all")
    git(repository, "repack", "-adq")
    return newest


def _edits(
    files: dict[RelativePath, bytes], count: int
) -> Iterator[tuple[RelativePath, bytes, dict[RelativePath, bytes]]]:
    """The file that changed, what it holds now, and all files."""
    for turn in range(1, count + 1):
        after = edit(files, turn)
        path = next(path for path, data in after.items() if files[path] is not data)
        yield path, after[path], after
        files = after


def _encode(number: int, path: RelativePath, data: bytes, *, is_first: bool) -> bytes:
    raw = encode_commit(
        digest=_NO_DIGEST, parent=None, workspace=WORKSPACE, number=number,
        created_at=datetime.now(UTC), provenance=PROVENANCE, message="One edit",
    )  # fmt: skip
    head, _, message = raw.partition(b"\n\n")
    people = b"\n".join(head.split(b"\n")[1:])  # author and committer
    origin = b"from refs/heads/main^0\n" if is_first else b""
    return b"commit refs/heads/main\n%s\ndata %d\n%s\n%sM 100644 inline %s\ndata %d\n%s\n" % (
        people,
        len(message),
        message,
        origin,
        str(path).encode(),
        len(data),
        data,
    )
