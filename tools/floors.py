"""Runs the demo and the marked tests on other versions: python -m tools.floors lowest|newest"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tools.venvs import BUILD, ROOT, ask, install, make_venv

LOCK = ROOT / "requirements" / "lowest.lock"
TOOLS = ("flit_core", "hypothesis", "pytest", "pytest-randomly", "pytest-timeout")
"""What the marked tests need beside the package and its extra `server`; pinned in the lock."""


def direct_requirements() -> list[Requirement]:
    """What the package and its extra `server` ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    server = project["optional-dependencies"]["server"]
    return [Requirement(text) for text in (*project["dependencies"], *server)]


def lowest_venv() -> Path:
    """The interpreter of the environment of the lock, made anew only for another lock or Python."""
    content = LOCK.read_bytes() + sys.version.encode()
    path = BUILD / "venvs" / f"lowest-{hashlib.sha256(content).hexdigest()[:16]}"
    python, stamp = path / "bin" / "python", path / "complete"
    if stamp.exists():
        return python
    make_venv(path)
    install(python, "--require-hashes", "-r", str(LOCK))
    install(python, "--no-build-isolation", "--no-deps", "-e", ".")
    stamp.touch()
    return python


def newest_venv() -> Path:
    """The interpreter of an environment with the newest versions that may be had today."""
    python = make_venv(BUILD / "venvs" / "newest")
    install(python, *TOOLS)
    install(python, "--no-build-isolation", "-e", ".[server]")
    return python


def show_versions(python: Path) -> None:
    """Print which versions the checks will run on."""
    names = ",".join(requirement.name for requirement in direct_requirements())
    program = (
        "import importlib.metadata as m, sys;"
        "print(*(f'{one}=={m.version(one)}' for one in sys.argv[1].split(',')))"
    )
    print(ask([python, "-c", program, names]), end="", flush=True)


def marked_files() -> list[Path]:
    """The files with marked tests: others may need tools that are not there, and take time."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    return [path for path in paths if "pytest.mark.floors" in path.read_text("utf-8")]


def check(python: Path) -> int:
    """Run the demo, then the marked tests.

    Returns:
        The exit code of the first that fails, or 0.
    """
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    demo = subprocess.run(
        [python, "-m", "yoi_bundles", "demo"], cwd=ROOT, env=environment, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if demo.returncode:
        print(demo.stdout)
        return demo.returncode
    print("demo: done", flush=True)
    tests: list[str | Path] = [python, "-m", "pytest", "-m", "floors", "-p", "no:cacheprovider"]
    tests += marked_files()
    return subprocess.run(tests, cwd=ROOT, check=False).returncode


def main(arguments: list[str] | None = None) -> None:
    """Make the environment, say what is in it, check; exits with the code of what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", choices=["lowest", "newest"])
    versions = parser.parse_args(arguments).versions
    python = lowest_venv() if versions == "lowest" else newest_venv()
    show_versions(python)
    sys.exit(check(python))


if __name__ == "__main__":
    main()
