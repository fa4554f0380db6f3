"""What every test may rely on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

import canaries
from house import House

# One deterministic profile: a failing example is found again by everybody, and a slow machine
# is no failure.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_configure(config):
    config.pluginmanager.register(canaries)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A Backend and Runtimes on demand; everything is closed at the end."""
    monkeypatch.setenv("TEST_MODEL_KEY", canaries.SECRET_VALUE)
    built = House(tmp_path)
    yield built
    built.close()
