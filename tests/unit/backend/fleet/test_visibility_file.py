"""The visibility policy: default deny, every condition of a rule, told with its line."""

from __future__ import annotations

import pytest
from house import OTHER, TEAM, VISIBILITY

from yoi_bundles.backend.fleet.visibility_file import read_visibility
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import ChannelName, Name, RuntimeId
from yoi_bundles.model.visibility import VisibilityPolicy

EU = {Name("region"): "eu"}


@pytest.fixture
def read(tmp_path):
    def from_text(text):
        path = tmp_path / "visibility.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_visibility(path)

    return from_text


def test_nothing_said_is_nothing_shown(read):
    for policy in (VisibilityPolicy(schema=1), read("schema = 1\n")):
        assert not policy.is_visible(RuntimeId("eu-1"), EU, TEAM)


def test_labels_and_patterns_open_what_they_name(read):
    policy = read(VISIBILITY)

    assert policy.is_visible(RuntimeId("x"), EU, TEAM)
    assert not policy.is_visible(RuntimeId("x"), EU, OTHER)
    assert not policy.is_visible(RuntimeId("x"), {Name("region"): "us"}, TEAM)
    assert not policy.is_visible(RuntimeId("x"), {}, TEAM)
    assert policy.is_visible(RuntimeId("all-1"), {}, OTHER)


def test_a_rule_for_channels_still_opens_the_workspace_itself(read):
    policy = read('schema = 1\n[[rule]]\nworkspaces = ["team"]\nchannels = ["stable"]\n')

    assert policy.is_visible(RuntimeId("x"), {}, TEAM)
    assert policy.is_visible(RuntimeId("x"), {}, TEAM, ChannelName("stable"))
    assert not policy.is_visible(RuntimeId("x"), {}, TEAM, ChannelName("canary"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("schema = 1\n[[rule]]\nworkspace = ['a']\n", "visibility.toml:2"),
        ("schema = 2\n", "visibility.toml:1"),
        ("schema = 1\n\n[[rule]]\nworkspaces = []\n", "visibility.toml:4"),
        ("schema = 1\nrule = 3\n", "visibility.toml:2"),
    ],
)
def test_a_mistake_is_told_with_its_line(read, text, place):
    with pytest.raises(InvalidInputError) as raised:
        read(text)

    assert raised.value.message.startswith(place)
    assert raised.value.facts["findings"][0]["file"] == "visibility.toml"


def test_several_mistakes_are_counted(read):
    with pytest.raises(InvalidInputError, match="more") as raised:
        read("schema = 1\ncolour = 1\nshape = 2\n")

    assert len(raised.value.facts["findings"]) == 2


NESTED = b"schema = " + b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize("data", [b"schema = ", b"\xff\xfe", b"schema = 1\nschema = 1\n", NESTED])
def test_what_is_no_toml_is_told_as_such(read, data):
    with pytest.raises(InvalidInputError, match=r"visibility\.toml: not TOML"):
        read(data)


def test_line_ends_of_windows_are_fine(read):
    written = VISIBILITY.replace("\n", "\r\n")

    assert read(written) == read(VISIBILITY)
    with pytest.raises(InvalidInputError) as raised:
        read(written + "[[rule]]\r\nshape = 1\r\n")
    assert raised.value.facts["findings"][0]["line"] == VISIBILITY.count("\n") + 1


def test_a_file_that_is_not_there_is_told_without_its_directory(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InvalidInputError, match="cannot be read") as raised:
            read_visibility(path)
        assert str(tmp_path.parent) not in raised.value.message
