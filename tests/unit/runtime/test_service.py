"""The Runtime as a library: Workers, dry runs, what it says of itself."""

from __future__ import annotations

import threading

import pytest
from canaries import SECRET_VALUE
from house import OTHER, POLICY, TEAM, worker_request

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidHostPolicyError,
    InvalidInputError,
    PolicyDeniedError,
    RevisionConflictError,
)
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.ids import WorkerId
from yoi_bundles.runtime.service import Runtime, summarise

BUILTIN = POLICY.replace('required_for = ["always"]', "required_for = []\nbuiltin_fallback = true")


@pytest.fixture
def held(house):
    """A Runtime that holds one bundle."""
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    return runtime, revision


def test_a_policy_that_is_not_safe_is_no_runtime(house):
    path = house.policy()
    path.chmod(0o666)

    with pytest.raises(InvalidHostPolicyError):
        Runtime.open(house.root / "r", policy=path)


def test_a_runtime_id_that_is_none_is_refused(house):
    with pytest.raises(InvalidInputError):
        Runtime.open(house.root / "r", policy=house.policy(), runtime_id="Bad Id")


def test_a_worker_is_made_once_however_many_ask_at_once(held):
    runtime, revision = held
    barrier, found = threading.Barrier(4), []

    def ask() -> None:
        barrier.wait(10)
        found.append(runtime.create_worker(worker_request(revision.digest)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(one.is_new for one in found) == [False, False, False, True]
    assert len({one.worker.model_dump_json() for one in found}) == 1


def test_the_same_worker_id_for_another_request_is_a_conflict(held):
    runtime, revision = held
    runtime.create_worker(worker_request(revision.digest))

    with pytest.raises(RevisionConflictError):
        runtime.create_worker(worker_request(revision.digest, selector="project:coder"))


def test_workers_are_listed_page_by_page(held):
    runtime, revision = held
    for number in range(5):
        runtime.create_worker(worker_request(revision.digest, worker_id=f"w-{number}"))
    found, after = [], None
    while True:
        page = runtime._workers.list(after=after, limit=2)
        found += [str(one.worker_id) for one in page.workers]
        after = page.next
        if after is None:
            break

    assert found == [f"w-{number}" for number in range(5)]


@pytest.mark.parametrize("after", ["²", "٣", "-1", "x", "", "9" * 19, "1.5", " 1"])
def test_a_page_nobody_gave_out_is_refused(held, after):
    runtime, _ = held

    with pytest.raises(InvalidInputError, match="page"):
        runtime.workers(after=after)


def test_a_page_after_the_last_is_empty(held):
    runtime, _ = held

    assert runtime.workers(after="9" * 18).workers == ()


def test_a_builtin_worker_is_launched_from_the_builtin_tree(house):
    runtime = house.runtime(policy=house.policy(BUILTIN))
    made = runtime.create_worker(worker_request(selector="builtin:coder")).worker

    plan = runtime.plan_launch(made.worker_id)

    assert made.mode == "builtin"
    assert plan.spec == made.spec
    assert plan.system_prompt.text


def test_a_synced_worker_is_launched_with_real_directories_and_secrets(house, held):
    runtime, revision = held
    runtime.create_worker(worker_request(revision.digest))

    plan = runtime.plan_launch(WorkerId("worker-1"))

    assert [mount.path for mount in plan.mounts] == [(house.root / "mounted").resolve()]
    assert plan.read_secret(plan.spec.secrets[0]).reveal() == SECRET_VALUE


def test_a_launch_obeys_the_policy_in_force(house, held):
    runtime, revision = held
    runtime.create_worker(worker_request(revision.digest))
    house.policy('schema = 1\n[bundles]\nworkspaces = ["team"]\n')
    runtime.policy.reload()

    with pytest.raises(PolicyDeniedError, match="no longer"):
        runtime.plan_launch(WorkerId("worker-1"))
    with pytest.raises(BundleMissingError):
        runtime.plan_launch(WorkerId("nobody"))


def test_a_workspace_that_cannot_be_followed_is_told_before_anything_is_held(house):
    runtime = house.runtime()
    runtime.note_contact(OTHER, "transport_failed: no connection")

    (status,) = runtime.info().following

    assert (status.workspace, status.last_contact) == (OTHER, None)
    assert status.last_error == "transport_failed: no connection"


def test_staleness_is_told_before_it_refuses(house, held):
    runtime, _ = held
    house.policy(
        POLICY.replace("[capabilities.git]", "stale_refuse_seconds = 60\n[capabilities.git]")
    )
    runtime.policy.reload()
    fresh = runtime.info().following[0]
    house.clock.advance(seconds=61)
    stale = runtime.info().following[0]

    assert fresh.staleness is None
    assert "refuses after 60" in stale.staleness


def test_a_report_names_every_bundle_without_its_history(house, held):
    runtime, revision = held

    report = runtime.report()

    assert [(one.digest, one.state) for one in report.bundles] == [(revision.digest, "accepted")]
    assert report.bundles[0].revision is None
    assert report.info == runtime.info()


def test_the_summary_names_kinds_and_names_only():
    policy = HostPolicy.model_validate(
        {
            "schema": 1,
            "secret": [{"name": "key", "env": "CANARY_ENV"}],
            "mount": [{"name": "src", "path": "/canary"}],
            "network": [{"hosts": ["canary.example"]}],
            "capabilities": {"git": {}, "shell": {"allow": False}},
            "tool": [{"tools": ["edit-*"]}, {"tools": ["never"], "action": "deny"}],
        }
    )

    assert summarise(policy) == (
        "capability:git", "mount:src", "network", "secret:key", "tool:edit-*",
    )  # fmt: skip
    assert summarise(HostPolicy.model_validate({"schema": 1})) == ()
