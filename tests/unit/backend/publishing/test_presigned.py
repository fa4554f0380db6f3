"""Revisions signed by their publisher: the Backend keeps exactly what was signed, or nothing."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from house import OTHER, TEAM, digest_of, publish_request, workspace_files

from yoi_bundles.author.signed_request import sign_request
from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.errors import InvalidInputError, RevisionConflictError, WorkspaceNotVisibleError
from yoi_bundles.store import parse_commit

WHEN = datetime(2026, 4, 5, 6, 7, 8, 999_999, tzinfo=UTC)
ARMOUR = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
CHANGED = {"prompts__role__coder": "\nBe exact.\n"}


@pytest.fixture
def publishing(house):
    made, repositories = open_publishing(house.root / "data", house.clock)
    yield made
    repositories.close()


def signed(request, head=None, workspace=TEAM, sign=lambda payload: ARMOUR):
    return sign_request(
        request, workspace, head, digest=digest_of(request), created_at=WHEN, sign=sign
    )


def request(**changes):
    return publish_request(workspace_files(**changes))


def publish(publishing, head=None, **changes):
    return publishing.publish(TEAM, signed(request(**changes), head)).revision


def test_what_was_signed_is_what_is_kept(publishing):
    first = publish(publishing)
    asked = signed(request(**CHANGED), first)
    reply = publishing.publish(TEAM, asked)

    assert reply.is_new
    assert (reply.revision.number, reply.revision.parent) == (2, first.commit)
    assert (first.is_signed, reply.revision.is_signed) == (True, True)
    assert reply.revision.created_at == WHEN.replace(microsecond=0)
    kept = publishing.store(TEAM).read_commit(reply.revision)
    assert kept.raw.decode() == asked.signed_commit


def test_the_signature_covers_the_commit_without_it(publishing):
    seen = []

    def sign(payload):
        seen.append(payload)
        return ARMOUR

    asked = signed(request(), sign=sign)
    assert parse_commit(asked.signed_commit.encode()).payload == seen[0]


def test_repeating_it_is_safe(publishing):
    asked = signed(request())
    first = publishing.publish(TEAM, asked)
    again = publishing.publish(TEAM, asked)

    assert (first.is_new, again.is_new) == (True, False)
    assert again.revision == first.revision


def test_what_is_current_is_not_signed_again(publishing):
    first = publish(publishing)

    def sign(payload):
        raise AssertionError("nothing is to be signed")

    asked = signed(request(), first, sign=sign)
    assert asked.signed_commit is None
    assert publishing.publish(TEAM, asked).is_new is False
    # Somebody publishes in between: nothing unsigned is made from the request.
    publish(publishing, first, **CHANGED)
    with pytest.raises(RevisionConflictError):
        publishing.publish(TEAM, asked)


def test_what_is_current_and_unsigned_is_said_and_not_passed_for_signed(publishing):
    head = publishing.publish(TEAM, request()).revision
    with pytest.raises(RevisionConflictError, match=r"revision 1 of team .* not signed"):
        signed(request(), head)
    # Also if the publisher did not look.
    late = signed(request())
    with pytest.raises(RevisionConflictError, match="not signed"):
        publishing.publish(TEAM, late)


def test_another_head_than_was_built_on_is_a_conflict(publishing):
    first = publish(publishing)
    publish(publishing, first, **CHANGED)
    late = signed(request(prompts__role__coder="\nOtherwise.\n"), first)
    with pytest.raises(RevisionConflictError, match="meanwhile"):
        publishing.publish(TEAM, late)
    with pytest.raises(RevisionConflictError):
        publishing.publish(TEAM, signed(request(prompts__role__coder="\nOtherwise.\n")))
    assert publishing.store(TEAM).find_head().number == 2


def test_the_expected_commit_counts_for_the_publisher_too(publishing):
    first = publish(publishing)
    second = publish(publishing, first, **CHANGED)
    asked = request(prompts__role__coder="\nThird.\n")
    with pytest.raises(RevisionConflictError):
        signed(replace(asked, expected=first.commit), second)
    good = signed(replace(asked, expected=second.commit), second)
    assert publishing.publish(TEAM, good).is_new
    with pytest.raises(InvalidInputError, match="another revision than is expected"):
        publishing.publish(TEAM, replace(good, expected=first.commit))


@pytest.mark.parametrize(
    "change",
    [
        {"files": {p: b.decode() for p, b in workspace_files(**CHANGED).items()}},
        {"message": "Another message"},
        {"provenance": "published_by"},
        {"signed_commit": lambda text: text.replace("Bundle-Revision: 1", "Bundle-Revision: 7")},
        {"signed_commit": lambda text: text.replace("A change", "Another")},
        {"signed_commit": lambda text: text.replace("Ada <ada@", "Eve <eve@")},
    ],
)
def test_a_commit_that_the_request_does_not_make_is_refused(publishing, change):
    asked = signed(request())
    for name, value in change.items():
        if value == "published_by":
            change = {name: replace(asked.provenance, **{value: "Eve <eve@example.org>"})}
        elif callable(value):
            change = {name: value(asked.signed_commit)}
    with pytest.raises(InvalidInputError, match="make another one"):
        publishing.publish(TEAM, replace(asked, **change))
    assert publishing.store(TEAM).find_head() is None


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda text: "", "cannot be read"),
        (lambda text: "\udcff" + text, "cannot be read"),
        (lambda text: text + "X: y\n", "cannot be read"),
        (lambda text: text.replace("AAAA", "A A"), "cannot be read"),
        (lambda text: text + "x" * 70_000, "cannot be read"),
        (lambda text: parse_commit(text.encode()).payload.decode(), "no signature"),
    ],
)
def test_a_text_that_is_no_signed_commit_is_refused(publishing, spoil, match):
    asked = signed(request())
    spoilt = replace(asked, signed_commit=spoil(asked.signed_commit))
    with pytest.raises(InvalidInputError, match=match):
        publishing.publish(TEAM, spoilt)
    with pytest.raises(WorkspaceNotVisibleError):
        publishing.store(TEAM)


def test_a_commit_of_another_workspace_is_refused(publishing):
    asked = signed(request(), workspace=OTHER)
    with pytest.raises(InvalidInputError, match="another workspace"):
        publishing.publish(TEAM, asked)


def test_a_request_shows_no_commit_when_it_is_printed():
    assert "SSH SIGNATURE" not in repr(signed(request()))


def test_a_head_far_away_in_time_changes_nothing(publishing):
    first = publish(publishing)
    for year in (1971, 9998):
        when = datetime(year, 1, 1, tzinfo=UTC)
        plain = request(prompts__role__coder=f"\n{year}\n")
        asked = sign_request(
            plain, TEAM, first,
            digest=digest_of(plain), created_at=when, sign=lambda payload: ARMOUR,
        )  # fmt: skip
        first = publishing.publish(TEAM, asked).revision
    assert (first.number, first.created_at.year) == (3, 9998)
