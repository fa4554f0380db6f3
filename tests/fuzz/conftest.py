"""Prints what the fuzzers tried, from the run itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

_LINE = "fuzz"


@pytest.fixture
def tell(request: pytest.FixtureRequest):
    """Adds a line to the summary at the end of the run; it travels with the test's report."""

    def add(text: str) -> None:
        request.node.user_properties.append((_LINE, text))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, text in report.user_properties:
                    if name == _LINE:
                        terminalreporter.write_line(f"fuzz: {text}")
