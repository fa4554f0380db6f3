"""A plugin: one command in this process, in an empty directory with a data directory of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click
import pytest
from canaries import SECRET_VALUE
from house import POLICY

from yoi_bundles.cli.main import run


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def every_command(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of a group and of every command below it."""
    context = click.Context(group)
    found = [words]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += every_command(command, (*words, name))
        else:
            found.append((*words, name))
    return found


@pytest.fixture
def yoi(capsys, monkeypatch, tmp_path):
    """Runs one command."""
    for name in ("BACKEND", "RUNTIME", "TOKEN", "TOKEN_FILE", "POLICY", "VISIBILITY"):
        monkeypatch.delenv(f"YOI_BUNDLES_{name}", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("YOI_BUNDLES_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("YOI_BUNDLES_AUTHOR", "Ada <ada@example.org>")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: str) -> Ran:
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def team(yoi):
    """A workspace directory `team`, not published yet."""
    assert yoi("init", "team", "--name", "The team").code == 0
    return yoi


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """A host policy that accepts the workspace `team`."""
    monkeypatch.setenv("TEST_MODEL_KEY", SECRET_VALUE)
    (tmp_path / "mounted").mkdir()
    path = tmp_path / "etc" / "policy.toml"
    path.parent.mkdir()
    path.write_text(POLICY.replace("{mount}", str(tmp_path / "mounted")))
    path.chmod(0o600)
    monkeypatch.setenv("YOI_BUNDLES_POLICY", str(path))
    return path
