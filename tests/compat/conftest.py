"""Fixtures of tests of the store in this directory."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "store"))

from store_factories import WORKSPACE, make_draft, make_files

from yoi_bundles.store import Repository


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
