"""`init`: what is written, that it is sound, and what is never overwritten."""

from __future__ import annotations

import errno
import tomllib
from pathlib import Path

import pytest

from yoi_bundles import errors
from yoi_bundles.author import scaffold
from yoi_bundles.author.scaffold import init_workspace
from yoi_bundles.author.source import read_workspace
from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.check import check_files
from yoi_bundles.content.schemas import json_schemas
from yoi_bundles.model.ids import RelativePath, WorkspaceId

ACME = WorkspaceId("acme.agents")


def list_files(directory: Path) -> list[str]:
    return sorted(
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("minimal", [False, True])
def test_a_new_workspace_has_nothing_to_find(tmp_path: Path, minimal: bool) -> None:
    written = init_workspace(tmp_path / "new" / "ws", workspace=ACME, minimal=minimal)
    files = read_workspace(tmp_path / "new" / "ws")
    assert tuple(files) == written
    result = check_files(files)
    assert result.findings == ()
    assert result.bundle is not None
    assert result.bundle.manifest.value.workspace.id == ACME


def test_the_builtin_tree_is_copied_whole(tmp_path: Path) -> None:
    init_workspace(tmp_path, workspace=ACME)
    files, builtin = dict(read_workspace(tmp_path)), dict(load_builtin_files())
    manifest = RelativePath("bundle.toml")
    assert files.pop(manifest) != builtin.pop(manifest)
    assert files == builtin


def test_minimal_is_one_profile_prompt_and_provider(tmp_path: Path) -> None:
    written = init_workspace(tmp_path, workspace=ACME, minimal=True)
    assert [str(path) for path in written] == [
        "bundle.toml",
        "grants/anthropic-api-key.toml",
        "grants/checkout.toml",
        "grants/model-api.toml",
        "models/anthropic.toml",
        "profiles/assistant.toml",
        "prompts/role/assistant.md",
    ]


def test_id_and_name_are_set_and_comments_stay(tmp_path: Path) -> None:
    init_workspace(tmp_path, workspace=ACME, name='Agents of "Acme" 東京')
    text = (tmp_path / "bundle.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["workspace"]
    assert (table["id"], table["name"]) == ("acme.agents", 'Agents of "Acme" 東京')
    assert text.startswith("#:schema .yoi-schemas/bundle.json\n# What this bundle is")


def test_without_a_name_the_id_is_the_name(tmp_path: Path) -> None:
    init_workspace(tmp_path, workspace=ACME, minimal=True)
    manifest = tomllib.loads((tmp_path / "bundle.toml").read_text(encoding="utf-8"))
    assert manifest["workspace"]["name"] == "acme.agents"


def test_schemas_for_editors_lie_beside_the_bundle(tmp_path: Path) -> None:
    init_workspace(tmp_path, workspace=ACME, minimal=True)
    names = {path.name for path in (tmp_path / ".yoi-schemas").iterdir()}
    assert names == set(json_schemas())


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 401])
def test_a_name_must_be_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="one line"):
        init_workspace(tmp_path / "new", workspace=ACME, name=name)
    assert not (tmp_path / "new").exists()


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(errors.InvalidInputError, match="not empty") as caught:
        init_workspace(tmp_path, workspace=ACME)
    assert "--force" in str(caught.value.hint)
    assert list_files(tmp_path) == ["notes.txt"]


def test_a_fresh_checkout_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert init_workspace(tmp_path, workspace=ACME, minimal=True)


def test_force_replaces_same_names_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "bundle.toml").write_text("old")
    init_workspace(tmp_path, workspace=ACME, force=True, minimal=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "acme.agents" in (tmp_path / "bundle.toml").read_text()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(errors.InvalidInputError, match="in the way"):
            init_workspace(directory, workspace=ACME)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "profiles").symlink_to(tmp_path / "outside")
    with pytest.raises(errors.InvalidInputError, match="symbolic link"):
        init_workspace(tmp_path / "ws", workspace=ACME, force=True)
    assert list_files(tmp_path / "outside") == []


def test_a_linked_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text("keep")
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "bundle.toml").symlink_to(tmp_path / "outside.toml")
    init_workspace(tmp_path / "ws", workspace=ACME, force=True, minimal=True)
    assert (tmp_path / "outside.toml").read_text() == "keep"
    assert not (tmp_path / "ws" / "bundle.toml").is_symlink()


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, errors.StorageFullError), (errno.EIO, errors.StoreError)],
)
def test_a_failure_leaves_no_manifest_and_no_half_file(
    tmp_path: Path, number: int, error: type[errors.BundleError], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def fail_late(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > 20:
            raise OSError(number, "no")

    monkeypatch.setattr(scaffold.os, "fsync", fail_late)
    with pytest.raises(errors.StoreError) as caught:
        init_workspace(tmp_path, workspace=ACME)
    assert type(caught.value) is error
    assert not (tmp_path / "bundle.toml").exists()
    assert not [name for name in list_files(tmp_path) if name.endswith("~")]


@pytest.mark.parametrize("step", [1, 0])
def test_other_failures_are_store_errors(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(scaffold.os if step else Path, "fsync" if step else "mkdir", fail)
    with pytest.raises(errors.StoreError, match="Permission denied"):
        init_workspace(tmp_path, workspace=ACME)


def test_a_manifest_without_a_workspace_table_is_refused() -> None:
    with pytest.raises(errors.InvalidInputError, match="no \\[workspace\\] table"):
        scaffold._set_identity(b"workspace = 1\n", ACME, "x")
