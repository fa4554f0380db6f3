"""Help is part of the interface: its text is kept beside the tests and a change is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from command_line import every_command

from yoi_bundles.cli.main import COMMANDS, cli

SNAPSHOTS = Path(__file__).parent / "snapshots"

ALL = every_command(cli)


@pytest.mark.parametrize("words", ALL, ids=lambda words: "-".join(words) or "root")
def test_help_is_as_it_was(yoi, words):
    shown = yoi(*words, "--help")
    snapshot = SNAPSHOTS / f"{'-'.join(words) or 'root'}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        snapshot.write_text(shown.out)

    assert shown.code == 0
    assert shown.out == snapshot.read_text()


def test_no_snapshot_is_left_of_a_command_that_is_gone():
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {
        "-".join(words) or "root" for words in ALL
    }


def test_the_table_of_commands_says_what_their_own_help_says(yoi):
    for name, (_, line) in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.help.splitlines()[0] == line


def test_an_unknown_command_is_a_usage_error_with_a_near_match(yoi):
    ran = yoi("publsh")

    assert ran.code == 2
    assert "publish" in ran.err


def test_an_option_of_no_command_is_a_usage_error(yoi):
    assert yoi("log", "--frobnicate").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_the_shell(yoi, shell):
    ran = yoi("completion", shell)

    assert ran.code == 0
    assert "_YOI_BUNDLES_COMPLETE" in ran.out


@pytest.mark.parametrize(
    ("shell", "registration"),
    [
        ("bash", "complete -o nosort -F _yoi_bundles_completion yb"),
        ("zsh", "compdef _yoi_bundles_completion yb"),
        ("fish", "complete --no-files --command yb "),
    ],
)
def test_the_short_name_is_completed_too(yoi, shell, registration):
    script = yoi("completion", shell).out

    assert registration in script
    assert registration.replace("yb", "yoi-bundles") in script


def test_a_file_of_zshs_function_path_names_both_commands_in_its_first_line(yoi):
    assert yoi("completion", "zsh").out.startswith("#compdef yoi-bundles yb\n")


@pytest.mark.parametrize("name", ["yoi-bundles", "yb"])
def test_bash_completes_commands_by_the_script(yoi, tmp_path, name):
    script = tmp_path / "script"
    script.write_text(yoi("completion", "bash").out)
    ask = f"COMP_WORDS=({name} back); COMP_CWORD=1; _yoi_bundles_completion {name}"
    words = f". {script}; complete -p {name}; {ask}; echo ${{COMPREPLY[@]}}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", words], env={"PATH": path}, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "backend"


def test_version(yoi):
    assert yoi("--version").out.startswith("yoi-bundles, version ")


def test_colour_is_as_the_environment_says_in_errors_too(yoi, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    forced = yoi("show", "nobody").err
    monkeypatch.setenv("NO_COLOR", "1")
    plain = yoi("show", "nobody").err

    assert "\x1b[" in forced
    assert "\x1b[" not in plain
