"""Bundles on a Runtime: taken in, told of, paged through, repaired."""

from __future__ import annotations

import pytest
from house import OTHER, POLICY, TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import (
    BundleMissingError,
    DigestMismatchError,
    MissingPrerequisiteError,
    PolicyDeniedError,
    StoreCorruptError,
)
from yoi_bundles.model.ids import Digest, WorkspaceId

NOWHERE = Digest("0" * 63 + "1")
NEXT = WorkspaceId("team-b")


@pytest.fixture
def backend(house):
    return house.backend()


@pytest.fixture
def runtime(house):
    return house.runtime(policy=house.policy(POLICY.replace('["team", "other"]', '["*"]')))


def carry(house, backend, runtime, workspace=TEAM, text=""):
    """Publish a revision and take it in."""
    files = workspace_files(workspace, prompts__role__coder=text)
    revision = backend.publishing.publish(workspace, publish_request(files)).revision
    file = backend.bundle_file(revision.digest, workspace=workspace)
    runtime.put_bundle(workspace, revision.digest, [file.path.read_bytes()])
    return revision


def pages(runtime, workspace=None):
    """Every (workspace, digest), one a page."""
    found, after = [], None
    for _ in range(50):
        page = runtime.held.list(workspace, after=after, limit=1)
        found += [(str(one.workspace), one.digest) for one in page.bundles]
        after = page.next
        if after is None:
            return found
    raise AssertionError("pages without end")


def test_every_bundle_is_on_exactly_one_page(house, backend, runtime):
    """Names of which one begins with the other are not in the order of "name/digest"."""
    wanted = []
    for workspace in (TEAM, NEXT, OTHER, WorkspaceId("team.c")):
        for text in ("", "\nBe exact.\n"):
            made = carry(house, backend, runtime, workspace, text)
            wanted.append((str(workspace), made.digest))

    assert sorted(pages(runtime), key=str) == sorted(wanted, key=str)
    assert len(pages(runtime, TEAM)) == 2


@pytest.mark.parametrize("after", ["", "zzz", "team", "team/", "/", "../../x"])
def test_a_position_nobody_gave_out_is_harmless(house, backend, runtime, after):
    carry(house, backend, runtime)

    assert len(runtime.bundles(after=after).bundles) in {0, 1}


def test_states_follow_what_happens_to_a_bundle(house, backend, runtime):
    first = carry(house, backend, runtime)
    accepted = runtime.bundle_status(first.digest)
    house.clock.advance(minutes=1)
    runtime.create_worker(worker_request(first.digest))
    second = carry(house, backend, runtime, text="\nBe exact.\n")
    active = runtime.bundle_status(first.digest, TEAM)

    assert (accepted.state, accepted.is_current, accepted.workers) == ("accepted", True, 0)
    assert (active.state, active.is_current, active.workers) == ("active", False, 1)
    assert active.activated_at > active.received_at
    assert runtime.bundle_status(second.digest).is_current


def test_a_refused_bundle_is_told_with_its_reason_until_it_is_accepted(house, backend, runtime):
    revision = backend.publishing.publish(TEAM, publish_request(workspace_files())).revision
    raw = backend.bundle_file(revision.digest, workspace=TEAM).path.read_bytes()

    with pytest.raises(DigestMismatchError):
        runtime.put_bundle(TEAM, NOWHERE, [raw])
    refused = runtime.bundle_status(NOWHERE)
    listed = runtime.bundles(TEAM).bundles

    assert (refused.state, refused.reasons[0].code) == ("rejected", "digest_mismatch")
    assert listed == (refused,)
    assert runtime.bundles(OTHER).bundles == ()
    with pytest.raises(BundleMissingError):
        runtime.bundle_status(NOWHERE, OTHER)


def test_a_held_bundle_stays_accepted_when_something_else_comes_under_its_name(
    house, backend, runtime
):
    first = carry(house, backend, runtime)
    second = backend.publishing.publish(
        TEAM, publish_request(workspace_files(prompts__role__coder="\nx\n"))
    ).revision
    raw = backend.bundle_file(second.digest, workspace=TEAM).path.read_bytes()

    with pytest.raises(DigestMismatchError):
        runtime.put_bundle(TEAM, first.digest, [raw])

    status = runtime.bundle_status(first.digest)
    assert status.state == "accepted"
    assert [one.digest for one in runtime.bundles(TEAM).bundles] == [first.digest]


def test_a_missing_prerequisite_says_nothing_about_the_bundle(house, backend, runtime):
    first = backend.publishing.publish(TEAM, publish_request(workspace_files())).revision
    second = backend.publishing.publish(
        TEAM, publish_request(workspace_files(prompts__role__coder="\nx\n"))
    ).revision
    file = backend.bundle_file(second.digest, haves=(first.commit,), workspace=TEAM)

    with pytest.raises(MissingPrerequisiteError):
        runtime.put_bundle(TEAM, second.digest, [file.path.read_bytes()])

    assert runtime.bundles().bundles == ()


def test_a_workspace_that_is_not_accepted_gets_no_upload(house):
    runtime = house.runtime()

    with pytest.raises(PolicyDeniedError) as raised:
        runtime.held.begin(NEXT)

    assert raised.value.facts["rule"] == "bundles.workspaces"


def test_without_an_announced_digest_the_tip_is_taken(house, backend, runtime):
    revision = backend.publishing.publish(TEAM, publish_request(workspace_files())).revision
    raw = backend.bundle_file(revision.digest, workspace=TEAM).path.read_bytes()

    taken = runtime.put_bundle(TEAM, None, [raw[:100], b"", raw[100:]])

    assert taken.status.digest == revision.digest
    assert taken.received_bytes == len(raw)


def test_what_is_not_held_has_no_haves_and_no_revision(runtime):
    assert runtime.held.haves(TEAM) == ()
    with pytest.raises(BundleMissingError) as raised:
        runtime.held.revision(TEAM, NOWHERE, None)
    assert raised.value.facts["digest"] == str(NOWHERE)


def test_a_damaged_checkout_is_made_anew(house, backend, runtime):
    revision = carry(house, backend, runtime)
    tree = runtime.held.trees.get(TEAM, revision.digest)
    path = next(iter(tree.entries()))
    good = tree.read(path)
    file = next((house.root / "eu-1" / "checkouts").rglob(str(path)))
    for place in (file.parent, file):
        place.chmod(0o700)
    file.write_bytes(b"tampered")

    with pytest.raises(StoreCorruptError):
        runtime.held.trees.get(TEAM, revision.digest).read(path)
    assert runtime.held.trees.repair(TEAM, revision.digest).read(path) == good
