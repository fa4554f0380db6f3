"""What every test may rely on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "unit" / "store"))

import canaries
import command_line
import sharing
import telling
from depth import times
from house import House
from store_factories import WORKSPACE, make_draft, make_files

from yoi_bundles.store import Repository

# One deterministic profile: a failing example is found again by everybody, and a slow machine
# is no failure.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=times(60),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_configure(config):
    for plugin in (canaries, command_line, sharing, telling):
        config.pluginmanager.register(plugin)


def pytest_terminal_summary(terminalreporter):
    """Say in which order the tests came: one that the test before it disturbs is found again."""
    seed = terminalreporter.config.getoption("randomly_seed", None)
    terminalreporter.write_line(f"order of tests: PYTEST_ARGS=--randomly-seed={seed}")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A Backend and Runtimes on demand; everything is closed at the end."""
    monkeypatch.setenv("TEST_MODEL_KEY", canaries.SECRET_VALUE)
    built = House(tmp_path)
    yield built
    built.close()


@pytest.fixture
def repository(tmp_path):
    """An empty repository."""
    with Repository.create(tmp_path / "team-a.git", WORKSPACE) as opened:
        yield opened


@pytest.fixture
def published(repository):
    """A repository with one revision."""
    repository.publish(make_files(), make_draft())
    return repository


@pytest.fixture
def peer(tmp_path):
    """Another empty repository of the same workspace."""
    with Repository.create(tmp_path / "peer.git", WORKSPACE) as opened:
        yield opened
