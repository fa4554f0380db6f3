"""The rooms: few arrows between them, no crowded folder, contracts that a wrong import breaks."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "yoi_bundles"
NESTING = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)
MAY_BE_CROWDED = {"content", "cli", "model"}
"""Files of one kind, one beside the other: a parser, a command, a value each."""

PLANTED = {
    "Arrows only go right": ("model/clock.py", "yoi_bundles.content.check"),
    "Rooms of store point one way": ("store/tree/objects.py", "yoi_bundles.store.disk.refs"),
    "Rooms of wire point one way": ("wire/messages/roles.py", "yoi_bundles.wire.answers.throttle"),
    "Rooms of backend point one way": (
        "backend/fleet/views.py",
        "yoi_bundles.backend.files.push_sync",
    ),
    "Rooms of runtime point one way": (
        "runtime/host/facts.py",
        "yoi_bundles.runtime.workers.launch",
    ),
    "Outside store/ only its face is known": (
        "runtime/held/upkeep.py",
        "yoi_bundles.store.care.mending",
    ),
    "The fast way is known to those who answer at once": (
        "runtime/app.py",
        "yoi_bundles.wire.at_once.waits",
    ),
    "No circles, in whichever direction": (
        "content/check_tree.py",
        "yoi_bundles.content.check_all",
    ),
    "Only store/ knows dulwich": ("ledger/database.py", "dulwich.objects"),
    "Only ledger/ opens a database": ("wire/server/serving.py", "sqlite3"),
    "Pure layers touch no disk, network, process or clock": ("resolve/verdicts.py", "pathlib"),
    "Web framework only in wire/ and */app.py": ("runtime/held/bundles.py", "fastapi"),
}
"""A contract, and an import that only it is there to refuse: into which file, of what."""


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("yoi_bundles", cache_dir=None)


def rooms_of(graph, package):
    """The arrows between what stands directly in a package, its own face left out."""
    children = sorted(graph.find_children(package))
    for child in children:
        graph.squash_module(child)
    return {
        (a, b)
        for a in children
        for b in graph.find_modules_directly_imported_by(a)
        if b in children
    }


@pytest.mark.parametrize(("package", "most"), [("store", 60), ("wire", 10)])
def test_few_arrows_run_between_rooms(graph, package, most):
    arrows = rooms_of(graph, f"yoi_bundles.{package}")

    assert 0 < len(arrows) <= most


def test_no_folder_is_crowded():
    modules = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

    crowded = {folder for folder, count in modules.items() if count > 20}

    assert crowded <= MAY_BE_CROWDED


@pytest.mark.parametrize(
    "room", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_a_room_says_what_it_is_for(room):
    caption = ast.get_docstring(ast.parse(room.read_text())) or ""

    assert len(caption.split("\n\n")[0].split()) >= 4


def depth_of(node, depth=0):
    """How deep statements lie in one another; ``elif`` lies as deep as its ``if``."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deeper = depth + (isinstance(child, NESTING) and not is_elif)
        deepest = max(deepest, depth_of(child, deeper))
    return deepest


def test_nothing_lies_deeper_than_three():
    deep = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and depth_of(node) > 3
    ]

    assert deep == []


def test_each_contract_is_broken_by_an_import_that_it_is_there_to_refuse(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "yoi_bundles", ignore=shutil.ignore_patterns("__pycache__"))
    for file, module in PLANTED.values():
        with (tmp_path / "yoi_bundles" / file).open("a") as out:
            out.write(f"\nimport {module}\n")

    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    assert {contract["name"] for contract in contracts} == PLANTED.keys()
    assert [name for name in PLANTED if f"{name} BROKEN" not in done.stdout] == []


# --- words ---

ODD = {
    "backoff", "boundary", "early", "epoch", "errand", "lacking", "parked", "plain", "prebuilding",
    "salvage", "spelling", "stamp", "verdict", "witness",
}  # fmt: skip
"""Words of modules and classes that nobody would guess who knows HTTP, SQL and git."""
GONE = {
    "audit", "bell", "book", "desk", "known", "lean", "learned", "line", "patience", "remembered",
    "shelf", "warming",
}  # fmt: skip
"""Words that stood for another one of the field."""
STILL_KNOWN = {"_Known", "_KnownToken", "KnownRuntime", "LineIndex", "_JsonLines"}
"""What is known or a line in the word's own sense."""


def names():
    """Every class and every module, apart from its package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.stem
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield node.name


def words_of(name):
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}


def glossary():
    rows = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    heads = [row.split("|")[1].lower() for row in rows if row.startswith("| ")]
    return {word for head in heads for word in re.findall(r"[a-z]+", head)}


def test_every_odd_word_of_a_class_or_module_is_in_the_glossary():
    used = {word for name in names() for word in words_of(name)}

    assert {word for word in ODD if not any(one.startswith(word) for one in used)} == set()
    assert glossary() >= ODD


def test_words_that_were_replaced_do_not_come_back():
    back = [name for name in names() if words_of(name) & GONE and name not in STILL_KNOWN]

    assert back == []


def test_every_cache_has_a_row_among_what_is_remembered():
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("## What is remembered") : text.index("## The life of a bundle")]
    caches = {name for name in names() if name.endswith("Cache")}

    assert {name for name in caches if f"`{name}`" not in table} == set()
    assert len(caches) > 5
