"""``python -m bench``: every target, measured against git and the other peers in one run."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.gitweb import find_missing
from bench.serving import measure_serving
from bench.stage import open_stage
from bench.syncing import measure_bytes, measure_publish, measure_syncs, measure_verification
from bench.table import Row, print_table, write_json

SIZES = (50, 1_000, 10_000)
REVISIONS = 100


def main() -> None:
    """Measure, print the table, write it down."""
    options = _parse()
    missing = find_missing()
    if missing:
        sys.exit(f"git over HTTP needs {', '.join(missing)}: apt-get install nginx-light fcgiwrap")
    rows: list[Row] = []
    for size in options.sizes:
        rows += _measure_size(size, options)
    print_table(rows)
    if options.json is not None:
        write_json(options.json, rows)


def _measure_size(size: int, options: argparse.Namespace) -> list[Row]:
    root = Path(tempfile.mkdtemp(prefix="yoi-bench-"))
    try:
        _say(f"{size} files: preparing {options.revisions} revisions")
        with open_stage(root, size, revisions=options.revisions) as stage:
            rows = []
            _say(f"{size} files: server CPU, {options.clients} clients of each kind")
            rows += measure_serving(stage, options.clients)
            _say(f"{size} files: syncs, publish, bytes, verification, {options.runs} runs")
            rows += measure_syncs(stage, options.runs)
            rows.append(measure_publish(stage, options.runs))
            rows += measure_bytes(stage)
            rows.append(measure_verification(stage, options.runs))
            return rows
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", type=lambda text: [int(one) for one in text.split(",")])
    parser.add_argument("--revisions", type=int, default=REVISIONS)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs, no verdict")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    if options.quick:
        options.revisions, options.clients, options.runs = 5, 5, 3
    options.sizes = options.sizes or (SIZES[:2] if options.quick else SIZES)
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
