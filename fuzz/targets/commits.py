"""Commits: the whole object, the values that become trailers, and the signature taken out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256

from dulwich.object_format import SHA256
from dulwich.objects import Commit, ShaFile

from fuzz.hostile import encode_commit as encode_any
from fuzz.hostile import objects_in, split_upload, uploads
from fuzz.target import PromiseError, Target, must, must_equal, verify_texts
from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import KIB, Limits
from yoi_bundles.model.revision import Provenance
from yoi_bundles.runtime.host.signatures import split_signature
from yoi_bundles.store.tree.commits import (
    ParsedCommit,
    encode_commit,
    insert_signature,
    parse_commit,
)
from yoi_bundles.store.tree.objects import Kind

LIMITS = Limits(commit_bytes=3 * KIB)
_CODES = frozenset({"malformed_bundle", "too_large", "unsupported_declaration"})
_ARMOUR = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----"
_TREE = "ab" * 32
_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_FIELDS = ("message", "source_uri", "published_by", "built_with", "source_revision", "workspace")


# --- commit ------------------------------------------------------------------------------------


def check_commit(data: bytes) -> None:
    """An accepted commit has one spelling, one signed text, and one meaning to every reader."""
    parsed = parse_commit(data, LIMITS)
    revision = parsed.revision
    must(len(data) <= LIMITS.commit_bytes, "a commit beyond its limit")
    git_id = sha256(b"commit %d\0" % len(data) + data).hexdigest()
    must_equal(str(revision.commit), git_id, "git's id")
    verify_texts(revision.model_dump(mode="json"))
    _verify_signature(parsed, data)
    other = ShaFile.from_raw_string(Commit.type_num, data, object_format=SHA256)
    assert isinstance(other, Commit)
    must_equal(other.tree.decode(), str(revision.digest), "dulwich's tree")
    parents = [] if revision.parent is None else [str(revision.parent)]
    must_equal([parent.decode() for parent in other.parents], parents, "dulwich's parents")
    must_equal(other.author_time, int(revision.created_at.timestamp()), "dulwich's time")
    must(other.message.decode().startswith(revision.message + "\n\n"), "dulwich's message")


def _verify_signature(parsed: ParsedCommit, data: bytes) -> None:
    must_equal(parsed.revision.is_signed, parsed.signature is not None, "is_signed")
    if parsed.signature is None:
        must_equal(parsed.payload, data, "payload")
        return
    split = split_signature(data)
    must_equal(split.payload, parsed.payload, "what both readers take as signed")
    must_equal(split.signature.rstrip(b"\n"), parsed.signature, "what both take as signature")
    must_equal(insert_signature(parsed.payload, parsed.signature), data, "signature put back")


def _commit_seeds() -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for name, raw in uploads("metadata", "trailers", "graph").items():
        objects = objects_in(split_upload(raw)[1])
        commits = [data for kind, data in objects if kind == Kind.COMMIT and len(data) < 2000]
        found |= {f"{name}-{at}": data for at, data in enumerate(commits)}
    signature = b"gpgsig-sha256 " + _ARMOUR.replace(b"\n", b"\n ")
    found["signed"] = encode_any(bytes.fromhex(_TREE), headers=[signature])
    return found


# --- trailers ----------------------------------------------------------------------------------


def check_trailers(data: bytes) -> None:
    """What a publisher may write a receiver can read, and reads as it was meant.

    One line for each of `_FIELDS`, line ends within it as ``\\x1e``; how long all are says whether
    the source is dirty. If they are no provenance, their message goes into a commit by hand.
    """
    lines = data.decode("utf-8", "replace").split("\n")
    values = dict(zip(_FIELDS, [*lines, *[""] * len(_FIELDS)], strict=False))
    message = values["message"].replace("\x1e", "\n")
    try:
        provenance = Provenance(
            source_kind="git",
            source_uri=values["source_uri"],
            source_revision=values["source_revision"] or None,
            source_dirty=(None, True, False)[len(data) % 3],
            published_by=values["published_by"],
            built_with=values["built_with"],
        )
    except ValueError:
        provenance = None
    if provenance is None:
        _verify_smuggled(message)
        return
    workspace = WorkspaceId.parse(values["workspace"])
    raw = encode_commit(
        digest=Digest(_TREE),
        parent=CommitId("cd" * 32),
        workspace=workspace,
        number=7,
        created_at=_NOW,
        provenance=provenance,
        message=message,
    )
    try:
        revision = parse_commit(raw).revision
    except BundleError as error:
        raise PromiseError(f"published, and refused by receivers: {error.message}") from error
    must_equal(revision.provenance, provenance, "provenance read back")
    must_equal((revision.workspace, revision.number), (workspace, 7), "workspace and number")
    verify_texts(revision.model_dump(mode="json"))


def _verify_smuggled(message: str) -> None:
    """A message never becomes a trailer: the parser takes its own block or refuses."""
    raw = encode_any(bytes.fromhex(_TREE), message=message.encode("utf-8", "replace").decode())
    revision = parse_commit(raw).revision
    must_equal((str(revision.workspace), revision.number), ("team", 1), "trailers of a message")


def _trailer_seeds() -> Mapping[str, bytes]:
    good = ["A change", "team", "Ada <ada@example.org>", "tool 1", "main", "team"]
    changes = {
        "good": {},
        "long": {0: "A change\x1e\x1eWith a body.\x1e"},
        "trailer": {0: "A\x1e\x1eBundle-Revision: 9"},
        "scissors": {0: "A\x1e------------------------ >8 ------------------------\x1e"},
        "nobody": {2: ""},
        "nobody-smuggles": {0: "A\x1e\x1eBundle-Workspace: other", 2: ""},
        "service": {2: "service"},
        "odd-person": {2: "a <b> c"},
        "spaces": {3: " tool ", 1: "x "},
        "bidi": {1: "\u202ex", 0: "\u2066"},
        "no-revision": {4: ""},
        "bad-workspace": {5: "../x"},
        "empty-message": {0: ""},
    }
    found = {
        name: "\n".join(change.get(at, text) for at, text in enumerate(good)).encode()
        for name, change in changes.items()
    }
    return found | {f"{name}-dirty": data + b"\n" for name, data in found.items()}


# --- signature ---------------------------------------------------------------------------------


def check_signature(data: bytes) -> None:
    """Signed text and signature are all of a commit, as git takes them apart."""
    split = split_signature(data)
    head, _, message = split.payload.partition(b"\n\n")
    must(b"\ngpgsig" not in b"\n" + head, "a signature header in the signed text")
    head_lines, _, rest = data.partition(b"\n\n")
    must_equal(message, rest, "message")
    kept = sum(len(line) + 1 for line in head.split(b"\n"))
    taken = len(b"gpgsig-sha256 ") + sum(len(line) + 2 for line in split.signature.split(b"\n"))
    must(kept + taken + 4 >= len(head_lines), "bytes that belong to neither")
    must(split.committed_at.tzinfo is UTC, "a time without a zone")
    _verify_agreement(data)


def _verify_agreement(data: bytes) -> None:
    """What the strict parser takes too, both take apart alike."""
    parsed = None
    with suppress(BundleError):
        parsed = parse_commit(data)
    if parsed is not None:
        must_equal(split_signature(data).payload, parsed.payload, "signed text")


def _signature_seeds() -> Mapping[str, bytes]:
    return {
        name: data
        for name, data in _commit_seeds().items()
        if b"\ngpgsig" in data or b"honest" in name.encode()
    }


TARGETS = (
    Target("commit", check_commit, _CODES, _commit_seeds),
    Target(
        "trailers", check_trailers, _CODES | {"invalid_input"}, _trailer_seeds, max_bytes=2 * KIB
    ),
    Target("signature", check_signature, frozenset({"untrusted_signature"}), _signature_seeds),
)
