"""The ways people name a revision; whatever names none is said to be missing."""

import pytest
from damaging import publish_line

from yoi_bundles.errors import BundleMissingError
from yoi_bundles.store import get_spelled_revision


@pytest.fixture
def line(repository):
    return publish_line(repository)


@pytest.mark.parametrize("name", ["main", "head", "HEAD"])
def test_the_newest_has_names(repository, line, name):
    assert get_spelled_revision(repository, name) == line[2]


@pytest.mark.parametrize("spelled", ["2", "r2"])
def test_a_number_names_a_revision(repository, line, spelled):
    assert get_spelled_revision(repository, spelled) == line[1]


@pytest.mark.parametrize("length", [12, 63, 64])
def test_a_commit_and_a_digest_are_named_by_their_beginnings_too(repository, line, length):
    for one in line:
        assert get_spelled_revision(repository, str(one.commit)[:length]) == one
        assert get_spelled_revision(repository, str(one.digest)[:length]) == one


@pytest.mark.parametrize(
    "spelled", ["4", "r0", "e" * 64, "e" * 12, "eeeeee", "Main", "", "main~1", "x" * 200]
)
def test_what_names_nothing_is_missing(repository, line, spelled):
    with pytest.raises(BundleMissingError) as caught:
        get_spelled_revision(repository, spelled)

    assert "main, a number" in caught.value.hint
    assert len(caught.value.message) < 150


def test_an_empty_repository_has_no_newest(repository):
    with pytest.raises(BundleMissingError):
        get_spelled_revision(repository, "main")
