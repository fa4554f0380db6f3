"""The command line as a process: what starting it costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.leftovers import set_aside
from bench.scale import Scale
from bench.stage import Stage, git
from bench.table import Record, median_ms

_PROGRAM = Path(sys.executable).parent / "yoi-bundles"
_AUTHOR = "Bench <bench@example.org>"
_NO_BYTECODE = ("PYTHONDONTWRITEBYTECODE",)
"""What would have each process compile every module anew."""


def measure_commandline(stage: Stage, scale: Scale, record: Record) -> None:
    """Rows of the suite ``cli``; the two that do not depend on files come with the first size."""
    size = len(stage.files)
    pairs = []
    for _ in range(scale.runs + 1):
        stage.publish_work()  # it sees that somebody else has published, and is warm again
        stage.edit_work()
        started = time.perf_counter()
        stage.publish_work()
        warm = time.perf_counter() - started
        stage.edit_work()
        pairs.append((_publish(stage, stage.root), warm))
        head = str(stage.head().digest)
        git(stage.work, "add", "-A")
        assert git(stage.work, "write-tree") == head, "the CLI published something else"
    more = [ours - warm for ours, warm in pairs[1:]]
    record.add("publish through the CLI, more than warm", size, median_ms(more))
    if size == scale.sizes[0]:
        runs = scale.runs + 1
        helped = [_run(stage, "--help") for _ in range(runs)]
        record.add("yoi-bundles --help", "", median_ms(helped[1:]))
        record.add("yoi-bundles publish, small workspace", size, _publish_small(stage, runs))
    git(stage.work, "commit", "-q", "-m", "Edits")
    stage.copy_to_git()


def _publish_small(stage: Stage, runs: int) -> float:
    """Milliseconds of a first publish: of the work tree, without git, in a directory of its own."""
    taken = []
    for run in range(runs):
        data = stage.root / f"small-{run}"
        taken.append(_publish(stage, data))
        set_aside(data)
    return median_ms(taken[1:])


def _publish(stage: Stage, data: Path) -> float:
    return _run(stage, "publish", "--data", str(data), str(stage.work))


def _run(stage: Stage, *arguments: str) -> float:
    """Seconds that a process took, with bytecode at hand as a program has that was installed."""
    environment = {key: text for key, text in os.environ.items() if key not in _NO_BYTECODE}
    environment["YOI_BUNDLES_AUTHOR"] = _AUTHOR
    environment["PYTHONPYCACHEPREFIX"] = str(stage.root / "bytecode")
    started = time.perf_counter()
    subprocess.run([_PROGRAM, *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - started
