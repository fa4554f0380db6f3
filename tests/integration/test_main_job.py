"""The main job over real sockets: publish, push, verify, resolve, and what must not happen."""

from __future__ import annotations

import subprocess

import pytest
from house import OTHER, TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import (
    BundleMissingError,
    DigestMismatchError,
    PolicyDeniedError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.model.ids import Digest, RuntimeId, WorkerId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import SyncRequest

pytestmark = pytest.mark.floors

NOWHERE = Digest("0" * 63 + "1")


@pytest.fixture
def synced(house):
    """A Backend that has pushed one revision to the Runtime eu-1, both served."""
    backend, runtime = house.backend(), house.runtime()
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    revision = house.publish(backend).revision
    reply = backend.sync(TEAM)
    assert [one.outcome for one in reply.outcomes] == ["synced"]
    client = RuntimeClient(house.client(url, token))
    return backend, runtime, client, revision


def test_a_published_workspace_becomes_a_worker_on_the_runtime(synced):
    _, _, client, revision = synced

    created = client.create_worker(worker_request(revision.digest))

    assert created.is_new
    assert created.worker.spec.bundle == revision.digest
    assert created.worker.spec.workspace == TEAM
    assert created.worker.receipt.commit == revision.commit
    assert str(created.worker.profile) == "coder"


def test_the_runtime_lists_what_it_holds_with_its_state(synced):
    _, _, client, revision = synced
    before = client.bundle_status(revision.digest)
    client.create_worker(worker_request(revision.digest))
    after = client.bundle_status(revision.digest)

    assert (before.state, before.workers, before.is_current) == ("accepted", 0, True)
    assert (after.state, after.workers) == ("active", 1)
    listed = client.bundles(TEAM)
    assert [one.digest for one in listed.bundles] == [revision.digest]
    assert listed.haves[0].haves == (revision.commit,)


def test_a_second_sync_sends_an_increment_and_a_third_nothing(house, synced):
    backend, runtime, _, first = synced
    full = backend.fleet.view(RuntimeId("eu-1")).bundles
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision

    increment = backend.sync(TEAM).outcomes[0]
    again = backend.sync(TEAM).outcomes[0]

    assert len(full) == 1
    assert (increment.outcome, increment.base) == ("synced", first.commit)
    assert 0 < increment.sent_bytes < 2_500
    assert (again.outcome, again.sent_bytes) == ("current", 0)
    assert runtime.bundle_status(second.digest).is_current
    assert not runtime.bundle_status(first.digest).is_current


def test_an_older_held_bundle_still_makes_workers(house, synced):
    backend, _, client, first = synced
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    backend.sync(TEAM)

    created = client.create_worker(worker_request(first.digest))

    assert created.worker.spec.bundle == first.digest


def test_a_worker_survives_a_restart_of_the_runtime(house, synced):
    _, runtime, client, revision = synced
    made = client.create_worker(worker_request(revision.digest)).worker
    runtime.close()

    reopened = house.runtime()

    assert reopened.worker(WorkerId("worker-1")) == made
    again = reopened.create_worker(worker_request(revision.digest))
    assert (again.is_new, again.worker) == (False, made)


def test_the_same_worker_id_for_another_request_is_a_conflict(synced):
    _, _, client, revision = synced
    client.create_worker(worker_request(revision.digest))

    with pytest.raises(RevisionConflictError) as raised:
        client.create_worker(worker_request(revision.digest, selector="project:reviewer"))

    assert raised.value.code == "revision_conflict"


def test_a_runtime_that_may_not_see_a_workspace_gets_the_answer_of_a_missing_one(house, synced):
    backend, _, _, revision = synced
    token = house.register(backend, "us-1", region="us")
    client = BackendClient(house.client(house.serve_backend(backend), token))

    def ask(digest: Digest) -> BundleMissingError:
        with pytest.raises(BundleMissingError) as raised:
            client.fetch_bundle(TEAM, digest, (), lambda chunk: None)
        return raised.value

    hidden, missing = ask(revision.digest), ask(NOWHERE)
    assert (hidden.code, hidden.message, hidden.hint, hidden.facts) == (
        missing.code,
        missing.message,
        missing.hint,
        missing.facts,
    )


def test_a_sync_to_a_runtime_that_may_not_see_it_sends_nothing(house, synced):
    backend, _, _, _ = synced
    other = house.runtime("us-1")
    url, token = house.serve_runtime(other)
    house.register(backend, "us-1", endpoint=url, push_token=token, region="us")

    reply = backend.sync(TEAM, SyncRequest(runtimes=(RuntimeId("us-1"),)))

    assert [(one.outcome, one.sent_bytes) for one in reply.outcomes] == [("not_visible", 0)]
    assert other.bundles().bundles == ()


def test_a_bundle_under_a_wrong_digest_is_refused_and_leaves_nothing(house, synced):
    backend, runtime, client, _ = synced
    newer = house.publish(backend, prompts__role__coder="\nNew.\n").revision
    file = backend.bundle_file(newer.digest, workspace=TEAM)

    with pytest.raises(DigestMismatchError) as raised:
        client.put_bundle(TEAM, NOWHERE, file.path)

    assert raised.value.facts["expected"] == str(NOWHERE)
    assert raised.value.facts["actual"] == str(newer.digest)
    with pytest.raises(BundleMissingError):
        runtime.held.revision(TEAM, newer.digest, None)
    status = runtime.bundle_status(NOWHERE)
    assert (status.state, status.reasons[0].code) == ("rejected", "digest_mismatch")
    assert client.put_bundle(TEAM, newer.digest, file.path).is_new


def test_a_second_put_of_a_held_bundle_is_not_new(synced):
    backend, _, client, revision = synced
    file = backend.bundle_file(revision.digest, workspace=TEAM)

    assert client.put_bundle(TEAM, revision.digest, file.path).is_new is False


def test_a_workspace_the_host_policy_does_not_accept_is_denied(house):
    backend = house.backend()
    runtime = house.runtime(policy=house.policy('schema = 1\n[bundles]\nworkspaces = ["other"]\n'))
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    house.publish(backend)

    outcome = backend.sync(TEAM).outcomes[0]

    assert (outcome.outcome, outcome.reason.code) == ("rejected", "policy_denied")


def test_what_a_runtime_refused_is_not_sent_again_until_its_policy_changes(house):
    backend = house.backend()
    policy = house.policy('schema = 1\n[bundles]\nworkspaces = ["other"]\n')
    runtime = house.runtime(policy=policy)
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    house.publish(backend)
    backend.sync(TEAM)
    seen = backend.fleet.view(RuntimeId("eu-1")).bundles[0]
    house.clock.advance(minutes=5)

    again = backend.sync(TEAM).outcomes[0]
    remembered = backend.fleet.view(RuntimeId("eu-1")).bundles[0]
    house.policy()
    runtime.policy.reload()
    after = backend.sync(TEAM).outcomes[0]

    assert again.outcome == "rejected"
    assert remembered.last_checked == seen.last_checked
    assert after.outcome == "synced"


def test_all_refusals_come_at_once_over_http(synced):
    _, _, client, revision = synced

    with pytest.raises(PolicyDeniedError) as raised:
        client.create_worker(worker_request(revision.digest, selector="project:operator"))

    refusals = raised.value.facts["refusals"]
    assert {one["power"] for one in refusals} == {"shell:operate", "tool:operate"}
    assert all(one["file"] == "profiles/operator.toml" and one["line"] > 0 for one in refusals)


def test_a_dry_run_explains_and_makes_nothing(synced):
    _, runtime, client, revision = synced

    report = client.resolve(worker_request(revision.digest))

    assert {one.field for one in report.explanation} >= {"model.ref", "engine.kind"}
    assert report.receipt.spec_digest == report.spec_digest
    assert runtime.workers().workers == ()


def test_an_unknown_token_is_refused_everywhere(house, synced):
    backend, runtime, _, _ = synced
    url = house.serve_backend(backend)

    for target in (url, house.serve_runtime_again(runtime)):
        with pytest.raises(UnauthenticatedError):
            house.client(target, "x" * 43).request("GET", "/v1/workspaces")


def test_clone_with_stock_git_over_http(house, synced, tmp_path):
    backend, _, _, revision = synced
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    token = backend.credentials.create("olu", "operator", now=house.clock()).token
    url = house.serve_backend(backend)
    target = tmp_path / "clone"

    done = subprocess.run(
        ["git", "-c", f"http.extraHeader=Authorization: Bearer {token}", "clone", "-q",
         f"{url}/git/team.git", str(target)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    tree = subprocess.run(
        ["git", "-C", str(target), "rev-parse", "HEAD~1^{tree}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert tree.stdout.strip() == str(revision.digest)


def test_git_push_to_the_backend_is_not_served(house, synced, tmp_path):
    backend, _, _, _ = synced
    token = backend.credentials.create("olu", "operator", now=house.clock()).token
    url = house.serve_backend(backend)
    repository = backend.repository_path(TEAM)

    done = subprocess.run(
        ["git", "--git-dir", str(repository), "-c",
         f"http.extraHeader=Authorization: Bearer {token}", "push", f"{url}/git/team.git", "main"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode != 0


def test_two_workspaces_do_not_see_each_other(house):
    backend, runtime = house.backend(), house.runtime("all-1")
    url, token = house.serve_runtime(runtime)
    house.register(backend, "all-1", endpoint=url, push_token=token)
    team = house.publish(backend).revision
    other = house.publish(backend, OTHER).revision
    backend.sync(TEAM)
    backend.sync(OTHER)
    client = RuntimeClient(house.client(url, token))

    with pytest.raises(BundleMissingError):
        client.create_worker(worker_request(team.digest, workspace=OTHER))
    assert client.create_worker(worker_request(other.digest, workspace=OTHER)).is_new


def test_publishing_over_http_is_idempotent_and_checks_the_expected_commit(house):
    backend = house.backend()
    token = backend.credentials.create("ada", "publisher", now=house.clock()).token
    client = BackendClient(house.client(house.serve_backend(backend), token))
    first = client.publish(TEAM, publish_request(workspace_files()))
    again = client.publish(TEAM, publish_request(workspace_files()))
    second = client.publish(TEAM, publish_request(workspace_files(prompts__role__coder="\nx\n")))

    with pytest.raises(RevisionConflictError):
        client.publish(
            TEAM,
            publish_request(
                workspace_files(prompts__role__coder="\ny\n"), expected=first.revision.commit
            ),
        )

    assert (first.is_new, again.is_new) == (True, False)
    assert again.revision == first.revision
    assert [one.number for one in client.revisions(TEAM).revisions] == [2, 1]
    assert client.revision(TEAM, "main") == second.revision
    assert client.revision(TEAM, "1") == first.revision
    changes = client.diff(TEAM, "1", "2").changes
    assert [str(one.path) for one in changes] == ["prompts/role/coder.md"]
    assert "+x" in changes[0].patch
