"""Bytes that change on disk: found, never served, set aside, healed by sending them again."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import tomllib
from pathlib import Path

import pytest
from house import TEAM, VISIBILITY, publish_request, tree_of, worker_request, workspace_files

from yoi_bundles.backend.service import Backend
from yoi_bundles.backend.upkeep import mend
from yoi_bundles.cli.main import run
from yoi_bundles.errors import BundleError, StoreCorruptError
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.revision import RevisionDraft
from yoi_bundles.model.visibility import VisibilityPolicy
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.store import WorkspaceRepositories, compute_digest
from yoi_bundles.store.disk.merging import remove_packs
from yoi_bundles.store.pack.written import write_pack
from yoi_bundles.wire.client.backend_client import BackendClient

FLIPS = 5
"""Places tried in each part of a file."""

PARTS = {
    "pack header": (".pack", 0, 12),
    "first object": (".pack", 12, 40),
    "middle": (".pack", 40, -40),
    "pack trailer": (".pack", -32, 0),
    "index magic": (".idx", 0, 8),
    "fanout": (".idx", 8, 1032),
    "ids": (".idx", 1032, 4000),
    "crc and offsets": (".idx", 4000, -64),
    "index trailer": (".idx", -64, 0),
}
"""Files with these endings, from one offset to another."""


def places(pack: Path, part: str, seed: str) -> tuple[str, list[int]]:
    """Ending of a file and offsets in a part of it, the same ones in every run."""
    ending, first, last = PARTS[part]
    size = pack.with_suffix(ending).stat().st_size
    start, end = first % size, size + last if last <= 0 else min(last, size)
    return ending, random.Random(seed).sample(range(start, end), min(FLIPS, end - start))


def flip(path: Path, at: int) -> None:
    """Turn one byte around, in a file that takes the other's place: no open map changes."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8) or 1
    path.unlink()
    path.write_bytes(data)


def fsck(repository: Path) -> None:
    done = subprocess.run(
        ["git", "--git-dir", str(repository), "fsck", "--full", "--strict"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Damaged:
    """A Backend with two revisions, and a Runtime that holds both, to be damaged again and again.

    The prepared directory is copied back before each try.
    """

    def __init__(self, house) -> None:
        self.house = house
        self.policy = house.policy()
        self.root = house.root / "data"
        self.first = workspace_files()
        with self.backend() as backend, self.runtime() as runtime:
            for changed in ({}, {"prompts__role__coder": "\nBe exact.\n"}):
                revision = house.publish(backend, **changed).revision
                file = backend.bundle_file(revision.digest, workspace=TEAM)
                self.full = file.path.read_bytes()
                runtime.put_bundle(TEAM, revision.digest, [self.full])
            self.digest = revision.digest
            self.files = dict(workspace_files(prompts__role__coder="\nBe exact.\n"))
            runtime.create_worker(worker_request(self.digest, worker_id="before"))
        self.quiet = house.root / "quiet"
        shutil.copytree(self.root, self.quiet)

    def backend(self) -> Backend:
        return Backend.open(self.root / "backend", clock=self.house.clock)

    def runtime(self) -> Runtime:
        return Runtime.open(
            self.root / "runtime", policy=self.policy, runtime_id="eu-1", clock=self.house.clock
        )

    def restore(self) -> None:
        for directory, _, _ in os.walk(self.root):
            Path(directory).chmod(0o755)
        shutil.rmtree(self.root)
        shutil.copytree(self.quiet, self.root)

    @property
    def held(self) -> Path:
        return self.root / "runtime" / "bundles" / "team.git"

    @property
    def origin(self) -> Path:
        return self.root / "backend" / "workspaces" / "team.git"

    def is_served_right(self, runtime: Runtime) -> bool:
        """Whether the bundle is read whole; what is read at all is right, and faults are typed."""
        name = f"w-{random.Random(str(tree_of(self.held).keys())).random()}"[:30]
        try:
            reader = runtime.held.trees.get(TEAM, self.digest)
            assert {path: reader.read(path) for path in reader.entries()} == self.files
            runtime.create_worker(worker_request(self.digest, worker_id=name))
        except StoreCorruptError:
            return False
        return True

    def heal_by_put(self, runtime: Runtime) -> None:
        status = runtime.put_bundle(TEAM, self.digest, [self.full]).status
        assert (status.state, status.is_current) == ("active", True)
        self.forget_checkouts()

    def forget_checkouts(self) -> None:
        for path in (self.root / "runtime" / "checkouts").iterdir():
            for directory, _, _ in os.walk(path):
                Path(directory).chmod(0o755)
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    from house import House

    os.environ.setdefault("TEST_MODEL_KEY", "canary-model-key-value")
    house = House(tmp_path_factory.mktemp("damage"))
    yield Damaged(house)
    house.close()


def packs(repository: Path) -> list[Path]:
    return sorted((repository / "objects" / "pack").glob("*.pack"))


@pytest.mark.needs_git
@pytest.mark.parametrize("part", [*PARTS])
def test_a_wrong_byte_on_a_runtime_is_found_and_the_same_bundle_sent_again_heals_it(
    damaged, part, tell
):
    found = repaired = tried = 0
    for number in range(2):
        damaged.restore()
        ending, offsets = places(packs(damaged.held)[number], part, f"{part}/{number}")
        for at in offsets:
            damaged.restore()
            damaged.forget_checkouts()
            flip(packs(damaged.held)[number].with_suffix(ending), at)
            tried += 1
            with damaged.runtime() as runtime:
                reported = runtime.held.upkeep.is_damaged(TEAM)
                store = WorkspaceRepositories(damaged.root / "runtime" / "bundles").get(TEAM)
                found += bool(store.verify().problems)
                store.close()
                damaged.is_served_right(runtime)
                runtime.report()
                damaged.heal_by_put(runtime)
                runtime.held.upkeep.mend(TEAM)
                assert damaged.is_served_right(runtime), (part, at, reported)
                assert not runtime.held.upkeep.is_damaged(TEAM)
            fsck(damaged.held)
            repaired += 1
    assert found == tried == repaired > 0
    tell(f"damage: runtime, {part}: {tried} flips, {found} found, {repaired} healed")


@pytest.mark.needs_git
@pytest.mark.parametrize("part", [*PARTS])
def test_a_wrong_byte_at_a_backend_is_found_and_a_copy_heals_it(damaged, part, tell, tmp_path):
    copy = tmp_path / "copy.bundle"
    copy.write_bytes(damaged.full)
    found = repaired = tried = 0
    number = 1
    damaged.restore()
    ending, offsets = places(packs(damaged.origin)[number], part, part)
    for at in offsets:
        damaged.restore()
        shutil.rmtree(damaged.root / "backend" / "bundle-files")
        flip(packs(damaged.origin)[number].with_suffix(ending), at)
        tried += 1
        with damaged.backend() as backend, contextlib.suppress(StoreCorruptError):
            served = backend.bundle_file(damaged.digest, workspace=TEAM).path.read_bytes()
            assert served == damaged.full
        clone = subprocess.run(
            ["git", "clone", "-q", str(damaged.origin), str(tmp_path / f"clone-{at}")],
            capture_output=True, check=False,
        )  # fmt: skip
        if clone.returncode == 0:
            checked_out = tree_of(tmp_path / f"clone-{at}")
            mine = {str(path): data for path, data in damaged.files.items()}
            assert mine.items() <= checked_out.items()
        with WorkspaceRepositories(damaged.root / "backend" / "workspaces") as repositories:
            found += bool(repositories.get(TEAM).verify().problems)
            assert mend(repositories, TEAM, copy).lacking == frozenset()
            assert repositories.get(TEAM).verify().problems == ()
        fsck(damaged.origin)
        with damaged.backend() as backend:
            backend.bundle_file(damaged.digest, workspace=TEAM)
        repaired += 1
    assert found == tried == repaired > 0
    tell(f"damage: backend, {part}: {tried} flips, {found} found, {repaired} healed")


def garble_main(repository: Path) -> None:
    flip(repository / "refs" / "heads" / "main", 5)


def garble_id_in_main(repository: Path) -> None:
    ref = repository / "refs" / "heads" / "main"
    text = ref.read_text()
    ref.write_text(("0" if text[0] != "0" else "1") + text[1:])


def lose_main(repository: Path) -> None:
    (repository / "refs" / "heads" / "main").unlink()


def lose_all_refs(repository: Path) -> None:
    for ref in (repository / "refs").rglob("*"):
        if ref.is_file():
            ref.unlink()


def lose_the_refs_of_bundles(repository: Path) -> None:
    shutil.rmtree(repository / "refs" / "bundles")


def pack_and_lose_refs(repository: Path) -> None:
    subprocess.run(["git", "--git-dir", repository, "pack-refs", "--all"], check=True)
    (repository / "packed-refs").unlink()


def pack_and_garble_refs(repository: Path) -> None:
    subprocess.run(["git", "--git-dir", repository, "pack-refs", "--all"], check=True)
    flip(repository / "packed-refs", (repository / "packed-refs").stat().st_size - 90)


def lose_head(repository: Path) -> None:
    (repository / "HEAD").unlink()


def lose_config(repository: Path) -> None:
    (repository / "config").unlink()


def garble_config(repository: Path) -> None:
    (repository / "config").write_bytes(b"\xff" * 40)


def lose_an_index(repository: Path) -> None:
    victim = packs(repository)[0].with_suffix(".idx")
    victim.unlink()
    os.utime(victim.with_suffix(".pack"), (0, 0))


LOSSES = [
    garble_main, garble_id_in_main, lose_main, lose_all_refs, lose_the_refs_of_bundles,
    pack_and_lose_refs, pack_and_garble_refs, lose_head, lose_config, garble_config, lose_an_index,
]  # fmt: skip

QUIET = {lose_the_refs_of_bundles, lose_all_refs, pack_and_lose_refs, lose_an_index}
"""Nothing that is left is wrong: only others know what is lost."""


@pytest.mark.needs_git
@pytest.mark.parametrize("place", ["held", "origin"])
@pytest.mark.parametrize("lose", LOSSES, ids=lambda one: one.__name__)
def test_what_is_no_object_is_made_anew(damaged, lose, place, monkeypatch, capsys):
    damaged.restore()
    repository = getattr(damaged, place)
    before = {ref.name for ref in (repository / "refs" / "bundles").iterdir()}
    lose(repository)
    side = "runtime" if place == "held" else "backend"

    looked = run(["verify", "team", "--data", str(damaged.root)])
    repaired = run([side, "repair", "--data", str(damaged.root), "--json"])
    said = capsys.readouterr().out

    assert looked == 6 or lose in QUIET
    assert repaired == 0, said
    fsck(repository)
    with WorkspaceRepositories(repository.parent) as repositories:
        store = repositories.get(TEAM)
        assert store.find_head().digest == damaged.digest
        assert {str(digest) for digest in store.digests()} == before
        assert store.verify().problems == ()


def test_lost_refs_never_make_an_older_revision_acceptable(damaged):
    damaged.restore()
    with damaged.backend() as backend:
        first = backend.publishing.revision(TEAM, "1")
        old = backend.bundle_file(first.digest, workspace=TEAM).path.read_bytes()
    lose_all_refs(damaged.held)

    with damaged.runtime() as runtime:
        result = runtime.put_bundle(TEAM, first.digest, [old])
        newest = runtime.bundle_status(damaged.digest)

    assert not result.is_new
    assert not result.status.is_current
    assert newest.is_current


def test_a_follower_fetches_again_what_has_gone_bad(damaged, house):
    damaged.restore()
    for pack in packs(damaged.held):
        for part in range(1, 16):  # so much that neither pack has what the other lacks
            flip(pack, pack.stat().st_size * part // 16)
    damaged.forget_checkouts()
    with damaged.backend() as backend, damaged.runtime() as runtime:
        url = house.serve_backend(backend)
        backend.fleet.use_visibility(VisibilityPolicy.model_validate(tomllib.loads(VISIBILITY)))
        client = BackendClient(house.client(url, house.register(backend, "eu-1")))
        follower = Follower(runtime, client, [TEAM], interval_seconds=60)
        runtime.held.upkeep.inspect()
        damage = runtime.bundle_status(damaged.digest)
        haves = runtime.held.haves(TEAM)
        follower.poll_all()
        healed = runtime.bundle_status(damaged.digest)
        assert damaged.is_served_right(runtime)
        view = backend.fleet.view(runtime.runtime_id)

    assert (damage.state, damage.reasons[0].code, haves) == ("damaged", "store_corrupt", ())
    assert healed.state == "active"
    assert {one.state for one in view.bundles} <= {"active", "accepted"}
    fsck(damaged.held)


def change(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def add(path: Path) -> None:
    path.with_name("extra.md").write_text("more")


@pytest.mark.parametrize("spoil", [change, remove, link, add], ids=lambda one: one.__name__)
def test_a_spoilt_checkout_is_never_used_and_made_anew(damaged, spoil):
    damaged.restore()
    checkout = damaged.root / "runtime" / "checkouts" / str(damaged.digest)
    victim = checkout / "prompts" / "role" / "coder.md"
    for directory in (checkout, victim.parent.parent, victim.parent):
        directory.chmod(0o755)
    spoil(victim)
    report = run(["verify", "team", "--data", str(damaged.root)])

    with damaged.runtime() as runtime:
        runtime.create_worker(worker_request(damaged.digest, worker_id="after"))
        reader = runtime.held.trees.get(TEAM, damaged.digest)
        assert compute_digest({p: reader.read(p) for p in reader.entries()}) == damaged.digest

    assert report == 6


def test_damage_in_the_repository_leaves_an_intact_checkout_in_use(damaged):
    damaged.restore()
    for pack in packs(damaged.held):
        flip(pack, 60)
        flip(pack, pack.stat().st_size // 2)

    with damaged.runtime() as runtime:
        assert damaged.is_served_right(runtime) or runtime.held.upkeep.is_damaged(TEAM)
        assert runtime.worker(worker_request(worker_id="before").worker_id).receipt


def test_a_damaged_page_of_the_catalog_is_found_and_salvaged_only_when_told(damaged, capsys):
    damaged.restore()
    path = damaged.root / "runtime" / "catalog.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    codes = []
    for at in [0, 20, *range(4096 + 8, size, 4096)]:
        damaged.restore()
        with contextlib.closing(sqlite3.connect(path)) as plain:
            plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(path.read_bytes())
        data[at : at + 12] = b"\xff" * 12
        path.write_bytes(data)
        try:
            with damaged.runtime() as runtime:
                runtime.workers()
                runtime.report()
        except BundleError as error:
            codes.append(error.code)
            assert not list(path.parent.glob("*.corrupt-*"))
            assert run(["runtime", "repair", "--catalog", "--data", str(damaged.root)]) == 0
            assert len(list(path.parent.glob("catalog.sqlite3.corrupt-*"))) >= 1
            with damaged.runtime() as runtime:
                assert runtime.bundle_status(damaged.digest).is_current
    assert len(codes) >= 3
    assert set(codes) <= {"store_corrupt", "store_error"}
    capsys.readouterr()


def test_a_bundle_file_that_changed_on_the_disk_of_a_backend_is_built_anew(damaged):
    damaged.restore()
    with damaged.backend() as backend:
        file = backend.bundle_file(damaged.digest, workspace=TEAM).path
        flip(file, file.stat().st_size // 2)

        again = backend.bundle_file(damaged.digest, workspace=TEAM).path.read_bytes()

    assert again == damaged.full


def test_a_publish_of_the_same_files_heals_a_backend(damaged):
    damaged.restore()
    path = RelativePath("bundle.toml")
    with WorkspaceRepositories(damaged.root / "backend" / "workspaces") as repositories:
        store = repositories.get(TEAM)
        blob = store.tree(damaged.digest).entries()[path].raw
        kept = {oid: store._objects.find(oid) for oid in store._objects.list_ids() - {blob}}
        old = packs(damaged.origin)
        store._objects.install_pack(lambda at: write_pack(at, kept))
        remove_packs([pack.with_suffix(".idx") for pack in old], old[0].parent)
        store._objects.forget()
        lacking = mend(repositories, TEAM, None).lacking
        draft = RevisionDraft(damaged.house.clock(), publish_request({}).provenance, "Again")

        again = store.publish(damaged.files, draft)

        assert damaged.digest in lacking
        assert not again.is_new
        assert store.find_lacking() == frozenset()
        assert store.verify().problems == ()
