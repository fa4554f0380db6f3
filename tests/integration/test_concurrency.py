"""Many at once: one winner, the others idempotent or a typed conflict, never an answer of 5xx."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from house import TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import BundleError, NotFastForwardError, RevisionConflictError
from yoi_bundles.model.revision import RevisionDraft
from yoi_bundles.store import Repository
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient


def all_at_once(calls):
    """Start every call at the same moment; results or errors in order."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait(20)
        try:
            return call()
        except BundleError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def served(house):
    """A Backend with one revision and a Runtime over HTTP that holds it."""
    backend, runtime = house.backend(), house.runtime()
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    revision = house.publish(backend).revision
    backend.sync(TEAM)
    clients = [RuntimeClient(house.client(url, token)) for _ in range(16)]
    return backend, runtime, clients, revision


def test_sixteen_equal_puts_make_one_new_bundle(house, served):
    backend, runtime, clients, _ = served
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    file = backend.bundle_file(second.digest, workspace=TEAM).path

    results = all_at_once(
        [lambda c=client: c.put_bundle(TEAM, second.digest, file) for client in clients]
    )

    assert [one for one in results if isinstance(one, BundleError)] == []
    assert sum(one.is_new for one in results) == 1
    assert runtime.bundle_status(second.digest).is_current


def test_of_eight_children_of_one_parent_one_wins_and_the_others_are_forks(house, served, tmp_path):
    backend, runtime, clients, first = served
    base = backend.bundle_file(first.digest, workspace=TEAM).path.read_bytes()
    children = []
    for number in range(8):
        store = Repository.create(tmp_path / f"fork-{number}.git", TEAM)
        with store.open_upload() as upload:
            upload.write(base)
            store.accept(
                upload,
                expected=first.digest,
                check_advance=lambda advance: None,
                check_content=lambda tree: None,
            )
        files = workspace_files(prompts__role__coder=f"\n{number}\n")
        draft = RevisionDraft(house.clock(), publish_request(files).provenance, f"Fork {number}")
        made = store.publish(files, draft).revision
        path = tmp_path / f"fork-{number}.bundle"
        with path.open("wb") as out:
            store.write_bundle(out, target=made.commit, bases=(first.commit,))
        store.close()
        children.append((made, path))

    results = all_at_once(
        [
            lambda c=client, r=made, p=path: c.put_bundle(TEAM, r.digest, p)
            for client, (made, path) in zip(clients, children, strict=False)
        ]
    )

    errors = [one for one in results if isinstance(one, BundleError)]
    assert len(results) - len(errors) == 1
    assert {type(error) for error in errors} == {NotFastForwardError}
    winner = next(one for one in results if not isinstance(one, BundleError))
    assert runtime.bundle_status(winner.status.digest).is_current


def test_two_publishers_at_once_leave_one_line_of_revisions(house):
    backend = house.backend()
    url = house.serve_backend(backend)
    house.publish(backend)
    clients = []
    for number in range(6):
        token = backend.credentials.create(f"p{number}", "publisher", now=house.clock()).token
        clients.append(BackendClient(house.client(url, token)))

    results = all_at_once(
        [
            lambda c=client, n=number: c.publish(
                TEAM, publish_request(workspace_files(prompts__role__coder=f"\n{n}\n"))
            )
            for number, client in enumerate(clients)
        ]
    )

    errors = [one for one in results if isinstance(one, BundleError)]
    assert {type(error) for error in errors} <= {RevisionConflictError}
    numbers = [one.number for one in backend.publishing.revisions(TEAM).revisions]
    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) == 1 + len(results) - len(errors)


def test_bundles_are_read_and_workers_made_while_others_arrive(house, served):
    backend, runtime, clients, first = served
    files = []
    for turn in range(6):
        revision = house.publish(backend, prompts__role__coder=f"\nTurn {turn}.\n").revision
        files.append((revision, backend.bundle_file(revision.digest, workspace=TEAM).path))

    def put_all():
        return [clients[0].put_bundle(TEAM, r.digest, path).is_new for r, path in files]

    def work(client, name):
        made = []
        for number in range(6):
            request = worker_request(first.digest, worker_id=f"{name}-{number}")
            made.append(client.create_worker(request).is_new)
            client.bundles(TEAM)
        return made

    results = all_at_once(
        [put_all, *(lambda c=clients[n], n=n: work(c, f"w{n}") for n in range(1, 4))]
    )

    assert [one for one in results if isinstance(one, BundleError)] == []
    assert all(all(one) for one in results)
    assert runtime.bundle_status(files[-1][0].digest).is_current


def test_the_same_worker_asked_for_at_once_is_made_once(served):
    _, runtime, clients, revision = served

    results = all_at_once(
        [
            lambda c=client: c.create_worker(worker_request(revision.digest))
            for client in clients[:8]
        ]
    )

    assert [one for one in results if isinstance(one, BundleError)] == []
    assert sum(one.is_new for one in results) == 1
    assert len({str(one.worker.receipt.spec_digest) for one in results}) == 1
    assert len(runtime.workers().workers) == 1
