"""Makes virtual environments beside the project's own, with the pinned uv where it is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"


def make_venv(path: Path) -> Path:
    """A fresh environment in place of what was there; returns its interpreter."""
    shutil.rmtree(path, ignore_errors=True)
    without_pip = ["--without-pip"] if find_uv() else []
    subprocess.run([sys.executable, "-m", "venv", *without_pip, str(path)], check=True)
    return path / "bin" / "python"


def install(python: Path, *arguments: str) -> None:
    """Install into an environment, by uv or, without it, by its pip."""
    uv = find_uv()
    if uv:
        command = [str(uv), "pip", "install", "-q", "--python", str(python), *arguments]
    else:
        command = [str(python), "-m", "pip", "install", "-q", *arguments]
    subprocess.run(command, check=True, cwd=ROOT)


def find_uv() -> Path | None:
    """The uv of the environment that runs this."""
    found = Path(sys.executable).with_name("uv")
    return found if found.exists() else None


def ask(command: Sequence[str | Path], **environment: str) -> str:
    """What a program prints; it must succeed."""
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment or None
    )
    return done.stdout
