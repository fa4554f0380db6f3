"""The cases themselves: table, document, git and a run without asserts say the same of them."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builder import World
from families import CASES, FAMILIES
from families.controls import CONTROLS, FRESH_CONTROLS
from families.sizes import LIMITS
from gitsays import ask_git, git_version, make_templates, verdict_of
from harness import FIXTURES, build, is_for_nobody, load_table

from yoi_bundles.errors import error_classes

ROOT = Path(__file__).parents[2]
TABLE = load_table()
DOCUMENT = ROOT / "docs" / "hostile-corpus.md"


def test_the_table_and_the_builder_agree_one_to_one():
    rows = tomllib.loads((FIXTURES / "cases.toml").read_text("utf-8"))["case"]
    assert [row["name"] for row in rows] == list(CASES)
    assert {n: row["limits"] for n, row in TABLE.items() if "limits" in row} == LIMITS
    codes = {cls.code for cls in error_classes()}
    for row in rows:
        assert row["family"] == row["name"].partition("/")[0]
        assert row["code"] in codes
        assert row["why"]


def test_there_are_as_many_as_were_asked_for():
    assert len(TABLE) >= 200
    assert len(CONTROLS) >= 12
    assert len(FAMILIES) == len({row["family"] for row in TABLE.values()})


def test_no_two_cases_are_the_same_bytes():
    world = World()
    small = [n for n in CASES if not n.startswith(("bombs/", "sizes/", "digest/"))]
    seen = Counter(build(name, world) for name in small)
    assert [upload.raw[:80] for upload, count in seen.items() if count > 1] == []


def test_cases_are_the_same_bytes_in_every_run():
    for name in ("content/private-key", "paths/file-dot-git", "deltas/depth-65"):
        assert build(name, World()) == build(name, World())


def test_the_corpus_gets_the_same_answers_without_asserts(tmp_path):
    """``python -O`` removes assert statements: none of them may be a check of input."""
    program = (
        "import json, sys, pathlib; here = pathlib.Path(sys.argv[1])\n"
        "sys.path[:0] = str(here), str(here.parent)\n"
        "from builder import World; from families import CASES\n"
        "from families.controls import CONTROLS; import harness\n"
        "world = World(); found = {}; left = []\n"
        "with harness.make_receivers(pathlib.Path(sys.argv[2]), world) as stores:\n"
        "    for name in CASES:\n"
        "        if name.startswith('bombs/'): continue\n"
        "        verdict = harness.judge(stores.of(name), name, harness.build(name, world))\n"
        "        found[name] = verdict.code; left += verdict.left\n"
        "    controls = [harness.judge(stores.holder, n, make(world)).code\n"
        "                for n, make in CONTROLS.items()]\n"
        "print(json.dumps([__debug__, found, left, controls]))\n"
    )
    arguments = [sys.executable, "-O", "-c", program, str(Path(__file__).parent)]
    done = subprocess.run([*arguments, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    debug, found, left, controls = json.loads(done.stdout)
    assert debug is False
    assert found == {n: TABLE[n]["code"] for n in CASES if not n.startswith("bombs/")}
    assert left == []
    assert all(code.startswith("accepted") for code in controls)


@pytest.mark.parametrize("package", ["store", "model", "content"])
def test_no_assert_stands_in_what_reads_bundles(package):
    for path in sorted((ROOT / "yoi_bundles" / package).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        asserts = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        assert asserts == [], path.name


@pytest.mark.needs_git
@pytest.mark.skipif(
    shutil.which("git") is None or git_version() != (2, 39), reason="recorded with git 2.39"
)
def test_git_says_what_is_recorded(tmp_path):
    """Bombs are not put to git again: it needs up to 50 seconds and 1 GiB for one."""
    world = World()
    templates = make_templates(tmp_path, world)

    def ask(name: str) -> str:
        work = tmp_path / name.replace("/", "_")
        work.mkdir()
        return verdict_of(ask_git(templates[is_for_nobody(name)], work, build(name, world)))

    names = [name for name in CASES if not name.startswith("bombs/")]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(names, pool.map(ask, names), strict=True))
    assert found == {name: verdict_of(TABLE[name]["git_says"]) for name in names}


def test_every_disagreement_with_git_is_explained():
    text = DOCUMENT.read_text("utf-8")
    accepted = {n: row for n, row in TABLE.items() if row["git_says"] == "accepts"}
    assert {n for n, row in TABLE.items() if "gap" in row} == set(accepted)
    counts = Counter(row["gap"] for row in accepted.values())
    for gap, count in counts.items():
        assert f"\n| `{gap}` | {count} |" in text, (gap, count)


def test_the_document_counts_the_cases_of_every_family():
    text = DOCUMENT.read_text("utf-8")
    for family in FAMILIES:
        names = [f"{family.name}/"]
        accepted = sum(
            row["git_says"] == "accepts" and name.startswith(names[0])
            for name, row in TABLE.items()
        )
        row = f"\n| `{family.name}` | {len(family.cases)} | {accepted} |"
        assert row in text, row
    assert f"{len(CASES)} cases" in text
    assert f"{len(CONTROLS) + len(FRESH_CONTROLS)} controls" in text
