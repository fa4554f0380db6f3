"""Power loss at any point: what was acknowledged is there, and no ref names what is not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from depth import times
from io_seam import Change, watching
from operations import CASES, Case, draft, files, open_store, verify_state, verify_with_git
from power_model import Disk, Left, Recorder, load, write

from yoi_bundles.model.ids import Digest

POWER_CASES = [
    "first-publish", "publish", "publish-and-merge-packs", "first-receive", "receive",
    "move-ref", "gc", "gc-and-drop", "tidy",
]  # fmt: skip
SEEDS = times(4)
"""States rebuilt for each point; each forgets something else."""


def record(name: str, root: Path) -> tuple[Recorder, Digest]:
    """Run a case and write down what it does to files."""
    recorder = Recorder()
    with watching(root, recorder):
        digest = CASES[name].act(root)
    recorder.acknowledge(str(digest))
    return recorder, digest


@pytest.mark.parametrize("name", POWER_CASES)
def test_a_power_loss_anywhere_loses_nothing_that_was_acknowledged(name, tmp_path, tell):
    case = CASES[name]
    root = tmp_path / "root"
    root.mkdir()
    case.prepare(root)
    before = case.before(root)
    quiet = tmp_path / "quiet"
    shutil.copytree(root, quiet)
    recorder, digest = record(name, root)
    states = 0
    recovered: set[tuple[Left, Digest | None]] = set()
    disk = Disk(load(quiet), root)
    for at in range(len(recorder.events) + 1):
        for event in recorder.events[max(0, at - 1) : at]:
            disk.apply(event)
        acknowledged = digest if at >= recorder.acknowledged_at[str(digest)] else None
        for seed in range(SEEDS):
            left = disk.lose_power(random.Random(f"{name}/{at}/{seed}"))
            # What comes after a power loss depends on what is left, and on nothing else.
            if (left, acknowledged) not in recovered:
                write(left, tmp_path / "left")
                recover(case, tmp_path / "left", digest, (before, acknowledged))
                recovered.add((left, acknowledged))
            states += 1
    assert states >= 50
    tell(
        f"crash: power loss, {name}: {states} states recovered, {len(recovered)} of them different"
    )


def recover(
    case: Case, place: Path, digest: Digest, promised: tuple[tuple[Digest, ...], Digest | None]
) -> None:
    """Open what is left, write again, and let git look at it; then it is removed."""
    verify_state(place, *promised)
    assert case.act(place) == digest
    verify_state(place, promised[0], digest)
    verify_with_git(place)
    shutil.rmtree(place)


def test_the_model_forgets_what_was_not_synced(tmp_path):
    """A store that does not sync would be found out: the model is no rubber stamp."""
    root = tmp_path / "root"
    root.mkdir()
    CASES["publish"].prepare(root)
    before = CASES["publish"].before(root)
    quiet = tmp_path / "quiet"
    shutil.copytree(root, quiet)
    recorder, digest = record("publish", root)
    lost = 0
    for seed in range(20):
        disk = Disk(load(quiet), root)
        for event in recorder.events:
            if event.change.kind not in {"sync", "syncdir"}:
                disk.apply(event)
        left = tmp_path / "left"
        write(disk.lose_power(random.Random(seed)), left)
        try:
            verify_state(left, before, digest)
        except BaseException:  # noqa: BLE001  (any way of noticing will do)
            lost += 1
        shutil.rmtree(left)

    assert lost > 0


def test_the_checks_notice_a_revision_that_is_gone(tmp_path):
    repositories, store = open_store(tmp_path)
    digest = store.publish(files(0), draft(0)).revision.digest
    repositories.close()
    for ref in (tmp_path / "bundles" / "team.git" / "refs").rglob("*"):
        if ref.is_file():
            ref.unlink()

    with pytest.raises(AssertionError, match="is lost"):
        verify_state(tmp_path, (), digest)


def test_the_seam_sees_every_kind_of_change(tmp_path):
    seen: list[Change] = []
    with watching(tmp_path, seen.append):
        CASES["first-publish"].act(tmp_path)

    kinds = {change.kind for change in seen}
    assert kinds >= {"create", "mkdir", "sync", "syncdir", "rename", "link", "unlink"}
