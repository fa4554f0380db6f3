"""The growth curves as a picture: one panel for each number that grows, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from bench.table import Curve

_WIDTH, _HEIGHT = 340, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 44, 26, 46
_LEGEND = 84
_COLOURS = {
    "full sync": "#c2410c",
    "increment": "#1d4ed8",
    "publish": "#15803d",
    "publish, beyond a walk": "#65a30d",
    "look-up by digest": "#7e22ce",
    "anything new?": "#0e7490",
}
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#555}"
    ".title{font-weight:600;font-size:13px}.grid{stroke:#e2e2e2;stroke-width:1}"
    ".line{fill:none;stroke-width:2}"
)


class _Panel(NamedTuple):
    """Where numbers lie in one panel; both bounds are powers of ten."""

    left: float
    x_low: int
    x_high: int
    y_low: int
    y_high: int

    def x(self, value: float) -> float:
        part = (math.log10(value) - self.x_low) / (self.x_high - self.x_low)
        return self.left + _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        part = (math.log10(value) - self.y_low) / (self.y_high - self.y_low)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)


def draw_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Write the picture as SVG.

    Args:
        path: The file.
        curves: All of a run, at least one.
    """
    axes = list(dict.fromkeys(curve.axis for curve in curves))
    times = [point[1] for curve in curves for point in curve.points]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    width, height = _WIDTH * len(axes), _HEIGHT + _LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Time by files, revisions and held bundles</title>",
        f'<style>{_STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, axis in enumerate(axes):
        mine = [curve for curve in curves if curve.axis == axis]
        counts = [point[0] for curve in mine for point in curve.points]
        panel = _Panel(
            number * _WIDTH,
            math.floor(math.log10(min(counts))), max(1, math.ceil(math.log10(max(counts)))),
            low, high,
        )  # fmt: skip
        parts += _draw_grid(panel, axis)
        for curve in mine:
            parts += _draw_curve(panel, curve)
        parts += _draw_legend(panel, mine)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _draw_grid(panel: _Panel, axis: str) -> Iterator[str]:
    left, right = panel.x(10**panel.x_low), panel.x(10**panel.x_high)
    top, bottom = panel.y(10**panel.y_high), panel.y(10**panel.y_low)
    yield f'<text class="title" x="{left}" y="{_TOP - 18}">Time by {escape(axis)}</text>'
    for power in range(panel.y_low, panel.y_high + 1):
        y = panel.y(10.0**power)
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield (
            f'<text class="small" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_time(10.0**power)}</text>"
        )
    for power in range(panel.x_low, panel.x_high + 1):
        x = panel.x(10.0**power)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        yield (
            f'<text class="small" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{10**power:,}</text>"
        )
    yield (
        f'<text class="small" x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">'
        f"{escape(axis)}</text>"
    )


def _draw_curve(panel: _Panel, curve: Curve) -> Iterator[str]:
    colour = _COLOURS[curve.work]
    places = [(panel.x(number), panel.y(time)) for number, time in curve.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline class="line" stroke="{colour}" points="{line}"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _draw_legend(panel: _Panel, curves: Sequence[Curve]) -> Iterator[str]:
    for number, curve in enumerate(curves):
        x, y = panel.left + _LEFT, _HEIGHT + 10 + number * 15
        yield f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{_COLOURS[curve.work]}"/>'
        text = f"{curve.work} (exponent {curve.exponent:.2f})"
        yield f'<text class="small" x="{x + 20}" y="{y - 2}">{escape(text)}</text>'


def _time(milliseconds: float) -> str:
    if milliseconds >= 1_000:
        return f"{milliseconds / 1_000:g} s"
    return f"{milliseconds:g} ms" if milliseconds >= 1 else f"{milliseconds * 1_000:g} µs"
