"""Wall time until a Runtime is up to date: verified, durable and resolvable; and what it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.stage import BRANCH, Stage, git, verify_bare
from bench.table import Row, median
from bench.workload import WORKSPACE
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.runtime.follow import Follower
from yoi_bundles.store import Repository, receive_bundle

FRESH_TARGETS = {50: 1 / 2, 1_000: 0.7, 10_000: 1.0}
INCREMENT_TARGET = 1 / 5
FULL_BYTES_TARGET = 1.05
INCREMENT_BYTES_TARGET = 1.0
PUBLISH_TARGET = 1.0
VERIFY_TARGET = 1.5


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure_syncs(stage: Stage, runs: int) -> list[Row]:
    """Fresh sync and one-file increment, ours and git's in turn."""
    size = len(stage.files)
    full: list[tuple[float, float]] = []
    one: list[tuple[float, float]] = []
    for _ in range(runs + 1):
        with stage.runtime() as (runtime, follower):
            bare = stage.make_bare()
            full.append(_sync_both(stage, follower, bare))
            stage.publish_everywhere()
            one.append(_sync_both(stage, follower, bare))
            assert runtime.bundle_status(stage.head().digest, WORKSPACE).is_current
            shutil.rmtree(bare)
    return [
        _row("fresh sync", size, full, FRESH_TARGETS.get(size, 1.0)),
        _row("one-file increment", size, one, INCREMENT_TARGET),
    ]


def _sync_both(stage: Stage, follower: Follower, bare: Path) -> tuple[float, float]:
    """Seconds that a Runtime took, and that git took, to be where the Backend is."""
    ours = timed(lambda: follower.poll(WORKSPACE))
    theirs = timed(lambda: git(bare, "fetch", "-q", stage.git_url, BRANCH))
    verify_bare(stage, bare)
    return ours, theirs


def _row(work: str, size: int, pairs: list[tuple[float, float]], target: float) -> Row:
    """Medians; the first pair warmed both up."""
    ours, theirs = zip(*pairs[1:], strict=True)
    return Row(work, str(size), median(ours), median(theirs), target)


def measure_publish(stage: Stage, runs: int) -> Row:
    """One changed file from a warm process, and `git add -A && git commit` of the same."""
    pairs = []
    for _ in range(runs + 1):
        stage.edit()
        for path, data in stage.files.items():
            target = stage.work / str(path)
            if target.stat().st_size != len(data):
                target.write_bytes(data)
        ours = timed(stage.publish_work)
        theirs = timed(lambda: _commit(stage))
        assert git(stage.work, "rev-parse", "HEAD^{tree}") == str(stage.head().digest)
        pairs.append((ours, theirs))
    stage.copy_to_git()
    return _row("publish one changed file, warm", len(stage.files), pairs, PUBLISH_TARGET)


def _commit(stage: Stage) -> None:
    git(stage.work, "add", "-A")
    git(stage.work, "commit", "-q", "-m", "One edit")


def measure_bytes(stage: Stage) -> list[Row]:
    """Bundle files against those of `git bundle create`, from the collected repository."""
    size = str(len(stage.files))
    head = stage.head()
    base = head.parent
    assert base is not None
    stage.copy_to_git()
    git(stage.mirror, "gc", "-q")
    files = stage.root / "bundles"
    files.mkdir(exist_ok=True)
    git(stage.mirror, "bundle", "create", "--version=3", "-q", str(files / "full"), "main")
    git(
        stage.mirror,
        "bundle",
        "create",
        "--version=3",
        "-q",
        str(files / "one"),
        "main",
        f"^{base}",
    )
    full = stage.backend.bundle_file(head.digest, workspace=WORKSPACE)
    one = stage.backend.bundle_file(head.digest, haves=(base,), workspace=WORKSPACE)
    assert one.base == base
    sizes = {name: (files / name).stat().st_size / 1024 for name in ("full", "one")}
    return [
        Row("bytes of a full bundle", size, full.size_bytes / 1024, sizes["full"],
            FULL_BYTES_TARGET, "KiB"),
        Row("bytes of an increment", size, one.size_bytes / 1024, sizes["one"],
            INCREMENT_BYTES_TARGET, "KiB"),
    ]  # fmt: skip


def measure_verification(stage: Stage, runs: int) -> Row:
    """Receive against `git index-pack --strict` over the same pack."""
    head = stage.head()
    file = stage.backend.bundle_file(head.digest, workspace=WORKSPACE)
    data = file.path.read_bytes()
    pack = data[data.index(b"\nPACK") + 1 :]
    pairs = []
    for _ in range(runs + 1):
        store = Repository.create(stage.root / "verify.git", WORKSPACE)
        bare = stage.make_bare()
        ours = timed(
            lambda store=store: receive_bundle(
                store, [data], expected=head.digest, check_advance=lambda advance: None,
                check_content=lambda tree: None, limits=DEFAULT_LIMITS,
            )
        )  # fmt: skip
        theirs = timed(lambda bare=bare: _index_pack(bare, pack))
        store.close()
        shutil.rmtree(store.path)
        shutil.rmtree(bare)
        pairs.append((ours, theirs))
    return _row("verify the bytes of a pack", len(stage.files), pairs, VERIFY_TARGET)


def _index_pack(bare: os.PathLike[str], pack: bytes) -> None:
    subprocess.run(
        ["git", "-C", str(bare), "index-pack", "--strict", "--stdin"],
        input=pack, capture_output=True, check=True,
    )  # fmt: skip
