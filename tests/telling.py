"""A plugin: what tests tried, told at the end of the run and from the run itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINE = "told"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the summary at the end of the run; it travels with the test's report."""

    def add(text: str) -> None:
        request.node.user_properties.append((_LINE, text))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        text
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == _LINE
    ]
    for line in sorted(lines):
        terminalreporter.write_line(line)
