"""The stage of the demo: what does not go as it is shown ends it, and no server outlives it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from yoi_bundles.cli import demo_stage
from yoi_bundles.cli.demo_stage import Stage
from yoi_bundles.errors import BundleError, TransportError

DEAF = """
import signal, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
threading.Event().wait(60)
"""


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path, capsys):
    with Stage(tmp_path) as stage, pytest.raises(TransportError) as caught:
        stage.start("backend serve --no-such-option", data="backend")

    assert caught.value.code == "transport_failed"
    assert "--no-such-option" in caught.value.hint
    assert "$ yoi-bundles backend serve" in capsys.readouterr().out


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_stage, "START_SECONDS", 0)

    with Stage(tmp_path) as stage, pytest.raises(TransportError):
        stage.start("backend serve", data="backend")

    assert stage._servers[0].poll() is not None


def test_another_exit_code_than_the_one_shown_ends_the_demo(tmp_path, capsys):
    with Stage(tmp_path) as stage, pytest.raises(BundleError) as caught:
        stage.run("show nobody", data="backend")

    assert "exit code 4 instead of 0" in caught.value.message
    assert "(workspace_not_visible)" in capsys.readouterr().out


@pytest.mark.needs_git
def test_a_git_command_that_fails_ends_the_demo(tmp_path):
    with Stage(tmp_path) as stage, pytest.raises(BundleError) as caught:
        stage.run_git("--git-dir nowhere.git log")

    assert "log failed" in caught.value.message


def test_a_server_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_stage, "STOP_SECONDS", 0.1)
    with Stage(tmp_path) as stage:
        deaf = subprocess.Popen(
            [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True, env={}
        )
        assert deaf.stdout.readline() == "ready\n"
        stage._servers.append(deaf)

    assert deaf.returncode == -9
    assert deaf.stdout.closed
