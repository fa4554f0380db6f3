"""A user without a home, as a container has one by number alone, is no reason for a traceback."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

pytestmark = pytest.mark.floors


@pytest.fixture
def nameless(yoi, monkeypatch):
    """Commands of a user whom no file names."""

    def find_nobody(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", find_nobody)
    for name in [name for name in os.environ if name == "HOME" or name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    return yoi


def test_with_a_data_directory_everything_works(nameless):
    assert nameless("init", "team").code == 0
    assert nameless("publish", "team").code == 0
    assert nameless("backend", "token", "list").code == 0
    assert nameless("doctor").code in {0, 1}


def test_without_one_the_command_asks_for_it(nameless, monkeypatch):
    monkeypatch.delenv("YOI_BUNDLES_DATA")
    ran = nameless("backend", "token", "list")

    assert ran.code == 2
    assert "no home directory" in ran.err
    assert "--data" in ran.err
    assert list(Path().iterdir()) == []
