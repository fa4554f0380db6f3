"""Revisions: made, named, compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from house import OTHER, TEAM, publish_request, workspace_files

from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.errors import (
    BundleMissingError,
    ChannelGoneError,
    ForbiddenMaterialError,
    InvalidInputError,
    InvalidManifestError,
    RevisionConflictError,
    UnsupportedDeclarationError,
    WorkspaceNotVisibleError,
)
from yoi_bundles.model.ids import MAIN_CHANNEL, ChannelName, RelativePath
from yoi_bundles.wire.messages.publishing import texts_of

# Put together, so that no scanner takes this file for a leak.
TOKEN = "Sign in with ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8\n"
CODER = RelativePath("prompts/role/coder.md")


@pytest.fixture
def publishing(house):
    made, repositories = open_publishing(house.root / "data", house.clock)
    yield made
    repositories.close()


def publish(publishing, files=None, workspace=TEAM, **changes):
    return publishing.publish(workspace, publish_request(files or workspace_files(), **changes))


def test_a_revision_carries_what_the_publisher_said(publishing, house):
    revision = publish(publishing, message="First profiles\n\nBecause.").revision

    assert (revision.number, revision.parent, revision.workspace) == (1, None, TEAM)
    assert revision.created_at == house.clock()
    assert revision.message == "First profiles\n\nBecause."
    assert revision.provenance.published_by == "Ada <ada@example.org>"


def test_the_same_tree_is_the_same_revision_and_an_older_tree_a_new_one(publishing):
    first = publish(publishing)
    again = publish(publishing)
    second = publish(publishing, workspace_files(prompts__role__coder="\nBe exact.\n"))
    back = publish(publishing)

    assert (first.is_new, again.is_new, second.is_new, back.is_new) == (True, False, True, True)
    assert again.revision == first.revision
    assert back.revision.digest == first.revision.digest
    assert back.revision.number == 3


def test_the_expected_commit_must_be_the_newest(publishing):
    first = publish(publishing).revision
    second = workspace_files(prompts__role__coder="\nx\n")
    publish(publishing, second, expected=first.commit)

    with pytest.raises(RevisionConflictError) as raised:
        publish(publishing, workspace_files(prompts__role__coder="\ny\n"), expected=first.commit)

    assert raised.value.code == "revision_conflict"
    assert [one.number for one in publishing.revisions(TEAM).revisions] == [2, 1]


def test_files_of_another_workspace_are_refused_with_the_line(publishing):
    with pytest.raises(InvalidManifestError) as raised:
        publish(publishing, workspace=OTHER)

    assert raised.value.facts["file"] == "bundle.toml"
    assert raised.value.facts["line"] > 0
    with pytest.raises(WorkspaceNotVisibleError):
        publishing.workspace(OTHER)


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("notes.txt", "hello\n", UnsupportedDeclarationError),
        ("prompts/role/x.md", TOKEN, ForbiddenMaterialError),
        ("models/broken.toml", "[", InvalidManifestError),
    ],
)  # fmt: skip
def test_content_that_check_refuses_makes_no_workspace(publishing, path, text, kind):
    files = {**workspace_files(), RelativePath(path): text.encode()}

    with pytest.raises(kind) as raised:
        publish(publishing, files)

    assert raised.value.facts["findings"][0]["file"] == path
    assert publishing.list().workspaces == ()


def test_bytes_that_are_no_text_reach_the_check_and_are_refused(publishing):
    files = {**workspace_files(), CODER: b"caf\xe9\n"}

    with pytest.raises(InvalidManifestError) as raised:
        publishing.publish(TEAM, replace(publish_request({}), files=texts_of(files)))

    assert raised.value.facts["findings"][0]["file"] == str(CODER)


def test_revisions_come_newest_first_and_as_many_as_asked_for(publishing):
    for text in "abc":
        publish(publishing, workspace_files(prompts__role__coder=f"\n{text}\n"))

    assert [one.number for one in publishing.revisions(TEAM).revisions] == [3, 2, 1]
    assert [one.number for one in publishing.revisions(TEAM, limit=2).revisions] == [3, 2]
    assert [one.number for one in publishing.revisions(TEAM, limit=0).revisions] == [3]


def test_a_diff_tells_what_was_added_removed_and_changed(publishing):
    old, new = RelativePath("prompts/role/old.md"), RelativePath("prompts/role/new.md")
    publish(publishing, {**workspace_files(), old: b"You are old.\n"})
    files = workspace_files(prompts__role__coder="\nBe exact.")
    publish(publishing, {**files, new: b"You are new.\n"})

    changes = {one.path: one for one in publishing.diff(TEAM, "1", "2").changes}
    back = {one.path: one.kind for one in publishing.diff(TEAM, "2", "1").changes}

    assert {path: one.kind for path, one in changes.items()} == {
        CODER: "changed", new: "added", old: "removed",
    }  # fmt: skip
    assert "--- /dev/null\n+++ b/prompts/role/new.md" in changes[new].patch
    assert "+++ /dev/null" in changes[old].patch
    assert "+Be exact.\n\\ No newline at end of file\n" in changes[CODER].patch
    assert back == {CODER: "changed", new: "removed", old: "added"}


def test_a_revision_nobody_made_cannot_be_compared(publishing):
    publish(publishing)

    for old, new in (("1", "2"), ("9", "main"), ("", "main")):
        with pytest.raises(BundleMissingError):
            publishing.diff(TEAM, old, new)


def test_the_main_channel_points_at_the_newest_revision(publishing):
    publish(publishing)
    second = publish(publishing, workspace_files(prompts__role__coder="\nx\n")).revision

    view = publishing.channel(TEAM, MAIN_CHANNEL)

    assert (view.sequence, view.revision) == (2, second)


def test_a_channel_that_is_not_there_is_gone(publishing):
    publish(publishing)

    with pytest.raises(ChannelGoneError) as raised:
        publishing.channel(TEAM, ChannelName("canary"))

    assert raised.value.code == "channel_gone"
    assert "main" in raised.value.hint
    with pytest.raises(WorkspaceNotVisibleError):
        publishing.channel(OTHER, MAIN_CHANNEL)


def test_a_draft_that_cannot_become_a_commit_leaves_no_repository(house):
    backend = house.backend()
    files = workspace_files()

    with pytest.raises(InvalidInputError):
        backend.publishing.publish(TEAM, publish_request(files, message="x\n\nBundle-Revision: 9"))

    assert backend.publishing.list().workspaces == ()
    assert list((house.root / "backend" / "workspaces").glob("*.git")) == []
