"""Snapshots: a file that cannot have changed is not read, any other is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from yoi_bundles.author import source
from yoi_bundles.author.source import RACY_NANOSECONDS, Snapshot, take_snapshot
from yoi_bundles.errors import BundleError, TooLargeError
from yoi_bundles.model.limits import Limits

FILES = ("bundle.toml", "prompts/a.md", "prompts/deep/b.md")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace; only paths and bytes matter here."""
    for number, path in enumerate(FILES):
        file = tmp_path / "team" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"Text {number}.\n")
    return tmp_path / "team"


def settled(directory: Path, **options: object) -> Snapshot:
    """A snapshot taken, as it says itself, long after the last change."""
    taken = take_snapshot(directory, **options)
    return taken._replace(began_ns=time.time_ns() + 2 * RACY_NANOSECONDS)


def test_the_first_snapshot_reads_everything(workspace: Path) -> None:
    found = take_snapshot(workspace)

    assert sorted(found.read) == sorted(found.stamps) == sorted(FILES)


def test_what_did_not_change_is_looked_at_once_and_not_opened(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, opened = settled(workspace), []
    real = os.open
    monkeypatch.setattr(
        source.os, "open", lambda name, *a, **k: opened.append(str(name)) or real(name, *a, **k)
    )

    found = take_snapshot(workspace, before)

    assert (found.stamps, found.read) == (before.stamps, {})
    assert opened == [str(workspace), "prompts", "deep"]


def test_a_file_changed_shortly_before_it_was_read_is_read_again(workspace: Path) -> None:
    assert sorted(take_snapshot(workspace, take_snapshot(workspace)).read) == sorted(FILES)


def rewrite(path: Path) -> None:
    path.write_text("Text 9.\n")


def rewrite_and_hide(path: Path) -> None:
    """The same size and the old modification time; the change time cannot be set back."""
    status = path.stat()
    path.write_text("Text 9.\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    other = path.with_name("other~")
    other.write_text("Text 9.\n")
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, rewrite_and_hide, replace_by_another])
def test_a_changed_file_alone_is_read(workspace: Path, change) -> None:
    before = settled(workspace)

    change(workspace / "prompts/a.md")

    found = take_snapshot(workspace, before)
    assert found.read == {"prompts/a.md": b"Text 9.\n"}
    assert found.stamps["prompts/a.md"].blob != before.stamps["prompts/a.md"].blob


def test_added_and_removed_files_are_noticed(workspace: Path) -> None:
    before = settled(workspace)
    (workspace / "prompts/a.md").unlink()
    (workspace / "prompts/new.md").write_text("New.\n")

    found = take_snapshot(workspace, before)

    assert sorted(found.stamps) == ["bundle.toml", "prompts/deep/b.md", "prompts/new.md"]
    assert list(found.read) == ["prompts/new.md"]


def test_a_file_that_became_a_link_is_refused(workspace: Path) -> None:
    before = settled(workspace)
    (workspace / "prompts/a.md").unlink()
    (workspace / "prompts/a.md").symlink_to(workspace / "bundle.toml")

    with pytest.raises(BundleError) as caught:
        take_snapshot(workspace, before)

    assert caught.value.code == "forbidden_mode"


def test_a_name_that_collides_is_refused_though_nothing_else_changed(workspace: Path) -> None:
    before = settled(workspace)
    (workspace / "prompts/A.md").write_text("Another.\n")

    with pytest.raises(BundleError) as caught:
        take_snapshot(workspace, before)

    assert caught.value.code == "forbidden_path"


def test_files_that_are_not_read_count_towards_the_limits(workspace: Path) -> None:
    limits = Limits(tree_bytes=3 * len("Text 0.\n"))
    before = settled(workspace, limits=limits)
    (workspace / "prompts/a.md").write_text("Text 10.\n")

    with pytest.raises(TooLargeError) as caught:
        take_snapshot(workspace, before, limits=limits)

    assert caught.value.facts["limit_name"] == "tree_bytes"
