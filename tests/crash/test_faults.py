"""The disk is full or fails at every change of a write: a typed error, and the next try works."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from io_seam import Change, watching
from operations import CASES, Aftermath, Case, verify_state, verify_with_git

from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import Digest

MAX_POINTS = 2_000
CODES = {
    errno.ENOSPC: {"storage_full", "store_error"},
    errno.EIO: {"store_error", "store_corrupt"},
}
"""What an operator may be told; ``store_error`` for ENOSPC only where no room is the wrong word."""


class Failing:
    """Raises an OSError in place of the n-th change."""

    def __init__(self, at: int, number: int) -> None:
        self.at, self.number, self.seen = at, number, 0

    def __call__(self, change: Change) -> None:
        self.seen += 1
        if self.seen == self.at + 1 and change.kind not in {"unlink", "rmdir", "chmod"}:
            raise OSError(self.number, os.strerror(self.number), change.path)


def act(case: Case, root: Path, failing: Failing) -> tuple[Digest | None, BundleError | None]:
    """What was acknowledged, or the error that was told; no other exception gets out."""
    try:
        with watching(root, failing):
            return case.act(root), None
    except BundleError as error:
        return None, error


def remove(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o755)
    shutil.rmtree(root)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_failing_disk_is_told_and_the_next_try_works(name, number, tmp_path, tell):
    case = CASES[name]
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    case.prepare(prepared)
    aftermath = Aftermath(case, case.before(prepared))
    tried = 0
    for at in range(MAX_POINTS):
        root = tmp_path / "root"
        shutil.copytree(prepared, root)
        failing = Failing(at, number)
        acknowledged, error = act(case, root, failing)
        if error is not None:
            assert error.code in CODES[number], (at, error.code, error.message)
            assert str(tmp_path) not in str(error), "an error shows no path"
        verify_state(root, aftermath.before, acknowledged)
        aftermath.verify(root, case.act(root))
        remove(root)
        if failing.seen <= at:
            break
        tried += 1
    assert tried >= 10
    tell(f"crash: {errno.errorcode[number]}, {name}: {tried} points, every next try worked")


def test_after_faults_git_finds_nothing_wrong(tmp_path):
    case = CASES["publish"]
    case.prepare(tmp_path)
    for at in range(25):
        try:
            with watching(tmp_path, Failing(at, errno.ENOSPC)):
                case.act(tmp_path)
        except BundleError:
            continue
    case.act(tmp_path)

    verify_with_git(tmp_path)
