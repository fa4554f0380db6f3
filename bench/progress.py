"""What a run is doing now, on standard error."""

from __future__ import annotations

import sys
import time

_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line, with the minutes since the start."""
    minutes, seconds = divmod(round(time.monotonic() - _STARTED), 60)
    print(f"[{minutes}:{seconds:02}] {text}", file=sys.stderr, flush=True)
