"""Wall time until a Runtime is up to date: verified, durable and resolvable; and what it takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.leftovers import set_aside
from bench.receiving import receive_bytes
from bench.scale import Scale
from bench.stage import BRANCH, Stage, git, verify_bare
from bench.table import Record
from bench.workload import SETTLE_SECONDS, WORKSPACE
from yoi_bundles.model.ids import Digest
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.store import Repository


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure_syncing(stage: Stage, scale: Scale, record: Record) -> None:
    """Wall times and bytes of one size."""
    _measure_syncs(stage, scale.runs, record)
    _measure_publish(stage, scale.runs, record)
    _measure_bytes(stage, record)
    _measure_verification(stage, scale.runs, record)


def _measure_syncs(stage: Stage, runs: int, record: Record) -> None:
    """Fresh sync and one-file increment, ours and git's in turn."""
    size = len(stage.files)
    full: list[tuple[float, float]] = []
    tip: list[tuple[float, float]] = []
    one: list[tuple[float, float]] = []
    durable: list[tuple[float, float]] = []
    for _ in range(runs + 1):
        with stage.runtime() as (runtime, follower):
            bare, shallow, synced = (stage.make_bare() for _ in range(3))
            git(synced, "config", "core.fsync", "all")
            _fetch(stage, synced)
            full.append(_sync_both(stage, follower, bare))
            tip.append((full[-1][0], _fetch(stage, shallow, "--depth=1")))
            stage.publish_everywhere()
            one.append(_sync_both(stage, follower, bare))
            durable.append((one[-1][0], _fetch(stage, synced)))
            assert runtime.bundle_status(stage.head().digest, WORKSPACE).is_current
            for path in (bare, shallow, synced):
                set_aside(path)
    record.add_pairs("fresh sync", size, full)
    record.add_pairs("fresh sync, git --depth=1", size, tip)
    record.add_pairs("one-file increment", size, one)
    record.add_pairs("one-file increment, git core.fsync=all", size, durable)


def _sync_both(stage: Stage, follower: Follower, bare: Path) -> tuple[float, float]:
    """Seconds that a Runtime took, and that git took, to be where the Backend is."""
    return timed(lambda: follower.poll(WORKSPACE)), _fetch(stage, bare)


def _fetch(stage: Stage, bare: Path, *options: str) -> float:
    """Seconds that git took."""
    taken = timed(lambda: git(bare, "fetch", "-q", *options, stage.git_url, BRANCH))
    verify_bare(stage, bare)
    return taken


def _measure_publish(stage: Stage, runs: int, record: Record) -> None:
    """One changed file from a warm process, and `git add -A && git commit` of the same."""
    pairs = []
    time.sleep(SETTLE_SECONDS)
    for _ in range(runs + 1):
        stage.edit_work()
        ours = timed(stage.publish_work)
        theirs = timed(lambda: _commit(stage))
        assert git(stage.work, "rev-parse", "HEAD^{tree}") == str(stage.head().digest)
        pairs.append((ours, theirs))
    stage.copy_to_git()
    record.add_pairs("publish one changed file, warm", len(stage.files), pairs)


def _commit(stage: Stage) -> None:
    git(stage.work, "add", "-A")
    git(stage.work, "commit", "-q", "-m", "One edit")


def _measure_bytes(stage: Stage, record: Record) -> None:
    """Bundle files against those of `git bundle create`, from the collected repository."""
    size = str(len(stage.files))
    head = stage.head()
    base = head.parent
    assert base is not None
    stage.copy_to_git()
    git(stage.mirror, "gc", "-q")
    files = stage.root / "bundles"
    files.mkdir(exist_ok=True)
    create = ("bundle", "create", "--version=3", "-q")
    git(stage.mirror, *create, str(files / "full"), "main")
    git(stage.mirror, *create, str(files / "one"), "main", f"^{base}")
    tip = _pack_tip(stage.mirror, files / "tip")
    first = stage.backend.bundle_file(head.digest, workspace=WORKSPACE, is_shallow=True)
    record.add("bytes of a first bundle, tip alone", size, first.size_bytes / 1024, tip / 1024)
    full = stage.backend.bundle_file(head.digest, workspace=WORKSPACE)
    one = stage.backend.bundle_file(head.digest, haves=(base,), workspace=WORKSPACE)
    assert one.base == base
    sizes = {name: (files / name).stat().st_size / 1024 for name in ("full", "one")}
    record.add("bytes of a full bundle", size, full.size_bytes / 1024, sizes["full"])
    record.add("bytes of an increment", size, one.size_bytes / 1024, sizes["one"])


def _pack_tip(repository: Path, path: Path) -> int:
    """Bytes of the pack that git makes of the newest commit alone, with all its tree needs."""
    listed = git(repository, "rev-list", "--objects", "--no-walk", "main") + "\n"
    command = ["git", "-C", str(repository), "pack-objects", "--stdout", "-q"]
    with path.open("wb") as out:
        subprocess.run(command, input=listed.encode(), stdout=out, check=True)
    return path.stat().st_size


def _measure_verification(stage: Stage, runs: int, record: Record) -> None:
    """Receive against `git index-pack --strict` over the same pack."""
    head = stage.head()
    file = stage.backend.bundle_file(head.digest, workspace=WORKSPACE)
    data = file.path.read_bytes()
    pack = data[data.index(b"\nPACK") + 1 :]
    pairs = []
    for _ in range(runs + 1):
        store = Repository.create(stage.root / "verify.git", WORKSPACE)
        bare = stage.make_bare()
        ours = timed(partial(_receive, store, head.digest, data))
        theirs = timed(partial(_index_pack, bare, pack))
        store.close()
        set_aside(store.path)
        set_aside(bare)
        pairs.append((ours, theirs))
    record.add_pairs("verify the bytes of a pack", len(stage.files), pairs)


def _receive(store: Repository, digest: Digest, data: bytes) -> None:
    result = receive_bytes(store, digest, data)
    assert result.is_new


def _index_pack(bare: os.PathLike[str], pack: bytes) -> None:
    subprocess.run(
        ["git", "-C", str(bare), "index-pack", "--strict", "--stdin"],
        input=pack, capture_output=True, check=True,
    )  # fmt: skip
