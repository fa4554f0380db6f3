"""Prints what the tests of damage tried, from the run itself."""

from __future__ import annotations

import pytest

_SEEN: dict[str, str] = {}


@pytest.fixture
def tell():
    """Adds a line to the summary at the end of the run."""

    def add(name: str, text: str) -> None:
        _SEEN[name] = text

    return add


def pytest_terminal_summary(terminalreporter):
    for name in sorted(_SEEN):
        terminalreporter.write_line(f"damage: {name}: {_SEEN[name]}")
