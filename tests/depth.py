"""How deep a run looks: ``TEST_TIMES=10`` tries ten times as many examples and power losses."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("TEST_TIMES", "1"))


def times(number: int) -> int:
    """How many of something a run tries, where a run of the usual depth tries a number of them."""
    return number * TIMES
