"""Programs that a run waits for, and that end with it, by themselves and in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_END_SECONDS = 60
"""For a benchmark to stop its servers and to remove its files."""


def run_child(
    command: Sequence[str],
    *, directory: Path, environment: Mapping[str, str], log: Path,
) -> int:  # fmt: skip
    """Run a program to its end; returns its status.

    It has a process group of its own, so that a Ctrl-C reaches it once, through us: one that came
    twice would interrupt its own tidying up.

    Args:
        command: What to run.
        directory: Where.
        environment: All of it.
        log: Gets both of its outputs; what was there goes.
    """
    process: subprocess.Popen[bytes] | None = None
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            return process.wait()
        finally:
            if process is not None and process.returncode is None:
                _end(process)


def last_line(log: Path) -> str:
    """What a program said last, "" if nothing."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; kill it with its group if it does not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
