"""The two that are compared: a tree of files and the interpreter that runs its benchmarks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.children import run_child
from bench.errors import BenchError

_NOT_PASSED = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VIRTUAL_ENV",
               "PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")  # fmt: skip
"""What would have one side run code, or a rule, of the other one."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared.

    Args:
        name: As it is called in messages.
        tree: Its files.
        python: Its interpreter, which finds its product and its dependencies.
    """

    name: str
    tree: Path
    python: Path

    def environment(self) -> dict[str, str]:
        """What its processes get: as this process, but nothing that leads to another tree."""
        return {key: text for key, text in os.environ.items() if key not in _NOT_PASSED}

    @property
    def venv(self) -> Path:
        """Where its interpreter and its packages lie."""
        # The interpreter of an environment is a link to the one that made it: it is not followed.
        return self.python.parent.parent


def compile_all(side: Side) -> None:
    """Bytecode of everything on this side, so that neither side pays for it while it is measured.

    What cannot be compiled is left: packages carry templates and tests for other versions.
    """
    names = ("yoi_bundles", "bench", str(side.venv / "lib"))
    command = [str(side.python), "-m", "compileall", "-qq", "-j", "0", *names]
    run_child(command, directory=side.tree, environment=side.environment(), log=Path(os.devnull))


_FIND = """\
import importlib.util, sys
found = importlib.util.find_spec(sys.argv[1])
print("" if found is None else next(iter(found.submodule_search_locations or [found.origin])))
"""


def verify_side(side: Side) -> None:
    """What this side would run is its own: as a module, and as the program it installed.

    Raises:
        BenchError: It has no benchmarks, or its interpreter finds those of another tree.
    """
    # A program that was installed does not look into the directory it is started in.
    for name, options in (("bench", []), ("yoi_bundles", []), ("yoi_bundles", ["-I"])):
        command = [str(side.python), *options, "-c", _FIND, name]
        done = _run(command, side.tree, side.environment())
        if done.returncode != 0:
            raise BenchError(f"{side.name}: {side.python.name} fails: {last_word(done.stderr)}")
        place = done.stdout.strip()
        if place == "":
            raise BenchError(f"{side.name} has no package {name!r} that could be measured")
        if not Path(place).resolve().is_relative_to(side.tree.resolve()):
            raise BenchError(f"{side.name} would measure {name!r} of another tree, {place}")


def has_changes(tree: Path) -> bool:
    """Whether tracked files differ from the commit that is checked out."""
    return bool(run_git(tree, "status", "--porcelain", "--untracked-files=no").stdout.strip())


def ask_help(side: Side) -> str:
    """What its benchmarks say they can do.

    Raises:
        BenchError: They do not start.
    """
    environment = side.environment() | {"COLUMNS": "500"}  # no line is broken
    done = _run([str(side.python), "-m", "bench", "--help"], side.tree, environment)
    if done.returncode != 0:
        raise BenchError(f"the benchmarks of {side.name} do not start: {last_word(done.stderr)}")
    return done.stdout


def run_git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a directory; who asks looks at the status."""
    return _run(["git", *arguments], directory, os.environ)


def _run(
    command: list[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def last_word(text: str) -> str:
    """The last line of what a program said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no word of why"
