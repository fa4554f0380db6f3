"""The filter before the secret scan: it saves work and never hides a match."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yoi_bundles.content.material_filter import FOLDED, RUN_LENGTH
from yoi_bundles.content.material_filter import select_rules as select
from yoi_bundles.content.material_rules import RULES
from yoi_bundles.content.shape import classify

PROSE = st.text(alphabet=st.sampled_from("ab Z9.:=/-_\n'\"`<>\u00e9\u3042"), max_size=40)
SECRETS = st.one_of([st.from_regex(rule.pattern) for rule in RULES])
SPACES = st.sampled_from(["", " ", "    ", "\t", "\u00a0", "\u2003 ", "\n", "\x1c", "\x85"])
ASSIGNED = st.builds(
    "{}{}{}{}{}{}{}".format,
    st.sampled_from(["password", "API-Key", "to\u212aen", "pa\u017f\u017fword", "client_secret"]),
    SPACES,
    st.sampled_from([":", "=", ":=", "=>"]),
    SPACES,
    st.sampled_from(["'", '"', "`"]),
    st.sampled_from(["hunter2-and-9x", "p4$$w0rd!"]),
    st.sampled_from(["'", '"', "`"]),
)


def select_rules(text):
    data = text.encode()
    return select(text, data, classify(data))


@given(PROSE, st.one_of(SECRETS, ASSIGNED, PROSE), PROSE)
@example("", "x = 'y' password='abcd1234'", "")
@example("", "a://b:c@d", "")
def test_no_rule_that_matches_is_left_out(before, middle, after):
    text = before + middle + after
    lowered = text.lower()

    matching = {
        rule.id
        for rule in RULES
        if any(word in lowered for word in rule.keywords) and rule.pattern.search(text)
    }

    assert matching <= {rule.id for rule in select_rules(text)}


@pytest.mark.parametrize(
    "text",
    ["", "# Note\n\nAsk once (see the on-call handbook), then go on: be exact.\n" * 50],
    ids=["empty", "prose"],
)
def test_prose_is_not_searched_by_any_rule(text):
    assert select_rules(text) == ()


def test_a_run_of_token_characters_is_searched_for_keywords():
    assert [rule.id for rule in select_rules("npm_" + "a" * (RUN_LENGTH - 4))] == ["npm-token"]
    assert select_rules("npm_" + "a" * (RUN_LENGTH - 5)) == ()


def test_the_letters_that_case_folding_adds_are_all_known():
    found = [
        chr(code)
        for code in range(128, sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000 and re.fullmatch("[a-z]", chr(code), re.IGNORECASE)
    ]

    assert "".join(found) == FOLDED
