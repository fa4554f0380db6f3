"""What a terminal is given: nothing that steers it, whoever wrote the text."""

from __future__ import annotations

import json

import pytest

from yoi_bundles.cli.output import encode_json, print_error, safe
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
