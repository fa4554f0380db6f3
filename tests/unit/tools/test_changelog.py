"""Fragments of the changelog become a section of it, and none is lost on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FRAGMENTS = sorted(set((ROOT / "changelog.d").glob("*")) - {ROOT / "changelog.d" / "README.md"})
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
TYPES = {one["directory"] for one in CONFIG["type"]}


def build(directory, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--version", "9.9.9", *arguments],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_fragment_has_a_type_and_says_something():
    assert {path.suffixes[-2].strip(".") for path in FRAGMENTS} <= TYPES
    assert [path.name for path in FRAGMENTS if not path.read_text("utf-8").strip()] == []


def test_the_readme_lists_the_types():
    text = (ROOT / "changelog.d" / "README.md").read_text("utf-8")

    assert [one for one in TYPES if f"| `{one}` |" not in text] == []


def test_a_release_has_every_fragment_above_what_was_there_before(tmp_path):
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "changelog.d", tmp_path / "changelog.d")
    (tmp_path / "changelog.d" / "+example.breaking.md").write_text("An example breaks.\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    before = (tmp_path / "CHANGELOG.md").read_text("utf-8")

    build(tmp_path, "--yes", "--date", "2026-12-01")

    head, title, rest = (
        (tmp_path / "CHANGELOG.md").read_text("utf-8").partition("## [9.9.9] - 2026-12-01\n")
    )
    assert title
    assert before.startswith(head.rstrip())
    assert rest.index("### Breaking") < rest.index("- An example breaks.")
    for path in FRAGMENTS:
        assert " ".join(path.read_text("utf-8").split()) in " ".join(rest.split()), path.name
    assert rest.rstrip().endswith(before.rstrip()[-200:])
    assert [one.name for one in (tmp_path / "changelog.d").iterdir()] == ["README.md"]
