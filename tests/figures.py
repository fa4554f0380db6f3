"""Puts what a whole test run printed into the documents that quote it.

``make test 2>&1 | tee LOG; .venv/bin/python tests/figures.py LOG`` rewrites the marked blocks of
README.md and docs/threat-model.md. A run that is not whole is refused.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HOSTILE = re.compile(
    r"hostile: refused (\d+)/(\d+) with the right code, controls accepted (\d+)/(\d+), "
    r"peak memory (\d+) MB over idle .*, longest answer ([\d.]+) s"
)
_CRASH = re.compile(r"crash: ([^,]+), ([^:]+): (.+)")
_DAMAGE = re.compile(r"damage: (backend|runtime), [^:]+: (\d+) flips, (\d+) found, (\d+) healed")
_FUZZ = re.compile(r"fuzz: ([^:]+): ([\d,]+) executions, .*, (\d+) findings")
_CANARIES = re.compile(r"canaries: looked at (.+)")


def main() -> None:
    """Rewrite both documents from a log."""
    log = Path(sys.argv[1]).read_text()
    table = make_table(log)
    replace_block(ROOT / "docs" / "threat-model.md", table)
    replace_block(ROOT / "README.md", make_summary(log))


def find_all(pattern: re.Pattern[str], log: str) -> list[tuple[str, ...]]:
    """All matches of a pattern that must be there.

    Raises:
        SystemExit: There is none: the run was not whole.
    """
    found = [match.groups() for match in pattern.finditer(log)]
    if not found:
        raise SystemExit(f"the log has no line like {pattern.pattern!r}")
    return found


def make_table(log: str) -> str:
    """The table of the threat model."""
    [(refused, cases, taken, controls, peak, longest)] = find_all(_HOSTILE, log)
    rows = [
        ("hostile bundle files refused with the right code", f"{refused} of {cases}"),
        ("good ones accepted afterwards, by the same store", f"{taken} of {controls}"),
        ("most memory over the idle process, for one bundle file", f"{peak} MB"),
        ("longest answer", f"{longest} s"),
        *_crash_rows(log),
        *_damage_rows(log),
    ]
    fuzzed = find_all(_FUZZ, log)
    rows.append(
        (
            f"executions of {len(fuzzed)} fuzz targets in a minute",
            f"{_sum(fuzzed):,}; {sum(int(row[2]) for row in fuzzed)} findings",
        )
    )
    [(watched,)] = find_all(_CANARIES, log)
    rows.append(("looked through for tokens, secrets and control characters", watched))
    lines = [f"| {what} | {figure} |" for what, figure in rows]
    return "\n".join(["| what was tried | figures |", "|---|---|", *lines])


def make_summary(log: str) -> str:
    """The sentence of the README."""
    [(refused, cases, *_)] = find_all(_HOSTILE, log)
    crashes = _by_kind(log)
    killed = sum(first_number(text) for _, text in crashes["kill -9"])
    states = sum(first_number(text) for _, text in crashes["power loss"])
    fuzzed = find_all(_FUZZ, log)
    text = (
        f"`make test` prints at its end what it tried: {refused} of {cases} hostile bundle files "
        f"refused with the right code, {killed} kills in the middle of a write and {states:,} "
        f"power losses survived, {_sum(fuzzed):,} inputs fuzzed. "
        "[docs/threat-model.md](docs/threat-model.md#what-the-tests-try) has all the figures."
    )
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _sum(fuzzed: list[tuple[str, ...]]) -> int:
    return sum(int(count.replace(",", "")) for _, count, _ in fuzzed)


def _by_kind(log: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, what, text in find_all(_CRASH, log):
        found[kind].append((what, text))
    return found


def _crash_rows(log: str) -> list[tuple[str, str]]:
    kinds = _by_kind(log)
    texts: list[tuple[str, str, Callable[[str], str]]] = [
        ("kill -9", "kill -9 before each change to files, survived", _of),
        ("ENOSPC", "no room at each write; the next try worked", _count),
        ("EIO", "an input/output error at each write; the next try worked", _count),
        ("power loss", "power losses: states of the disk that recovered", _count),
        ("small disk", "sizes of a real small disk; the next try worked", _count),
    ]
    return [
        (words, ", ".join(f"{what} {shown(text)}" for what, text in kinds[kind]))
        for kind, words, shown in texts
    ]


def _damage_rows(log: str) -> list[tuple[str, str]]:
    sides: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for side, *counts in find_all(_DAMAGE, log):
        flips, found, healed = map(int, counts)
        sides[side].append((flips, found, healed))
    texts = []
    for side, rows in sorted(sides.items()):
        flips, found, healed = (sum(column) for column in zip(*rows, strict=True))
        texts.append(f"{side} {flips}, {found}, {healed}")
    return [("bytes flipped in packs and indexes, found, healed", "; ".join(texts))]


def first_number(text: str) -> int:
    """The first number in a text."""
    found = re.search(r"\d+", text)
    return 0 if found is None else int(found[0])


def _of(text: str) -> str:
    return text.removesuffix(" points survived")


def _count(text: str) -> str:
    return str(first_number(text))


def replace_block(path: Path, text: str) -> None:
    """Replace what stands between ``<!-- figures -->`` and ``<!-- /figures -->``.

    Raises:
        SystemExit: The document has no such block.
    """
    begin, end = "<!-- figures -->", "<!-- /figures -->"
    before, _, rest = path.read_text().partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path.name} has no block of figures")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    main()
