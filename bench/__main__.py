"""``python -m bench``: every target, measured against git and the other peers in one run."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from bench.against import run_against
from bench.commandline import measure_commandline
from bench.copying import measure_copying
from bench.errors import BenchError
from bench.fanout import measure_fanout
from bench.gitweb import install_missing
from bench.growth import measure_growth
from bench.leftovers import set_aside
from bench.memory import measure_memory
from bench.options import parse_options
from bench.outputs import prepare_output
from bench.progress import say
from bench.report import describe_machine, prepare_docs, write_docs
from bench.resolving import measure_resolving
from bench.scale import FULL, QUICK, Scale
from bench.serving import measure_serving
from bench.stage import open_stage
from bench.syncing import measure_syncing
from bench.table import Record, print_table, read_json, write_json
from bench.targets import SUITES

STAGED = {
    "serving": measure_serving,
    "syncing": measure_syncing,
    "copying": measure_copying,
    "cli": measure_commandline,
}
"""Suites that compare workspaces of several sizes with git."""
ALONE = {
    "resolve": measure_resolving,
    "memory": measure_memory,
    "growth": measure_growth,
    "fanout": measure_fanout,
}
"""Suites with a stage of their own."""


def main() -> None:
    """Measure, print the table, write it down."""
    options = parse_options()
    signal.signal(signal.SIGTERM, _leave)
    try:
        if options.against is None:
            _measure(options)
            return
        if options.only is None or set(options.only) & STAGED.keys():
            install_missing()
        with _directory() as root:
            sys.exit(run_against(options, root))
    except BenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def _leave(*_: object) -> NoReturn:
    """An end by signal is an exit: servers and directories go with it, and once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _measure(options: argparse.Namespace) -> None:
    """A run of this tree alone."""
    suites = options.only or SUITES
    record, scale = Record(), _scale_of(options)
    before = _prepare(options, suites, record)
    if set(suites) & STAGED.keys():
        install_missing()
    with _directory() as root:
        failed = _run(root, suites, scale, record)
    about = describe_machine() | {"clients": str(scale.clients), "runs": str(scale.runs)}
    if before is not None:
        if before != about["commit"]:
            about["commit"] += f" ({', '.join(suites)}), {before} (the rest)"
        suites = SUITES
    print_table(record)
    if options.json is not None:
        write_json(options.json, record, about)
    unmeasured = record.missing(suites)
    if failed or unmeasured:
        sys.exit(f"failed: {', '.join(failed)}; not measured: {', '.join(unmeasured)}")
    if options.write_docs:
        write_docs(record, about)
    say("every client verified, every row measured")


def _prepare(options: argparse.Namespace, suites: Sequence[str], record: Record) -> str | None:
    """Look at every file that the end of the run needs; returns the commit of ``--beside``.

    Raises:
        BenchError: One cannot be read or written.
    """
    if options.json is not None:
        prepare_output("--json", options.json)
    if options.write_docs:
        prepare_docs()
    if options.beside is None:
        return None
    try:
        return read_json(options.beside, record, suites)
    except OSError as error:
        raise BenchError(f"--beside {options.beside}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"--beside {options.beside} is not what --json writes") from error


def _run(root: Path, suites: Sequence[str], scale: Scale, record: Record) -> list[str]:
    """Run suites one after the other; names those that failed, after the others are done."""
    failed: list[str] = []
    for name, measure in ALONE.items():
        if name in suites:
            say(name)
            with _noted(name, failed), _part(root / name) as part:
                measure(part, scale, record)
    staged = [name for name in STAGED if name in suites]
    for size in scale.sizes if staged else ():
        with _noted(f"{size} files", failed):
            _run_staged(root / f"{size}-files", size, staged, scale, record)
    return failed


def _run_staged(root: Path, size: int, suites: list[str], scale: Scale, record: Record) -> None:
    say(f"{size} files: preparing {scale.revisions} revisions")
    with _part(root) as part, open_stage(part, size, revisions=scale.revisions) as stage:
        for name in suites:
            say(f"{size} files: {name}")
            STAGED[name](stage, scale, record)


@contextlib.contextmanager
def _noted(name: str, failed: list[str]) -> Iterator[None]:
    """What goes wrong here is shown, and the run goes on: half an hour of it may be behind."""
    try:
        yield
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        failed.append(name)


@contextlib.contextmanager
def _part(root: Path) -> Iterator[Path]:
    """A new directory whose files take no room afterwards."""
    root.mkdir()
    try:
        yield root
    finally:
        set_aside(root)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """An empty directory that is gone afterwards, whatever happens."""
    root = Path(tempfile.mkdtemp(prefix="yoi-bench-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _scale_of(options: argparse.Namespace) -> Scale:
    given = {
        name: value
        for name in ("sizes", "revisions", "clients", "runs")
        if (value := getattr(options, name)) is not None
    }
    return replace(QUICK if options.quick else FULL, **given)


if __name__ == "__main__":
    main()
