"""Routes of the Runtime: statuses, headers and values that are none."""

from __future__ import annotations

import json

import pytest
from house import TEAM, worker_request

from yoi_bundles.errors import BundleMissingError, InvalidInputError
from yoi_bundles.model.ids import Digest, WorkerId
from yoi_bundles.wire.client.runtime_client import RuntimeClient

NOWHERE = Digest("0" * 63 + "1")


@pytest.fixture
def served(house):
    """A client of a Runtime, a revision and its bundle file."""
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    url, token = house.serve_runtime(runtime)
    return house.client(url, token), revision, file.path


def test_an_upload_is_created_once_and_ok_afterwards(served):
    client, revision, file = served
    path = f"/v1/config-bundles/{revision.digest}"
    ask = {"query": [("workspace", "team")], "content": file.read_bytes()}

    first = client.request("PUT", path, **ask)
    again = client.request("PUT", path, **ask)

    assert (first.status, again.status) == (201, 200)
    assert json.loads(first.body)["status"]["state"] == "accepted"


def test_a_status_may_be_asked_for_without_its_body(served):
    client, revision, file = served
    RuntimeClient(client).put_bundle(TEAM, revision.digest, file)
    path = f"/v1/config-bundles/{revision.digest}"

    head, get = client.request("HEAD", path), client.request("GET", path)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))
    assert "private" in get.headers["cache-control"]


def test_a_worker_is_created_once_and_ok_afterwards(served):
    client, revision, file = served
    RuntimeClient(client).put_bundle(TEAM, revision.digest, file)
    body = worker_request(revision.digest).model_dump_json().encode()

    first = client.request("POST", "/v1/workers", content=body)
    again = client.request("POST", "/v1/workers", content=body)

    assert (first.status, again.status) == (201, 200)
    assert RuntimeClient(client).worker(WorkerId("worker-1")).worker_id == WorkerId("worker-1")
    assert [str(one.worker_id) for one in RuntimeClient(client).workers().workers] == ["worker-1"]


def test_pages_are_as_long_as_asked_for(served):
    client, revision, file = served
    RuntimeClient(client).put_bundle(TEAM, revision.digest, file)
    for number in range(3):
        RuntimeClient(client).create_worker(
            worker_request(revision.digest, worker_id=f"w-{number}")
        )

    page = json.loads(client.request("GET", "/v1/workers", query=[("limit", "2")]).body)
    rest = RuntimeClient(client).workers(after=page["next"])

    assert len(page["workers"]) == 2
    assert [str(one.worker_id) for one in rest.workers] == ["w-2"]
    assert RuntimeClient(client).bundles(after="zzz/").bundles == ()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/workers", [("after", "²")]),
        ("/v1/workers", [("after", "9" * 20)]),
        ("/v1/workers", [("after", "9" * 21)]),
        ("/v1/workers", [("limit", "0")]),
        ("/v1/workers/..%2Fx", ()),
        ("/v1/config-bundles", [("limit", "1001")]),
        ("/v1/config-bundles", [("workspace", "../x")]),
        ("/v1/config-bundles/xyz", ()),
    ],
)
def test_values_that_are_none_are_invalid_and_never_an_unexpected_error(served, path, query):
    client, _, _ = served

    with pytest.raises((InvalidInputError, BundleMissingError)):
        client.request("GET", path, query=query)


def test_an_upload_must_say_of_which_workspace_it_is(served):
    client, revision, file = served

    with pytest.raises(InvalidInputError, match="workspace"):
        client.request("PUT", f"/v1/config-bundles/{revision.digest}", content=file.read_bytes())


def test_a_dry_run_over_http_is_a_remote_one(served, house):
    client, revision, file = served
    RuntimeClient(client).put_bundle(TEAM, revision.digest, file)

    report = RuntimeClient(client).resolve(worker_request(revision.digest))

    assert report.receipt.bundle == revision.digest
    assert RuntimeClient(client).workers().workers == ()
