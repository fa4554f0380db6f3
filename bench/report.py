"""The latest table in docs/performance.md, between two marks, and where it was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.errors import BenchError
from bench.outputs import prepare_output
from bench.picture import draw_curves
from bench.table import HEADER, Record, cells

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
_PROGRAMS = {
    "git": ["git", "--version"],
    "nginx": ["nginx", "-v"],
    "rsync": ["rsync", "--version"],
    "ostree": ["ostree", "--version"],
}
_PACKAGES = ("hydra-core", "omegaconf", "rjsonnet", "dulwich", "pydantic")


def describe_machine() -> dict[str, str]:
    """Date, commit, machine, and the version of everything that is compared; nothing private."""
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _first_line(["git", "-C", str(DOCS), "rev-parse", "--short=10", "HEAD"]),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[2]:.1f}",
        "processor": _processor(),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
    for name, command in _PROGRAMS.items():
        numbers = re.search(r"\d+(?:\.\d+)+", _output(command))
        found[name] = "absent" if numbers is None else numbers[0]
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def prepare_docs() -> None:
    """Prove that `write_docs` will find what it needs; nothing is changed.

    Raises:
        BenchError: A file cannot be written, or has no place for the table.
    """
    page = DOCS / "performance.md"
    for path in (page, DOCS / "performance.svg"):
        prepare_output("--write-docs:", path)
    try:
        replace_block(page.read_text(), "")
    except (OSError, ValueError) as error:
        raise BenchError(f"--write-docs: {page.name} has no place for the table") from error


def write_docs(record: Record, about: Mapping[str, str]) -> None:
    """Replace the table of docs/performance.md, and the picture if growth was measured."""
    path = DOCS / "performance.md"
    path.write_text(replace_block(path.read_text(), _block(record, about)))
    if record.curves:
        draw_curves(DOCS / "performance.svg", record.curves)


def replace_block(text: str, block: str) -> str:
    """A document with another block between its marks.

    Raises:
        ValueError: It has no marks.
    """
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:start]}\n{block}{text[end:]}"


def _block(record: Record, about: Mapping[str, str]) -> str:
    where = ", ".join(f"{name} {value}" for name, value in about.items())
    lines = [f"Measured: {where}.", "", _line(HEADER), _line("---" for _ in HEADER)]
    lines += [_line(cells(row)) for row in record.ordered()]
    return "\n".join(lines) + "\n"


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _first_line(command: list[str]) -> str:
    return _output(command).strip().split("\n")[0]


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout + done.stderr
