"""Prints what the crash tests tried, from the run itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_SEEN: dict[str, str] = {}


@pytest.fixture
def tell():
    """Adds a line to the summary at the end of the run."""

    def add(name: str, text: str) -> None:
        _SEEN[name] = text

    return add


def pytest_terminal_summary(terminalreporter):
    for name in sorted(_SEEN):
        terminalreporter.write_line(f"crash: {name}: {_SEEN[name]}")
