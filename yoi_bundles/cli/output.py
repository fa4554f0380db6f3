"""Printing: tables and JSON on standard output, errors with their hint on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from yoi_bundles.cli.color import wanted_color
from yoi_bundles.errors import BundleError
from yoi_bundles.model.texts import UNSEEN

if TYPE_CHECKING:
    from yoi_bundles.model.finding import Finding
    from yoi_bundles.model.record import Message


def safe(text: str) -> str:
    """Text from a bundle or a peer, fit for a terminal: what would steer it is spelt out."""
    return UNSEEN.sub(lambda found: ascii(found.group())[1:-1], text)


def encode_json(value: object) -> str:
    """JSON for machines that a terminal may show too: what nobody sees is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return UNSEEN.sub(lambda found: json.dumps(found.group())[1:-1], text)


def say(text: str = "") -> None:
    """A line for people."""
    click.echo(text)


def note(text: str) -> None:
    """A line about progress, on standard error."""
    click.echo(click.style(text, dim=True), err=True)


def note_work(text: str) -> None:
    """Say what is being done while it may take long; only to somebody who is watching."""
    if sys.stderr.isatty():
        note(text)


def print_json(value: Message | dict[str, Any] | list[Any]) -> None:
    """A value for machines."""
    if not isinstance(value, dict | list):
        value = value.model_dump(mode="json", by_alias=True)
    click.echo(encode_json(value))


def good(text: str) -> str:
    """Green on a terminal."""
    return click.style(text, fg="green")


def bad(text: str) -> str:
    """Red on a terminal."""
    return click.style(text, fg="red")


def warn(text: str) -> str:
    """Yellow on a terminal."""
    return click.style(text, fg="yellow")


def dim(text: str) -> str:
    """Faint on a terminal."""
    return click.style(text, dim=True)


def bold(text: str) -> str:
    """Bold on a terminal."""
    return click.style(text, bold=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be."""
    lines = [tuple(head), *(tuple(map(safe, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for index, line in enumerate(lines):
        padded = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        text = "  ".join(padded).rstrip()
        say(dim(text) if index == 0 else text)


def shown_time(time: datetime | None) -> str:
    """A time for people, in UTC."""
    return "-" if time is None else time.strftime("%Y-%m-%d %H:%M:%S")


def shown_size(size_bytes: int) -> str:
    """A size for people."""
    if size_bytes < 10_000:
        return f"{size_bytes:,} bytes"
    if size_bytes < 10_000_000:
        return f"{size_bytes / 1024:,.1f} KiB"
    return f"{size_bytes / 1024 / 1024:,.1f} MiB"


def print_findings(findings: Iterable[Finding]) -> None:
    """Findings as compilers print them; in one write, as there may be hundreds."""
    lines = [line for finding in findings for line in _lines_of(finding)]
    if lines:
        say("\n".join(lines))


def _lines_of(finding: Finding) -> Iterator[str]:
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    colour = bad if finding.severity == "error" else warn
    yield f"{bold(safe(place))}: {colour(finding.code)}: {safe(finding.message)}"
    if finding.hint:
        yield dim(f"    {safe(finding.hint)}")


def _tell(text: str) -> None:
    click.echo(text, err=True, color=wanted_color())


def print_error(error: BundleError, *, is_json: bool) -> None:
    """An error on standard error: what happened, where, and what to do."""
    if is_json:
        document = {"code": error.code, "message": error.message, "hint": error.hint, **error.facts}
        _tell(encode_json(document))
        return
    _tell(f"{bad('error')}: {safe(error.message)} {dim('(' + error.code + ')')}")
    for entry in _entries(error, "refusals"):
        place = f"{entry['file']}:{entry.get('line')}" if entry.get("file") else ""
        _tell(
            f"  {bad('refused')} {entry.get('power')}  {dim(place)}\n"
            f"          {entry.get('reason')} {dim('[' + str(entry.get('rule')) + ']')}"
        )
    for entry in _entries(error, "findings"):
        place = f"{entry.get('file')}:{entry.get('line')}"
        _tell(f"  {bold(place)}: {bad(str(entry.get('code')))}: {entry.get('message')}")
    if error.hint:
        _tell(f"{dim('hint:')} {safe(error.hint)}")


def _entries(error: BundleError, key: str) -> list[dict[str, Any]]:
    """The rows of a fact, every text in them fit for a terminal."""
    value = error.facts.get(key)
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return [
        {name: safe(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    ]
