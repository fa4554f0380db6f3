"""Just enough Markdown to test documents: headings, links, tables, fenced blocks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN = "<!-- run -->"
FILE = re.compile(r"<!-- file ([\w./-]+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, what its fence says, what it holds."""

    line: int
    info: str
    text: str
    is_marked: bool
    """Whether `RUN` stands in the line above the fence."""
    file: str | None = None
    """Which file the reader makes of it, if the line above says ``<!-- file NAME -->``."""


def documents() -> list[Path]:
    """Every Markdown file of the project itself, not of bundles and fixtures."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = sorted(filter(None, listed.split("\0")))
    return [ROOT / name for name in names if name.startswith("docs/") or "/" not in name]


@cache
def read(name: str) -> str:
    """The text of a document below ``docs/``."""
    return (DOCS / name).read_text("utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block, in order."""
    lines = text.splitlines()
    opened: int | None = None
    for index, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = index
            continue
        above = next((one for one in reversed(lines[:opened]) if one.strip()), "")
        file = FILE.fullmatch(above.strip())
        yield Block(
            opened + 1,
            lines[opened][3:].strip(),
            "\n".join(lines[opened + 1 : index]),
            above.strip() == RUN,
            file[1] if file else None,
        )
        opened = None
    assert opened is None, f"the block of line {opened} is not closed"


def without_blocks(text: str) -> str:
    """The text with every fenced block emptied, lines kept."""
    kept, is_inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            is_inside = not is_inside
        kept.append("" if is_inside or line.startswith("```") else line)
    return "\n".join(kept)


def headings(text: str) -> list[str]:
    """Headings as written, without their number signs."""
    return re.findall(r"^#{1,6} (.+?)\s*$", without_blocks(text), re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that a heading gets when it is rendered."""
    found: set[str] = set()
    for heading in headings(text):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next of the same or a higher rank."""
    lines, found, rank = text.splitlines(), [], 0
    for line, bare in zip(lines, without_blocks(text).split("\n"), strict=True):
        level = len(bare) - len(bare.lstrip("#")) if bare.startswith("#") else 0
        if rank and level and level <= rank:
            break
        if rank:
            found.append(line)
        elif level and bare.lstrip("# ").strip() == heading:
            rank = level
    assert rank, f"no heading {heading!r}"
    return "\n".join(found)


def rows(text: str) -> list[list[str]]:
    """Cells of every table row but heads and rulers."""
    lines = [line for line in without_blocks(text).splitlines() if line.startswith("|")]
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines
    ]
    ruled = [index for index, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    dropped = {*ruled, *(index - 1 for index in ruled)}
    return [row for index, row in enumerate(cells) if index not in dropped]


def code_spans(text: str) -> list[str]:
    """What stands between single back quotes."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks(text))
