"""The law of the house: layers, tables without gaps, sizes, and what no file may hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yoi_bundles import errors
from yoi_bundles.cli.exit_codes import EXIT_CODE
from yoi_bundles.wire.messages.problems import STATUS, decode_problem, encode_problem

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "yoi_bundles").rglob("*.py"))
CLASSES = errors.error_classes()

STABLE = {
    "bundle_missing": 404, "digest_mismatch": 422, "invalid_profile_selector": 422,
    "unsupported_declaration": 422, "invalid_manifest": 422, "forbidden_material": 422,
    "forbidden_path": 422, "forbidden_mode": 422, "malformed_bundle": 400, "missing_object": 422,
    "missing_prerequisite": 409, "too_large": 413, "not_fast_forward": 409,
    "revision_conflict": 409, "rollback_refused": 409, "untrusted_signature": 403,
    "policy_denied": 403, "bundle_required": 403, "workspace_not_visible": 404,
    "unauthenticated": 401, "forbidden": 403, "channel_gone": 410, "stale_bundle": 503,
    "store_corrupt": 500, "storage_full": 507, "transport_failed": 502,
}  # fmt: skip
"""Codes and statuses that are promised (docs/http-api.md)."""


def test_layers_only_point_one_way():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_every_error_class_has_a_code_of_its_own():
    codes = [cls.code for cls in CLASSES]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.code)
def test_every_error_has_a_status_an_exit_code_and_survives_the_wire(cls):
    error = cls("it happened", hint="do this", file="bundle.toml", line=3)

    document = json.loads(json.dumps(encode_problem(error)))
    back = decode_problem(document, status=STATUS[cls.code])

    assert EXIT_CODE[cls.code] != 0
    if cls is errors.WorkspaceNotVisibleError:
        assert (back.code, back.facts) == ("bundle_missing", {})
        return
    assert type(back) is cls
    assert (back.message, back.hint) == ("it happened", "do this")
    assert {"file": "bundle.toml", "line": 3}.items() <= back.facts.items()


def test_the_tables_name_no_error_that_does_not_exist():
    codes = {cls.code for cls in CLASSES}

    assert set(STATUS) == codes
    assert set(EXIT_CODE) == codes


def test_the_promised_codes_have_their_promised_status():
    assert STABLE.items() <= STATUS.items()


def test_every_promised_code_is_raised_somewhere():
    by_code = {cls.code: cls.__name__ for cls in CLASSES}
    text = "\n".join(
        path.read_text() for path in SOURCES if path.name not in {"errors.py", "problems.py"}
    )
    # Findings carry codes as text and become errors in content/findings.py.
    unraised = [
        code
        for code in STABLE
        if not re.search(rf"\b{by_code[code]}\(", text) and f'"{code}"' not in text
    ]

    assert unraised == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path):
    text = path.read_text()
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert text.count("\n") <= 400
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > 60] == []


def test_no_assert_validates_anything():
    found = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]

    assert found == []


def public_functions(path: Path):
    """Functions and methods a library user calls: no commands, nothing nested in a function."""
    for node in ast.parse(path.read_text()).body:
        for inner in (
            [node, *getattr(node, "body", [])] if isinstance(node, ast.ClassDef) else [node]
        ):
            is_function = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and not inner.name.startswith("_") and not inner.decorator_list:
                yield inner


def test_public_functions_that_raise_say_so():
    """A function whose own body raises one of our errors names it in its docstring."""
    silent = []
    for path in SOURCES:
        for function in public_functions(path):
            raises = any(
                isinstance(inner, ast.Raise)
                and isinstance(inner.exc, ast.Call)
                and getattr(inner.exc.func, "id", "").endswith("Error")
                for inner in ast.walk(function)
            )
            doc = ast.get_docstring(function) or ""
            if raises and "aises" not in doc and "See `" not in doc:
                silent.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}")

    assert silent == []


def test_lock_files_name_no_place_to_fetch_from():
    for lock in (ROOT / "requirements").iterdir():
        assert "://" not in lock.read_text(), lock.name


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    home = str(ROOT.parent) + "/"
    named = [
        name
        for name in filter(None, tracked)
        if (ROOT / name).is_file() and home in (ROOT / name).read_text(errors="ignore")
    ]

    assert named == []


@pytest.mark.floors
def test_the_committed_openapi_documents_are_current():
    from yoi_bundles.cli.schema import openapi_documents

    for name, document in openapi_documents():
        committed = json.loads((ROOT / "docs" / "openapi" / name).read_text())
        assert committed == json.loads(json.dumps(document)), "run `make schemas`"
        assert committed["openapi"].startswith("3.1")


def heavy_after(arguments: list[str], heavy: set[str]) -> list[str]:
    """Which of some modules a command has loaded."""
    script = (
        "import sys; from yoi_bundles.cli.main import run; code = run(sys.argv[2:]);"
        "print('LOADED', code, *sorted(set(sys.argv[1].split()) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, " ".join(heavy), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    code, *loaded = done.stdout.rpartition("LOADED ")[2].split()
    assert code == "0", done.stdout + done.stderr
    return loaded


def test_help_loads_nothing_heavy():
    heavy = {"fastapi", "sqlalchemy", "pydantic", "dulwich", "httpx2", "rich"}

    assert heavy_after(["--help"], heavy) == []


HEAVY = {"fastapi", "starlette", "sqlalchemy", "httpx2", "uvicorn", "rich"}
FOR_MORE = {
    "pydantic",
    "tempfile",
    "yoi_bundles.content.cache",
    "yoi_bundles.content.check",
    "yoi_bundles.model.declarations",
    "yoi_bundles.store.checkout",
    "yoi_bundles.store.send.bundle_writer",
    "yoi_bundles.store.care.mending",
    "yoi_bundles.store.receive.verify",
    "yoi_bundles.wire.messages.runtimes",
}
"""What neither an edited prompt nor a look at revisions needs; ADR 0024."""


def test_a_publish_of_an_edited_prompt_and_a_look_at_it_load_what_they_use(tmp_path):
    work, data = str(tmp_path / "work"), str(tmp_path / "data")
    publish = ["publish", "--author", "Ada", "--data", data, work]
    subprocess.run([sys.executable, "-m", "yoi_bundles", "init", work], check=True)
    assert heavy_after(publish, HEAVY | {"pydantic"}) == ["pydantic"], "it looks for what it uses"
    with next((tmp_path / "work" / "prompts").rglob("*.md")).open("a") as prompt:
        prompt.write("\nOne more line.\n")

    for command in publish, ["log", "work"], ["show", "work", "2"], ["diff", "work", "1", "2"]:
        more = [] if command is publish else ["--data", data]
        assert heavy_after([*command, *more], HEAVY | FOR_MORE) == []
