"""What a terminal is given: nothing that steers it, whoever wrote the text."""

from __future__ import annotations

import json

import click
import pytest

from yoi_bundles.cli.output import (
    encode_json,
    note_work,
    print_error,
    print_table,
    safe,
    shown_size,
)
from yoi_bundles.errors import PolicyDeniedError

STEERING = ["\x07", "\x1b[31m", "\r", "\x7f", "\x9b31m", "\u202e", "\u2066", "\ufeff", "\U000e0041"]


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_spelt_out(text):
    shown = safe(f"a{text}b")

    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


def test_letters_of_every_script_are_shown_as_they_are():
    assert safe("zażółć שלום 日本 👩\u200d🚀\n\tx") == "zażółć שלום 日本 👩\u200d🚀\n\tx"


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_json_says_the_same_without_what_steers_a_terminal(text):
    shown = encode_json({text: [text]})

    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == {text: [text]}


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_an_error_of_a_peer_steers_nothing(text, is_json, capsys):
    entry = dict.fromkeys(("file", "line", "power", "reason", "rule", "code", "message"), text)
    error = PolicyDeniedError(text, hint=text, refusals=[entry], findings=[entry])

    print_error(error, is_json=is_json)

    assert capsys.readouterr().err.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 bytes"),
        (9_999, "9,999 bytes"),
        (10_000, "9.8 KiB"),
        (9_999_999, "9,765.6 KiB"),
        (10_000_000, "9.5 MiB"),
        (5_000_000_000, "4,768.4 MiB"),
    ],
)
def test_sizes_are_shown_in_the_unit_that_people_read(size_bytes, shown):
    assert shown_size(size_bytes) == shown


def test_columns_are_as_wide_as_they_need_to_be_and_steer_nothing(capsys):
    print_table(("A", "LONGER"), [("wide cell", "x"), ("y\x1b[31m", "z")])

    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert lines == ["A          LONGER", "wide cell  x", "y\\x1b[31m  z"]


def test_work_is_told_only_to_somebody_who_is_watching(capsys, monkeypatch):
    note_work("verifying …")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    note_work("verifying more …")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "verifying more" in captured.err
    assert "verifying …" not in captured.err
