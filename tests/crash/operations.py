"""Writes of the store as crash tests run them: prepare, act, and what must hold afterwards."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from receiving import receive_bundle

from yoi_bundles.model.ids import CommitId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.model.revision import Provenance, RevisionDraft
from yoi_bundles.store import CheckoutArea, Repository, WorkspaceRepositories
from yoi_bundles.store.disk.refs import bundle_ref
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.store.tree.bundle_file import MAIN_REF
from yoi_bundles.store.tree.objects import Kind, hash_object

TEAM = WorkspaceId("team")
PROVENANCE = Provenance(
    source_kind="directory", source_uri="team", published_by="Ada", built_with="tests"
)


def files(turn: int) -> dict[RelativePath, bytes]:
    """A small tree that changes with the turn."""
    made = {
        RelativePath("bundle.toml"): b"schema = 1\n",
        RelativePath("prompts/a.md"): b"A prompt that stays.\n" * 40,
        RelativePath("prompts/deep/b.md"): b"A prompt that changes.\n" * 40,
    }
    made[RelativePath("prompts/deep/b.md")] += f"Turn {turn}.\n".encode()
    return made


def draft(turn: int) -> RevisionDraft:
    return RevisionDraft(datetime(2026, 1, 1, 0, turn % 60, tzinfo=UTC), PROVENANCE, f"Turn {turn}")


def open_store(root: Path) -> tuple[WorkspaceRepositories, Repository]:
    repositories = WorkspaceRepositories(root / "bundles")
    return repositories, repositories.create(TEAM)


@dataclass
class Case:
    """A write on a prepared directory.

    Args:
        prepare: Fills an empty directory.
        act: The write; returns the digest that is acknowledged.
        before: Digests that were acknowledged before and must never be lost.
    """

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Path], Digest]
    before: Callable[[Path], tuple[Digest, ...]] = field(default=lambda root: ())


def _prepare_published(turns: int) -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        repositories, store = open_store(root)
        for turn in range(turns):
            store.publish(files(turn), draft(turn))
        repositories.close()

    return prepare


def _publish(turn: int) -> Callable[[Path], Digest]:
    def act(root: Path) -> Digest:
        repositories, store = open_store(root)
        try:
            return store.publish(files(turn), draft(turn)).revision.digest
        finally:
            repositories.close()

    return act


def _prepare_untidy(root: Path) -> None:
    repositories, store = open_store(root)
    store.tidying.defer()
    for turn in range(17):
        store.publish(files(turn), draft(turn))
    repositories.close()


def _tidy(root: Path) -> Digest:
    """Packs merged apart from writes; a failure is not told."""
    repositories, store = open_store(root)
    try:
        store.tidying.run()
        head = store.find_head()
        assert head is not None
        return head.digest
    finally:
        repositories.close()


def _prepare_receive(root: Path) -> None:
    """A sender with two revisions, a receiver with the first, and the increment as a file."""
    sender = Repository.create(root.parent / f"{root.name}-sender.git", TEAM)
    first = sender.publish(files(0), draft(0)).revision
    second = sender.publish(files(1), draft(1)).revision
    repositories, store = open_store(root)
    for target, bases in ((first.commit, ()), (second.commit, (first.commit,))):
        out = io.BytesIO()
        sender.write_bundle(out, target=target, bases=bases)
        if not bases:
            _receive_into(store, out.getvalue(), first.digest)
        else:
            (root / "increment.bundle").write_bytes(out.getvalue())
    (root / "expected").write_text(str(second.digest))
    repositories.close()
    sender.close()
    shutil.rmtree(sender.path)


def _prepare_first_receive(root: Path) -> None:
    """A sender with three revisions, and the newest alone as a file."""
    sender = Repository.create(root.parent / f"{root.name}-sender.git", TEAM)
    newest = [sender.publish(files(turn), draft(turn)).revision for turn in range(3)][-1]
    out = io.BytesIO()
    sender.write_bundle(out, target=newest.commit, is_shallow=True)
    (root / "increment.bundle").write_bytes(out.getvalue())
    (root / "expected").write_text(str(newest.digest))
    sender.close()
    shutil.rmtree(sender.path)
    open_store(root)[0].close()


def _receive_into(store: Repository, data: bytes, digest: Digest) -> Digest:
    result = receive_bundle(
        store,
        [data[:100], data[100:]],
        expected=digest,
        check_advance=lambda advance: None,
        check_content=lambda tree: None,
        limits=DEFAULT_LIMITS,
    )
    return result.revision.digest


def _receive(root: Path) -> Digest:
    repositories, store = open_store(root)
    try:
        data = (root / "increment.bundle").read_bytes()
        return _receive_into(store, data, Digest((root / "expected").read_text()))
    finally:
        repositories.close()


def _checkout(root: Path) -> Digest:
    repositories, store = open_store(root)
    try:
        head = store.find_head()
        assert head is not None
        area = CheckoutArea(root / "checkouts")
        reader = area.ensure(head.digest, store.tree(head.digest)).reader
        for path in reader.entries():
            reader.read(path)
        return head.digest
    finally:
        repositories.close()


def _prepare_damaged_checkout(root: Path) -> None:
    _prepare_published(1)(root)
    _checkout(root)
    victim = next((root / "checkouts").glob("*/bundle.toml"))
    victim.parent.chmod(0o755)
    victim.chmod(0o644)
    victim.write_bytes(b"schema = 2\n")


def _repair(root: Path) -> Digest:
    repositories, store = open_store(root)
    try:
        head = store.find_head()
        assert head is not None
        area = CheckoutArea(root / "checkouts")
        reader = area.repair(head.digest, store.tree(head.digest)).reader
        for path in reader.entries():
            reader.read(path)
        return head.digest
    finally:
        repositories.close()


def _held(root: Path) -> tuple[Digest, ...]:
    repositories, store = open_store(root)
    found = tuple(one.digest for one in store.held())
    repositories.close()
    return found


def _prepare_litter(root: Path) -> None:
    """Revisions in several packs, one of them with objects that nothing reaches."""
    _prepare_published(4)(root)
    repositories, store = open_store(root)
    litter = {hash_object(Kind.BLOB, data): (Kind.BLOB, data) for data in (b"one", b"two" * 99)}
    store._objects.install_pack(lambda path: write_pack(path, litter))
    repositories.close()


def _collect(drop: int) -> Callable[[Path], Digest]:
    """Collect garbage, and drop the oldest bundles."""

    def act(root: Path) -> Digest:
        repositories, store = open_store(root)
        try:
            oldest = [one.digest for one in store.revisions()][::-1][:drop]
            store.drop(oldest)
            store.collect()
            head = store.find_head()
            assert head is not None
            return head.digest
        finally:
            repositories.close()

    return act


def _newest(root: Path) -> tuple[Digest, ...]:
    """What a collection that drops two of four bundles must keep."""
    repositories, store = open_store(root)
    found = tuple(one.digest for one in list(store.revisions())[:2])
    repositories.close()
    return found


def _prepare_move(root: Path) -> None:
    """The objects of another revision are here, and ``main`` does not name it yet."""
    _prepare_published(2)(root)
    repositories, store = open_store(root)
    head = store.find_head()
    store.publish(files(7), draft(7))
    for ref in ("heads/main", f"bundles/{store.find_head().digest}"):
        (store.path / "refs" / ref).rename(root / ref.rpartition("/")[2])
    store._refs.write([(MAIN_REF, head.commit)])
    repositories.close()
    (root / "commit").write_text((root / "main").read_text())


def _move_ref(root: Path) -> Digest:
    """The transaction by which a revision becomes the newest: ``main``, then its bundle's ref."""
    repositories, store = open_store(root)
    try:
        commit = CommitId((root / "commit").read_text().strip())
        digest = store._history.read(commit).digest
        store._refs.write([(MAIN_REF, commit), (bundle_ref(digest), commit)])
        return digest
    finally:
        repositories.close()


CASES = {
    case.name: case
    for case in (
        Case("first-publish", lambda root: None, _publish(0)),
        Case("publish", _prepare_published(2), _publish(2), _held),
        Case("publish-and-merge-packs", _prepare_published(16), _publish(16), _held),
        Case("tidy", _prepare_untidy, _tidy, _held),
        Case("first-receive", _prepare_first_receive, _receive),
        Case("receive", _prepare_receive, _receive, _held),
        Case("checkout", _prepare_published(1), _checkout, _held),
        Case("repair-checkout", _prepare_damaged_checkout, _repair, _held),
        Case("move-ref", _prepare_move, _move_ref, _held),
        Case("gc", _prepare_litter, _collect(0), _held),
        Case("gc-and-drop", _prepare_litter, _collect(2), _newest),
    )
}


@dataclass
class Aftermath:
    """What holds after a failed write and the one that made good for it.

    It depends on the files alone. Most failures end in the same ones, so what was proven of those
    bytes is not proven again.
    """

    case: Case
    before: tuple[Digest, ...]
    proven: set[tuple[Digest, frozenset[tuple[str, int, bytes]]]] = field(default_factory=set)

    def verify(self, root: Path, digest: Digest) -> None:
        """Check the state, that one more writer leaves nothing of a dead one, and ask git.

        Raises:
            AssertionError: Something does not hold.
        """
        state = (digest, _files_of(root))
        if state in self.proven:
            return
        verify_state(root, self.before, digest)
        age_orphans(root)
        self.case.act(root)
        verify_tidy(root)
        if (tidy := (digest, _files_of(root))) not in self.proven:
            verify_with_git(root)
        self.proven |= {state, tidy}


def _files_of(root: Path) -> frozenset[tuple[str, int, bytes]]:
    """Path, mode and bytes of everything."""
    return frozenset(
        (str(path.relative_to(root)), path.lstat().st_mode, _bytes_of(path))
        for path in root.rglob("*")
    )


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def age_orphans(root: Path) -> None:
    """Make packs without an index look old: a fresh one might be a git command's work."""
    for pack in root.rglob("pack-*.pack"):
        if not pack.with_suffix(".idx").exists():
            os.utime(pack, (0, 0))


def verify_state(root: Path, before: tuple[Digest, ...], acknowledged: Digest | None) -> None:
    """What must hold after any crash, once the store has been opened again.

    Raises:
        AssertionError: An acknowledged revision is lost, or something is half visible.
    """
    repositories, store = open_store(root)
    try:
        for digest in (*before, *((acknowledged,) if acknowledged else ())):
            found = store.find_revision(digest)
            assert found is not None, f"{digest.short} was acknowledged and is lost"
        head = store.find_head()
        if head is not None:
            assert store.find_revision(head.digest) is not None
        report = store.verify()
        assert report.problems == (), report.problems
    finally:
        repositories.close()


def verify_tidy(root: Path) -> None:
    """Nothing of a dead writer is left once another has been there.

    Raises:
        AssertionError: Something is.
    """
    names = [str(path.relative_to(root)) for path in root.rglob("*")]
    left = [
        name
        for name in names
        if "yoi_tmp_" in name or (name.endswith(".lock") and "yoi.lock" not in name)
    ]
    assert left == [], left
    packs = {Path(name).stem for name in names if name.endswith(".pack")}
    assert packs == {Path(name).stem for name in names if name.endswith(".idx")}
    quarantined = [name for name in names if "quarantine/" in name]
    assert quarantined == [], quarantined


def verify_with_git(root: Path) -> None:
    """The stock git finds nothing wrong.

    Raises:
        AssertionError: It does.
    """
    for repository in (root / "bundles").glob("*.git"):
        done = subprocess.run(
            ["git", "--git-dir", str(repository), "fsck", "--full", "--strict"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "missing" not in done.stdout + done.stderr
