"""Files that a run ends with, looked at when it begins: half an hour of measuring lies between."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.errors import BenchError


def prepare_output(option: str, path: Path) -> None:
    """Make the directories a file goes to, and prove that it can be written; its content stays.

    Args:
        option: Which asked for it; for the message.
        path: The file, which need not exist.

    Raises:
        BenchError: It cannot be written, or is a directory.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.open("ab").close()
        else:
            # A file of another name: a run that fails leaves no empty one under this name.
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise BenchError(f"{option} {path} cannot be written: {error.strerror}") from error
