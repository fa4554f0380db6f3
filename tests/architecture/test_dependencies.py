"""What is asked for is used, what is used is asked for, and the bounds of both are real."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TREES = {path: ast.parse(path.read_text()) for path in (ROOT / "yoi_bundles").rglob("*.py")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
SERVER = [Requirement(text) for text in PROJECT["optional-dependencies"]["server"]]
ASKED = {requirement.name: requirement for requirement in (*CORE, *SERVER)}

COMES_WITH = {"pydantic-core": "pydantic"}
"""Pinned to one version by another distribution, and of use with that alone."""
BY_NAME_ONLY = {"uvloop"}
"""Taken by the web server if it is there, imported by nobody here."""

PRIVATE_PARTS = {
    "uvicorn": {
        "uvicorn._types", "uvicorn.protocols.http.flow_control",
        "uvicorn.protocols.http.httptools_impl",
    },
    "prometheus-client": {"prometheus_client.utils"},
}  # fmt: skip
"""Modules of others that no document promises: a bound from above guards against change."""

DOCUMENTED = {"_asdict", "_fields", "_replace", "_make"}
"""Of named tuples and of rows: the underscore keeps them apart from names of fields."""


def imports() -> dict[str, set[Path]]:
    """Modules of others that the package imports, with who does."""
    found: dict[str, set[Path]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in {"yoi_bundles", "_typeshed"}:
                    found.setdefault(name, set()).add(path)
    return found


def distributions_of(module: str) -> set[str]:
    named = packages_distributions().get(module.partition(".")[0], [])
    return {canonicalize_name(name) for name in named}


def test_what_is_imported_is_asked_for_and_the_other_way_round():
    used = {name for module in imports() for name in distributions_of(module)}
    used = {COMES_WITH.get(name, name) for name in used}

    assert used == set(ASKED) - BY_NAME_ONLY


def private_modules() -> set[str]:
    """Imported modules of which a part begins with an underscore."""
    return {name for name in imports() if any(part.startswith("_") for part in name.split("."))}


def own_names() -> set[str]:
    """Every name that the package gives to something."""
    found = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found


def private_attributes() -> set[tuple[str, str]]:
    """Attributes with an underscore that the package names and never makes, with the file."""
    known = own_names() | DOCUMENTED
    return {
        (path.name, node.attr)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in known
    }


def test_private_parts_of_others_are_listed():
    listed = set().union(*PRIVATE_PARTS.values())

    assert private_modules() <= listed
    assert listed <= set(imports())
    # What a subclass of the web server's protocol calls of it.
    assert private_attributes() == {("connections.py", "_unset_keepalive_if_required")}


@pytest.mark.parametrize("name", PRIVATE_PARTS)
def test_a_library_whose_private_parts_are_used_has_a_bound_from_above(name):
    operators = {one.operator for one in ASKED[name].specifier}

    assert operators == {">=", "<"}


def pinned(lock: str) -> dict[str, Version]:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if "==" in line[:60]]
    return {one.name: Version(next(iter(one.specifier)).version) for one in pins}


@pytest.mark.parametrize("name", ASKED)
def test_the_lowest_versions_are_the_floors_and_every_lock_is_within_the_bounds(name):
    floor = next(one.version for one in ASKED[name].specifier if one.operator == ">=")

    assert pinned("lowest.lock")[name] == Version(floor), "run `make lock`"
    assert ASKED[name].specifier.contains(pinned("dev.lock")[name])
