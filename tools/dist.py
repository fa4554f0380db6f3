"""Builds sdist and wheel into dist/, looks into both, and tries the wheel: python -m tools.dist"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tools.archives import faults_of_sdist, faults_of_wheel, read_metadata
from tools.venvs import BUILD, ROOT, ask, install, make_venv

COMMANDS = ("yoi-bundles", "yb")
INSTALL = "pip install 'yoi-bundles[server]'"


def build_both(source: Path, out: Path, epoch: str) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from what is in the sdist.

    Args:
        source: The top of the project.
        out: Where both files go.
        epoch: The one time that every file in them carries, in seconds since 1970.

    Returns:
        The sdist and the wheel.

    Raises:
        subprocess.CalledProcessError: The build failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch, "PYTHONHASHSEED": "0"},
    )
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def commit_epoch(source: Path, ref: str = "HEAD") -> str:
    """The time of a commit: what is built from it is the same whenever that happens."""
    return ask(["git", "-C", source, "log", "-1", "--format=%ct", ref]).strip()


def tracked_files(source: Path) -> list[str]:
    """Every file that belongs to the project."""
    return ask(["git", "-C", source, "ls-files", "-z"]).strip("\0").split("\0")


def faults_of(sdist: Path, wheel: Path, files: list[str]) -> list[str]:
    """What is wrong with the two files of a release, one line each."""
    package = [name for name in files if name.startswith("yoi_bundles/")]
    metadata = read_metadata(wheel)
    extras = {"server"} - set(metadata.provides_extra or [])
    return [
        *(f"{sdist.name} {fault}" for fault in faults_of_sdist(sdist, files)),
        *(f"{wheel.name} {fault}" for fault in faults_of_wheel(wheel, package)),
        *(f"{wheel.name} has no extra {extra}" for extra in extras),
        *([] if metadata.license_expression == "MIT" else [f"{wheel.name} names no licence"]),
    ]


def try_wheel(wheel: Path, version: str) -> None:
    """Install the wheel where nothing else is, and ask both commands for their version.

    Without its extra it cannot serve, and must say so in one line.

    Raises:
        SystemExit: One of them says something else.
    """
    python = make_venv(BUILD / "venvs" / "dist")
    install(python, str(wheel))
    for name in COMMANDS:
        said = ask([python.with_name(name), "--version"]).strip()
        if not said.endswith(f" {version}"):
            sys.exit(f"{name} --version says {said!r}")
        print(f"{name}: {said}")
    done = subprocess.run(
        [python.with_name("yb"), "demo"], capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    if done.returncode != 2 or len(lines) != 1 or INSTALL not in lines[0]:
        sys.exit(f"yb demo ends with {done.returncode} and says {done.stderr!r}")
    print(f"yb demo: {lines[0]}")


def main(arguments: list[str] | None = None) -> None:
    """Build, check, try; exits with 1 at the first fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out: Path = parser.parse_args(arguments).out
    for old in (*out.glob("*.tar.gz"), *out.glob("*.whl")):
        old.unlink()
    sdist, wheel = build_both(ROOT, out, commit_epoch(ROOT))
    faults = faults_of(sdist, wheel, tracked_files(ROOT))
    if faults:
        sys.exit("\n".join(faults))
    try_wheel(wheel, str(read_metadata(wheel).version))
    print(f"wrote {sdist}\nwrote {wheel}")


if __name__ == "__main__":
    main()
