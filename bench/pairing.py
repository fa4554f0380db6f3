"""Figures of two commits, taken in turn: ratios of pairs, their spread, and what follows.

The ratio of a pair is ours through theirs. Its two figures were taken one right after the other, so
a machine that gets slower in the course of a run changes both and leaves the ratio.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.table import shown
from bench.targets import SUITES, TARGETS

FEWEST_PAIRS = 3
"""Of which quartiles say anything."""
HEADER = ("work", "size", "ours", "theirs", "ratio", "quartiles", "pairs", "")


class Key(NamedTuple):
    """What makes a row of one side the same as one of the other side."""

    suite: str
    work: str
    size: str
    unit: str


Figures = Mapping[Key, float]
"""Of one side, from one repetition."""


def read_figures(path: Path) -> dict[Key, float]:
    """What ``--json`` of one repetition wrote; a row of an absent peer is left out.

    An exponent may be nothing or less, so it has no ratio: the times it was fitted to stand for it.

    Raises:
        ValueError: It is no JSON, or not of this form.
        OSError: The file is not there.
    """
    document = json.loads(path.read_text())
    try:
        found = {
            Key(row["suite"], row["work"], row["size"], row["unit"]): float(row["ours"])
            for row in document["rows"]
            if row["ours"] is not None and row["unit"] != "exp"
        }
        for curve in document["curves"]:
            work = f"growth with {curve['axis']}: {curve['work']}"
            for number, milliseconds in curve["points"]:
                found[Key("growth", work, str(number), "ms")] = float(milliseconds)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not what a run writes: {error!r}") from error
    return found


@dataclass
class PairedRow:
    """One row of both sides.

    Args:
        key: Which one.
        pairs: Ours and theirs of each pair; None where a side has no such row.
    """

    key: Key
    pairs: list[tuple[float | None, float | None]] = field(default_factory=list)

    @property
    def ours(self) -> float | None:
        """Our median; None if this side has no such row."""
        return _median(ours for ours, _ in self.pairs)

    @property
    def theirs(self) -> float | None:
        """Their median; None if that side has no such row."""
        return _median(theirs for _, theirs in self.pairs)

    @property
    def ratios(self) -> list[float]:
        """Of each pair that has one: what the clock cannot see has none."""
        return [ours / theirs for ours, theirs in self.pairs
                if ours is not None and theirs is not None and ours > 0 and theirs > 0]  # fmt: skip

    @property
    def quartiles(self) -> tuple[float, float, float] | None:
        """Lower quartile, median and upper quartile of the ratios; None of too few."""
        ratios = self.ratios
        if len(ratios) < FEWEST_PAIRS:
            return None
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, middle, high

    @property
    def verdict(self) -> str:
        """``same``, ``slower`` or ``faster``; or why nothing can be said.

        It is the same if the median is no further from 1 than the quartiles are from each other.
        What should be small and is larger counts as slower, whatever the unit.
        """
        if self.theirs is None:
            return "only ours"
        if self.ours is None:
            return "only theirs"
        if self.quartiles is None:
            return "too few"
        low, middle, high = self.quartiles
        if abs(middle - 1) <= high - low:
            return "same"
        return "slower" if (middle > 1) != self._is_more_better else "faster"

    @property
    def _is_more_better(self) -> bool:
        target = TARGETS.get(self.key.work)
        return target is not None and target.more_is_better


@dataclass
class Pairing:
    """All rows so far; a suite that failed on one side is named, and why."""

    rows: dict[Key, PairedRow] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add_pair(self, ours: Figures, theirs: Figures) -> None:
        """One repetition of each side, of the same suite."""
        for key in dict.fromkeys([*ours, *theirs]):
            row = self.rows.setdefault(key, PairedRow(key))
            row.pairs.append((ours.get(key), theirs.get(key)))

    def ordered(self) -> list[PairedRow]:
        """Rows in the order of the target table, what it does not know at the end."""
        suite = {name: number for number, name in enumerate(SUITES)}
        place = {work: number for number, work in enumerate(TARGETS)}
        return sorted(
            self.rows.values(),
            key=lambda row: (
                suite.get(row.key.suite, len(suite)), place.get(row.key.work, len(place)),
            ),
        )  # fmt: skip

    def has_slower(self) -> bool:
        """Whether any row is."""
        return any(row.verdict == "slower" for row in self.rows.values())


def cells(row: PairedRow) -> tuple[str, ...]:
    """A row as text, in the order of `HEADER`."""
    ratio = spread = ""
    if row.quartiles is not None:
        low, middle, high = row.quartiles
        ratio, spread = f"{middle:.3f}", f"{low:.3f}-{high:.3f}"
    unit = row.key.unit
    return (
        row.key.work,
        row.key.size,
        "" if row.ours is None else f"{shown(row.ours)} {unit}",
        "" if row.theirs is None else f"{shown(row.theirs)} {unit}",
        ratio,
        spread,
        str(len(row.ratios)),
        row.verdict,
    )


def write_pairs(path: Path, pairing: Pairing, about: Mapping[str, str]) -> None:
    """Every pair as it was measured, and what follows from them."""
    document: dict[str, Any] = {
        "about": dict(about),
        "rows": [
            {
                **row.key._asdict(), "ours": row.ours, "theirs": row.theirs,
                "ratio_quartiles": row.quartiles, "verdict": row.verdict, "pairs": row.pairs,
            }
            for row in pairing.ordered()
        ],
        "failed": pairing.failed,
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n")


def _median(figures: Iterable[float | None]) -> float | None:
    there = [one for one in figures if one is not None]
    return statistics.median(there) if there else None
