"""Measured rows against their targets: collected, printed, written as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.targets import SUITES, TARGETS, Target


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the target table.

    Args:
        target: What it is held against.
        size: Files of the workspace, or another measure of how much; "" where it does not apply.
        ours: Our figure; None where the peer is absent and nothing was compared.
        peer: The peer's; None where the target is absolute or the peer is absent.
    """

    target: Target
    size: str
    ours: float | None
    peer: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours through the peer's, the other way round for `at_least`; None without a peer.

        None too if the peer took less than the clock can see.
        """
        if self.ours is None or not self.peer:
            return None
        return self.peer / self.ours if self.target.at_least else self.ours / self.peer

    @property
    def verdict(self) -> str:
        """``pass``, ``MISS``, ``info`` where there is no limit, or ``absent`` as the peer is."""
        limit = self.target.limit_of(self.size)
        if self.ours is None or (self.target.peer is not None and self.peer is None):
            return "absent"
        if limit is None or (self.target.peer is not None and self.ratio is None):
            return "info"
        held = self.ours if self.ratio is None else self.ratio
        return "pass" if (held >= limit if self.target.at_least else held <= limit) else "MISS"


@dataclass(frozen=True, slots=True)
class Curve:
    """How a time grows with a number.

    Args:
        axis: What the number counts.
        work: What was done.
        points: Number and milliseconds.
        exponent: Fitted.
    """

    axis: str
    work: str
    points: tuple[tuple[int, float], ...]
    exponent: float


@dataclass
class Record:
    """What a run has measured so far."""

    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    """Peers that are not installed here."""

    def add(self, work: str, size: object, ours: float, peer: float | None = None) -> None:
        """A figure in the unit of its target.

        Raises:
            KeyError: The table knows no such work.
        """
        self.rows.append(Row(TARGETS[work], str(size), ours, peer))

    def add_pairs(self, work: str, size: object, pairs: Sequence[tuple[float, float]]) -> None:
        """Medians, in milliseconds, of seconds taken in turn; the first pair warmed both up."""
        ours, theirs = zip(*pairs[1:], strict=True)
        self.add(work, size, median_ms(ours), median_ms(theirs))

    def add_absent(self, work: str, size: object) -> None:
        """A row whose peer is not installed, so that nothing was compared."""
        self.rows.append(Row(TARGETS[work], str(size), None))

    def missing(self, suites: Sequence[str]) -> list[str]:
        """Works that the suites should have measured and did not."""
        seen = {row.target.work for row in self.rows}
        return [w for w, target in TARGETS.items() if target.suite in suites and w not in seen]

    def ordered(self) -> list[Row]:
        """Rows in the order of the table, sizes in the order measured."""
        place = {work: number for number, work in enumerate(TARGETS)}
        suite = {name: number for number, name in enumerate(SUITES)}
        return sorted(self.rows, key=lambda row: (suite[row.target.suite], place[row.target.work]))


def median_ms(seconds: Sequence[float]) -> float:
    """The middle value, in milliseconds."""
    return statistics.median(seconds) * 1e3


HEADER = ("work", "size", "ours", "peer", "peer is", "ratio", "target", "")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of `HEADER`."""
    target, limit = row.target, row.target.limit_of(row.size)
    unit = "" if target.unit == "exp" else f" {target.unit}"
    sign = ">=" if target.at_least else "<="
    return (
        target.work,
        row.size,
        "" if row.ours is None else shown(row.ours) + unit,
        "" if row.peer is None else shown(row.peer) + unit,
        target.peer or "",
        "" if row.ratio is None else shown(row.ratio),
        "" if limit is None else f"{sign} {shown(limit)}",
        row.verdict,
    )


def print_table(record: Record) -> None:
    """The table, with the ratio, the target and whether it is met."""
    print_columns([HEADER, *(cells(row) for row in record.ordered())])
    for name in sorted(record.absent):
        print(f"absent: {name}")


def print_columns(lines: Sequence[Sequence[str]]) -> None:
    """Texts below each other, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        left = line[0].ljust(widths[0])
        print(left, *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)))


def write_json(path: Path, record: Record, about: Mapping[str, str]) -> None:
    """All that was measured, and where."""
    document: dict[str, Any] = {
        "about": dict(about),
        "rows": [
            {
                "suite": row.target.suite, "work": row.target.work, "size": row.size,
                "unit": row.target.unit, "ours": row.ours, "peer": row.peer,
                "peer_name": row.target.peer, "ratio": row.ratio,
                "limit": row.target.limit_of(row.size), "at_least": row.target.at_least,
                "verdict": row.verdict,
            }
            for row in record.ordered()
        ],
        "curves": [
            {"axis": one.axis, "work": one.work, "exponent": one.exponent, "points": one.points}
            for one in record.curves
        ],
        "absent": sorted(record.absent),
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n")


def read_json(path: Path, record: Record, suites: Collection[str]) -> str:
    """Take over what another run has measured in other suites.

    Args:
        path: What `write_json` wrote.
        record: Gets its rows and curves.
        suites: Of this run; theirs are left out.

    Returns:
        The commit that was measured then.
    """
    document = json.loads(path.read_text())
    for row in document["rows"]:
        if row["suite"] not in suites and row["work"] in TARGETS:
            record.rows.append(Row(TARGETS[row["work"]], row["size"], row["ours"], row["peer"]))
    if "growth" not in suites:
        for one in document["curves"]:
            points = tuple((number, time) for number, time in one["points"])
            record.curves.append(Curve(one["axis"], one["work"], points, one["exponent"]))
    record.absent |= set(document["absent"])
    return str(document["about"]["commit"])


def shown(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
