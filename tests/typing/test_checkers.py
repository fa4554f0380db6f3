"""Programs on the public face under mypy --strict and pyright: each misuse is found, no more.

mypy runs as a user has it, who knows nothing of a plugin, and with pydantic's. pyright runs as
basedpyright, whose package brings all it needs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
MYPY = "[mypy]\nstrict = true\npython_version = 3.11\n"
PLUGIN = "plugins = pydantic.mypy\n"
DOCUMENTED = re.compile(
    r"^<!-- file (\w+)\.py -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
pytestmark = pytest.mark.timeout(
    600
)  # the first run of the checkers knows nothing of other packages

Reported = set[tuple[str, int]]


def misuses(checker: str) -> Reported:
    """The marked lines; pydantic's plugin lets plain text be given for a value."""
    lines = enumerate((PROGRAMS / "wrong.py").read_text("utf-8").splitlines(), 1)
    is_lenient = checker.endswith("plugin")
    return {
        ("wrong.py", number)
        for number, line in lines
        if "# wrong" in line and not (is_lenient and "pydantic's plugin" in line)
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """All programs side by side: ours, those of docs/embedding.md and the examples."""
    made = tmp_path_factory.mktemp("programs")
    text = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    for name, program in DOCUMENTED.findall(text):
        (made / f"documented_{name}.py").write_text(program, "utf-8")
    for file in [*PROGRAMS.glob("*.py"), *(ROOT / "examples").glob("*.py")]:
        shutil.copy(file, made)
    return made


def begin(directory: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def begin_mypy(directory: Path, name: str, config: str) -> subprocess.Popen[str]:
    """Begin mypy; what it knows of other packages is kept in build/ for the next time."""
    (directory / f"{name}.ini").write_text(config)
    files = sorted(file.name for file in directory.glob("*.py"))
    cache = ROOT / "build" / "typing" / name
    return begin(
        directory, "mypy", "--config-file", f"{name}.ini", "--cache-dir", str(cache), *files
    )


def begin_pyright(directory: Path) -> subprocess.Popen[str]:
    (directory / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "include": ["."], "pythonVersion": "3.11"})
    )
    return begin(directory, "basedpyright", "--pythonpath", sys.executable, "--outputjson")


def lines_of_mypy(printed: str) -> Reported:
    found = re.findall(r"^(\w+\.py):(\d+): error: ", printed, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


def lines_of_pyright(printed: str) -> Reported:
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in json.loads(printed)["generalDiagnostics"]
    }


@pytest.fixture(scope="module")
def printed(directory):
    """What each checker prints; the three run beside one another."""
    running = {
        "mypy": begin_mypy(directory, "plain", MYPY),
        "mypy with its plugin": begin_mypy(directory, "plugin", MYPY + PLUGIN),
        "pyright": begin_pyright(directory),
    }
    return {name: process.communicate()[0] for name, process in running.items()}


@pytest.mark.parametrize(
    ("checker", "lines_of"),
    [
        ("mypy", lines_of_mypy),
        ("mypy with its plugin", lines_of_mypy),
        ("pyright", lines_of_pyright),
    ],
)
def test_a_checker_reports_each_misuse_and_nothing_else(printed, checker, lines_of):
    assert lines_of(printed[checker]) == misuses(checker), printed[checker]
    assert len(misuses(checker)) >= 30


def test_the_documented_programs_are_checked(directory):
    names = {file.name for file in directory.glob("*.py")}

    assert names >= {"right.py", "wrong.py", "documented_first.py", "documented_app.py"}
