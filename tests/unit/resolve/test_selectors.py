"""Selectors: three spellings, one mode each, near matches when nothing fits."""

import pytest
from resolve_builders import PROFILE, make_bundle

from yoi_bundles.errors import InvalidProfileSelectorError
from yoi_bundles.model.ids import Name
from yoi_bundles.resolve import Selector, parse_selector, select_profile


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("default", Selector("default", None)),
        ("project:coder", Selector("project", Name("coder"))),
        ("builtin:coder", Selector("builtin", Name("coder"))),
    ],
)
def test_the_three_spellings_are_selectors(text, selector):
    assert parse_selector(text) == selector
    assert str(selector) == text


@pytest.mark.parametrize(
    "text",
    ["", "Default", " default", "default ", "coder", "project:", "project:Coder", "project:a/b",
     "other:coder", "builtin:../x", "project:a:b", "default:x"],
)  # fmt: skip
def test_nothing_else_is_a_selector(text):
    with pytest.raises(InvalidProfileSelectorError, match="is not a selector") as caught:
        parse_selector(text)
    assert caught.value.code == "invalid_profile_selector"
    assert "project:<name>" in caught.value.hint


def test_a_selector_from_outside_is_shown_escaped_and_short():
    with pytest.raises(InvalidProfileSelectorError) as caught:
        parse_selector("x\x1b[31m" * 100)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 120


def bundle():
    return make_bundle(
        {
            "profiles/base.toml": PROFILE + "",
            "profiles/common.toml": 'description = "Base"\nabstract = true\n',
            "profiles/reviewer.toml": PROFILE,
        }
    )


@pytest.mark.parametrize("mode", ["synced", "builtin"])
def test_default_picks_the_manifests_profile_in_either_mode(mode):
    assert select_profile(bundle(), parse_selector("default"), mode) == Name("coder")


def test_each_kind_picks_by_name_in_its_mode():
    reviewer = Name("reviewer")
    assert select_profile(bundle(), parse_selector("project:reviewer"), "synced") == reviewer
    assert select_profile(bundle(), parse_selector("builtin:reviewer"), "builtin") == reviewer


@pytest.mark.parametrize(
    ("text", "mode", "hint"),
    [
        ("builtin:coder", "synced", "use project:<name>"),
        ("project:coder", "builtin", "use builtin:<name>"),
    ],
)
def test_a_kind_of_the_other_mode_is_refused_with_the_right_one(text, mode, hint):
    with pytest.raises(InvalidProfileSelectorError, match=f"does not fit {mode} mode") as caught:
        select_profile(bundle(), parse_selector(text), mode)
    assert hint in caught.value.hint
    assert caught.value.facts["mode"] == mode


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(InvalidProfileSelectorError, match="no profile revewer") as caught:
        select_profile(bundle(), parse_selector("project:revewer"), "synced")
    assert caught.value.facts["near"] == ["reviewer"]
    assert caught.value.hint == "did you mean project:reviewer?"


def test_a_name_like_no_other_is_answered_with_what_there_is():
    with pytest.raises(InvalidProfileSelectorError) as caught:
        select_profile(bundle(), parse_selector("builtin:zzzz"), "builtin")
    assert "builtin:coder" in caught.value.hint
    assert "common" not in caught.value.hint


def test_an_abstract_profile_is_for_others_only():
    with pytest.raises(InvalidProfileSelectorError, match="abstract"):
        select_profile(bundle(), parse_selector("project:common"), "synced")


def test_a_bundle_of_abstract_profiles_has_nothing_to_offer():
    only = make_bundle({"profiles/coder.toml": 'description = "Base"\nabstract = true\n'})
    with pytest.raises(InvalidProfileSelectorError) as caught:
        select_profile(only, parse_selector("default"), "synced")
    assert caught.value.hint == "the bundle has no profile that may be selected"
