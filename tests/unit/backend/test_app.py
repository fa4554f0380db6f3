"""Routes of the Backend: statuses, headers and limits that clients rely on."""

from __future__ import annotations

import json

import pytest
from house import TEAM, publish_request, workspace_files

from yoi_bundles.errors import BundleMissingError, InvalidInputError, TooLargeError
from yoi_bundles.model.ids import Digest, RuntimeId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.messages.runtimes import BundleStatus, NackReason, StatusReport


@pytest.fixture
def backend(house):
    return house.backend()


@pytest.fixture
def url(house, backend):
    return house.serve_backend(backend)


@pytest.fixture
def operator(house, backend, url):
    token = backend.credentials.create("olu", "operator", now=house.clock()).token
    return house.client(url, token)


@pytest.fixture
def runtime_client(house, backend, url):
    return house.client(url, house.register(backend, "eu-1"))


def body(model) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def test_a_new_revision_is_created_and_the_same_again_is_ok(operator):
    request = body(publish_request(workspace_files()))
    path = f"/v1/workspaces/{TEAM}/revisions"

    first = operator.request("POST", path, content=request)
    again = operator.request("POST", path, content=request)

    assert (first.status, again.status) == (201, 200)
    assert json.loads(first.body)["revision"] == json.loads(again.body)["revision"]


def test_a_bundle_has_a_validator_that_saves_sending_it_again(house, backend, operator):
    first = house.publish(backend).revision
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    path = f"/v1/config-bundles/{second.digest}"
    full = operator.request("GET", path)
    increment = operator.request("GET", path, query=[("have", str(first.commit))])

    same = operator.request("GET", path, headers={"if-none-match": full.headers["etag"]})
    other = operator.request("GET", path, headers={"if-none-match": increment.headers["etag"]})

    assert full.headers["content-type"] == "application/x-git-bundle"
    assert "private" in full.headers["cache-control"]
    assert full.body.startswith(b"# v3 git bundle\n@object-format=sha256\n")
    assert len(increment.body) < len(full.body) / 5
    assert (same.status, same.body, other.status) == (304, b"", 200)


def test_a_channel_has_a_validator_too(house, backend, operator):
    house.publish(backend)
    path = f"/v1/workspaces/{TEAM}/channels/main"
    first = operator.request("GET", path)
    same = operator.request("GET", path, headers={"if-none-match": first.headers["etag"]})
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    news = operator.request("GET", path, headers={"if-none-match": first.headers["etag"]})

    assert (first.status, same.status, same.body, news.status) == (200, 304, b"", 200)
    assert json.loads(news.body)["sequence"] == 2


def test_a_report_of_a_thousand_bundles_is_taken(house, backend, runtime_client):
    house.publish(backend)
    why = NackReason(code="invalid_manifest", message="m" * 400, hint="h" * 200)
    bundles = tuple(
        BundleStatus(workspace=TEAM, digest=Digest(f"{n:064x}"), state="rejected", reasons=(why,))
        for n in range(1000)
    )
    report = StatusReport(info=house.runtime().info(), bundles=bundles)

    BackendClient(runtime_client).report(RuntimeId("eu-1"), report)

    assert len(backend.fleet.view(RuntimeId("eu-1")).bundles) == 1000


def test_other_bodies_keep_the_small_limit(operator):
    with pytest.raises(TooLargeError) as raised:
        operator.request("POST", "/v1/runtimes", content=b"x" * 300_000)

    assert raised.value.facts["limit_name"] == "request_bytes"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/workspaces/TEAM", ()),
        ("/v1/workspaces/team/revisions", [("limit", "0")]),
        ("/v1/workspaces/team/revisions", [("limit", "x")]),
        ("/v1/workspaces/team/diff", ()),
        ("/v1/runtimes", [("label", "region")]),
        ("/v1/runtimes/Bad", ()),
        ("/v1/config-bundles/12", ()),
        ("/v1/workspaces/team/channels/..", ()),
    ],
)
def test_values_that_are_none_are_invalid_and_never_an_unexpected_error(operator, path, query):
    with pytest.raises((InvalidInputError, BundleMissingError)) as raised:
        operator.request("GET", path, query=query)

    assert raised.value.code in {"invalid_input", "bundle_missing"}


@pytest.mark.parametrize("spelled", ["²", "r" + "9" * 30, "%00", "main%0a", "x" * 2000, "%ff"])
def test_odd_revisions_are_not_found(house, backend, operator, spelled):
    house.publish(backend)

    with pytest.raises(BundleMissingError):
        operator.request("GET", f"/v1/workspaces/team/revisions/{spelled}")


def test_a_digest_is_looked_for_in_every_workspace_that_may_be_seen(
    house, backend, operator, runtime_client
):
    revision = house.publish(backend).revision
    path = f"/v1/config-bundles/{revision.digest}"

    assert operator.request("GET", path).status == 200
    assert runtime_client.request("GET", path).status == 200
    for client in (operator, runtime_client):
        with pytest.raises(BundleMissingError, match="not visible to you"):
            client.request("GET", path, query=[("workspace", "other")])


def test_unregistering_has_no_body_and_works_once(house, backend, operator):
    house.register(backend, "eu-1")

    assert operator.request("DELETE", "/v1/runtimes/eu-1").status == 204
    with pytest.raises(BundleMissingError):
        operator.request("DELETE", "/v1/runtimes/eu-1")


def test_the_repository_path_is_for_the_backend_itself(house, backend):
    house.publish(backend)

    assert backend.repository_path(TEAM).is_dir()
    with pytest.raises(BundleMissingError):
        backend.repository_path("nobody")
