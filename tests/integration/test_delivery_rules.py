"""What a delivery says about freshness, states, validators and who may have what."""

from __future__ import annotations

import pytest
from house import TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidManifestError,
    MissingPrerequisiteError,
    StorageFullError,
    StoreCorruptError,
    TransportError,
    UnauthenticatedError,
    error_classes,
    is_refusal,
)
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.messages.revisions import RevisionList

EU = RuntimeId("eu-1")
STALE = "stale_warn_seconds = 60\nstale_refuse_seconds = 600\n\n[capabilities.git]"


@pytest.fixture
def pushed(house):
    """A Backend that pushes to the Runtime eu-1, which goes stale after ten minutes."""
    text = house.policy_text.replace("[capabilities.git]", STALE)
    backend, runtime = house.backend(), house.runtime(policy=house.policy(text))
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    revision = house.publish(backend).revision
    backend.sync(TEAM)
    return backend, runtime, revision


def test_a_push_that_finds_the_newest_revision_confirms_it(house, pushed):
    backend, runtime, revision = pushed
    house.clock.advance(seconds=900)

    outcome = backend.sync(TEAM).outcomes[0]

    assert outcome.outcome == "current"
    assert runtime.create_worker(worker_request(revision.digest)).worker.warnings == ()


def test_a_push_of_an_older_held_bundle_confirms_nothing(house, pushed):
    backend, runtime, first = pushed
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    backend.sync(TEAM)
    contact = runtime.info().following[0].last_contact
    house.clock.advance(seconds=30)
    file = backend.bundle_file(first.digest, workspace=TEAM)

    runtime.put_bundle(TEAM, first.digest, [file.path.read_bytes()])

    assert runtime.info().following[0].last_contact == contact


def test_the_backend_learns_that_a_bundle_became_active(pushed):
    backend, runtime, revision = pushed
    before = backend.fleet.view(EU).bundles[0]
    runtime.create_worker(worker_request(revision.digest))

    backend.sync(TEAM)

    after = backend.fleet.view(EU).bundles[0]
    assert (before.state, before.last_activated) == ("accepted", None)
    assert after.state == "active"
    assert after.last_activated is not None
    assert after.last_fetched == before.last_fetched


def test_a_follower_tries_again_after_trouble_of_its_own(house, monkeypatch):
    backend, runtime = house.backend(), house.runtime()
    token = house.register(backend, "eu-1")
    client = BackendClient(house.client(house.serve_backend(backend), token))
    follower = Follower(runtime, client, [TEAM], interval_seconds=3600)
    revision = house.publish(backend).revision

    def full(*_: object) -> None:
        raise StorageFullError("no room left")

    with monkeypatch.context() as patch:
        # The one fault a test cannot make for real without a disk of its own.
        patch.setattr(runtime.held, "accept", full)
        with pytest.raises(StorageFullError):
            follower.poll(TEAM)
    result = follower.poll(TEAM)

    assert result is not None
    assert result.status.digest == revision.digest


def test_two_revisions_of_one_digest_have_validators_of_their_own(house):
    backend = house.backend()
    a = publish_request(workspace_files())
    b = publish_request(workspace_files(prompts__role__coder="\nBe exact.\n"))
    first = backend.publishing.publish(TEAM, a).revision
    old = backend.bundle_file(first.digest, workspace=TEAM)
    backend.publishing.publish(TEAM, b)
    third = backend.publishing.publish(TEAM, a).revision
    new = backend.bundle_file(first.digest, workspace=TEAM)

    assert (first.digest, first.number, third.number) == (third.digest, 1, 3)
    assert old.etag != new.etag
    assert old.path.read_bytes() != new.path.read_bytes()


@pytest.mark.parametrize("form", ["{0}", "*", '"other", {0}', "W/{0}"])
def test_if_none_match_takes_lists_and_the_star(house, form):
    backend = house.backend()
    token = house.register(backend, "eu-1")
    revision = house.publish(backend).revision
    etag = backend.bundle_file(revision.digest, workspace=TEAM).etag
    client = house.client(house.serve_backend(backend), token)
    path = f"/v1/config-bundles/{revision.digest}"

    unchanged = client.request("GET", path, headers={"if-none-match": form.format(etag)})
    changed = client.request("GET", path, headers={"if-none-match": '"other"'})

    assert (unchanged.status, changed.status) == (304, 200)


def test_all_revisions_can_be_paged_through(house):
    backend = house.backend()
    for turn in range(5):
        house.publish(backend, prompts__role__coder=f"\nTurn {turn}.\n")
    token = backend.credentials.create("olu", "operator", now=house.clock()).token
    client = house.client(house.serve_backend(backend), token)
    seen, before = [], None
    while True:
        query = [("limit", "2"), *([("before", before)] if before else [])]
        page = client.get(f"/v1/workspaces/{TEAM}/revisions", RevisionList, query)
        seen += [one.number for one in page.revisions]
        before = page.next
        if before is None:
            break

    assert seen == [5, 4, 3, 2, 1]


def test_a_rule_for_other_channels_does_not_open_main(house):
    house.visibility_text = 'schema = 1\n[[rule]]\nworkspaces = ["team"]\nchannels = ["stable"]\n'
    backend = house.backend()
    token = house.register(backend, "eu-1")
    revision = house.publish(backend).revision
    client = BackendClient(house.client(house.serve_backend(backend), token))

    with pytest.raises(BundleMissingError):
        client.fetch_bundle(TEAM, revision.digest, (), lambda chunk: None)
    assert backend.sync(TEAM).outcomes[0].outcome == "not_visible"
    assert backend.fleet.view(EU).workspaces == ()


def test_the_visibility_policy_is_read_again_and_a_broken_one_is_not_taken(house):
    backend = house.backend()
    house.register(backend, "us-1", region="us")
    house.publish(backend)
    file = house.root / "visibility.toml"

    file.write_text('schema = 1\n[[rule]]\nworkspaces = ["*"]\n')
    backend.reload_visibility()
    opened = backend.fleet.view(RuntimeId("us-1")).workspaces
    file.write_text("schema = 1\n[[rule]\n")
    backend.reload_visibility()
    kept = backend.fleet.view(RuntimeId("us-1")).workspaces

    assert opened == kept == (TEAM,)


def test_servers_are_ready_while_their_database_answers(house):
    backend, runtime = house.backend(), house.runtime()

    assert backend.is_ready()
    assert runtime.is_ready()


def test_what_counts_as_a_refusal_is_a_judgement_on_what_was_sent():
    assert is_refusal(InvalidManifestError("x"))
    for neither in (
        MissingPrerequisiteError,
        UnauthenticatedError,
        BundleMissingError,
        StorageFullError,
        StoreCorruptError,
        TransportError,
    ):
        assert not is_refusal(neither("x")), neither
    assert {cls.code for cls in error_classes() if is_refusal(cls("x"))} >= {
        "digest_mismatch",
        "malformed_bundle",
        "missing_object",
        "too_large",
        "rollback_refused",
        "untrusted_signature",
        "policy_denied",
        "forbidden_material",
    }
