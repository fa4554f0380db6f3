"""Measured rows against their targets: printed, written as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the target table.

    Args:
        work: What was done.
        size: Files of the workspace, or another measure of how much; "" where it does not apply.
        ours: Our figure.
        peer: The peer's; None where the target is absolute.
        target: Largest ratio to the peer, or largest figure where there is no peer.
        unit: Of both figures.
        peer_name: Who the peer is.
        at_least: The target is a smallest ratio of the peer's figure to ours.
    """

    work: str
    size: str
    ours: float
    peer: float | None
    target: float
    unit: str = "ms"
    peer_name: str = "git"
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Ours through the peer's, or ours alone; the other way round for `at_least`."""
        if self.peer is None:
            return self.ours
        return self.peer / self.ours if self.at_least else self.ours / self.peer

    @property
    def passes(self) -> bool:
        """Whether the target is met."""
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target


def median(values: Sequence[float]) -> float:
    """The middle value, in milliseconds for seconds."""
    return statistics.median(values) * 1e3


def print_table(rows: Sequence[Row]) -> None:
    """The table, with the ratio, the target and whether it is met."""
    print(
        f"{'work':<44}{'size':>8}{'ours':>12}{'peer':>12}  {'peer is':<12}{'ratio':>9}{'target':>9}"
    )
    for row in rows:
        peer = "" if row.peer is None else f"{_shown(row.peer)} {row.unit}"
        sign = ">=" if row.at_least else "<="
        print(
            f"{row.work:<44}{row.size:>8}{_shown(row.ours) + ' ' + row.unit:>12}{peer:>12}  "
            f"{'' if row.peer is None else row.peer_name:<12}{_shown(row.ratio):>9}"
            f"{sign:>4}{_shown(row.target):>6}  {'pass' if row.passes else 'MISS'}"
        )


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """All rows with their ratios."""
    document = [asdict(row) | {"ratio": row.ratio, "passes": row.passes} for row in rows]
    path.write_text(json.dumps(document, indent=1) + "\n")


def _shown(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
