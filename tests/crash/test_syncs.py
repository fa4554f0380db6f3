"""What a write waits for: each file and directory is synced once, the index written once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from io_seam import Change, watching
from operations import CASES

PACKS = "bundles/team.git/objects/pack"
REFS = {"bundles/team.git/refs/heads": 1, "bundles/team.git/refs/bundles": 1}


@pytest.mark.parametrize(
    ("name", "files", "directories"),
    [
        ("publish", 4, {PACKS: 1, **REFS}),
        ("receive", 4, {PACKS: 1, **REFS}),
        ("first-receive", 5, {PACKS: 1, "bundles/team.git": 1, **REFS}),
        ("move-ref", 2, REFS),
    ],
)
def test_each_file_and_each_directory_is_synced_once(name, files, directories, tmp_path):
    CASES[name].prepare(tmp_path)
    changes: list[Change] = []

    with watching(tmp_path, changes.append):
        CASES[name].act(tmp_path)

    synced = Counter(change.path for change in changes if change.kind == "sync")
    waited = Counter(
        str(Path(change.path).relative_to(tmp_path))
        for change in changes
        if change.kind == "syncdir"
    )
    indexes = [change for change in changes if change.kind == "create" and ".idx" in change.path]
    assert (set(synced.values()), len(synced), waited) == ({1}, files, Counter(directories))
    assert len(indexes) == (PACKS in directories)
