"""What is answered at once is what would have been answered in the end, and nothing else is."""

from __future__ import annotations

import itertools

import pytest
from house import OTHER, TEAM

from yoi_bundles.backend.files.answer_cache import MAX_HAVES, parse_question
from yoi_bundles.errors import BundleMissingError, InvalidInputError
from yoi_bundles.model.ids import (
    MAIN_CHANNEL,
    ChannelName,
    CommitId,
    Digest,
    RuntimeId,
    WorkspaceId,
)

NOWHERE = Digest("ab" * 32)
NOBODY = WorkspaceId("nobody")


@pytest.fixture
def backend(house):
    """Two tenants with the same files: nearly all blobs are those of both."""
    opened = house.backend()
    for workspace in (TEAM, OTHER):
        house.publish(opened, workspace)
        house.publish(opened, workspace, prompts__role__coder="\nBe exact.\n")
    house.register(opened, "eu-1")
    return opened


@pytest.fixture
def eu(backend):
    return backend.fleet.known(RuntimeId("eu-1"))


def head_of(backend, workspace):
    return backend.publishing.store(workspace).find_head()


def ask(backend, digest, runtime=None, query=""):
    question = parse_question(str(digest), query.encode())
    return backend.answers.find_file(question, runtime)


def test_a_file_is_ready_once_somebody_got_it(backend, eu):
    head = head_of(backend, TEAM)
    assert ask(backend, head.digest, eu) is None
    for query, arguments in {
        "": {"is_shallow": True},
        "history=full": {},
        "workspace=team": {"is_shallow": True, "workspace": TEAM},
        f"have={head.parent}&workspace=team": {"haves": (head.parent,), "workspace": TEAM},
    }.items():
        file = backend.bundle_file(head.digest, runtime=eu, **arguments)
        assert ask(backend, head.digest, eu, query) == file
    assert ask(backend, NOWHERE, eu) is None


def test_what_another_tenant_made_ready_is_not_ready_for_who_may_not_see_it(backend, eu):
    """Both share their blobs, and an operator has fetched everything in every way."""
    mine, hidden = head_of(backend, TEAM), head_of(backend, OTHER)
    queries = ["", "workspace=other", "workspace=team", f"have={hidden.parent}"]
    for head in (mine, hidden):
        for haves, shallow in itertools.product([(), (head.parent,)], [True, False]):
            backend.bundle_file(head.digest, haves=haves, is_shallow=shallow)
    assert ask(backend, hidden.digest, None, "workspace=other") is not None

    for query in queries:
        assert ask(backend, hidden.digest, eu, query) is None, query
    file = ask(backend, mine.digest, eu)
    assert file.path.parent.name == "team"
    with pytest.raises(BundleMissingError):
        backend.bundle_file(hidden.digest, runtime=eu)
    assert backend.answers.find_channel(OTHER, MAIN_CHANNEL, eu) is None
    assert backend.answers.find_channel(TEAM, MAIN_CHANNEL, eu).revision == mine


def test_a_new_visibility_policy_holds_at_once(house, backend, eu):
    head = head_of(backend, TEAM)
    backend.bundle_file(head.digest, runtime=eu, is_shallow=True)
    assert ask(backend, head.digest, eu) is not None
    (house.root / "visibility.toml").write_text("schema = 1\n")

    backend.reload_visibility()

    assert ask(backend, head.digest, eu) is None
    assert backend.answers.find_channel(TEAM, MAIN_CHANNEL, eu) is None


def test_a_channel_is_ready_and_follows_what_other_processes_publish(house, backend):
    found = backend.answers.find_channel(TEAM, MAIN_CHANNEL, None)
    assert found == backend.channel(TEAM, MAIN_CHANNEL)

    with house.backend() as other_process:
        newer = house.publish(other_process, prompts__role__coder="\nBe quick.\n").revision

    assert backend.answers.find_channel(TEAM, MAIN_CHANNEL, None).revision == newer
    assert backend.answers.find_channel(TEAM, ChannelName("stable"), None) is None
    assert backend.answers.find_channel(NOBODY, MAIN_CHANNEL, None) is None


@pytest.mark.parametrize(
    ("digest", "query"),
    [
        ("12", ""),
        (str(NOWHERE), "have=12"),
        (str(NOWHERE), "workspace=TEAM"),
        (str(NOWHERE), "workspace="),
        (str(NOWHERE), "workspace=team&workspace=other"),
        (str(NOWHERE), "history=half"),
        (str(NOWHERE), "else=1"),
        (str(NOWHERE), "&".join([f"have={NOWHERE}"] * (MAX_HAVES + 1))),
    ],
)
def test_unusual_questions_are_left_to_the_documented_route(backend, digest, query):
    with pytest.raises(InvalidInputError):
        parse_question(digest, query.encode())


def test_a_question_is_read_as_the_documented_route_reads_it(backend):
    one, two = CommitId("1" * 64), CommitId("2" * 64)

    question = parse_question(str(NOWHERE), f"have={one}&workspace=te%61m&have={two}".encode())

    assert question == (NOWHERE, (one, two), TEAM, True)
