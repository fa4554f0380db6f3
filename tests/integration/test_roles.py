"""Who may do what on both servers: every route, every role, over real sockets."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlencode

import pytest
from house import TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.backend.app import create_app as backend_app
from yoi_bundles.errors import (
    BundleMissingError,
    ForbiddenError,
    UnauthenticatedError,
)
from yoi_bundles.runtime.app import create_app as runtime_app
from yoi_bundles.wire.messages.runtimes import (
    BundleStatus,
    NewPushToken,
    RegisterRuntime,
    StatusReport,
    SyncRequest,
)

BACKEND_ROLES = ("publisher", "operator", "runtime", "browser")
RUNTIME_ROLES = ("backend", "operator", "publisher", "runtime", "browser")

AUTHORS = {"publisher", "operator"}
OPERATORS = {"operator"}
READERS = {"publisher", "operator", "runtime"}
HOSTS = {"backend", "operator"}

BACKEND = {
    "GET /v1/workspaces": AUTHORS,
    "GET /v1/workspaces/{workspace}": AUTHORS,
    "POST /v1/workspaces/{workspace}/revisions": AUTHORS,
    "GET /v1/workspaces/{workspace}/revisions": AUTHORS,
    "GET /v1/workspaces/{workspace}/revisions/{spelled}": AUTHORS,
    "GET /v1/workspaces/{workspace}/diff": AUTHORS,
    "POST /v1/workspaces/{workspace}/sync": OPERATORS,
    "POST /v1/runtimes": OPERATORS,
    "GET /v1/runtimes": OPERATORS,
    "GET /v1/runtimes/{runtime_id}": OPERATORS,
    "DELETE /v1/runtimes/{runtime_id}": OPERATORS,
    "PUT /v1/runtimes/{runtime_id}/push-token": OPERATORS,
    "PUT /v1/runtimes/{runtime_id}/status": {"runtime"},
    "GET /v1/browser/overview": {"browser", "operator"},
    "GET /v1/config-bundles/{digest}": READERS,
    "HEAD /v1/config-bundles/{digest}": READERS,
    "GET /v1/workspaces/{workspace}/channels/{channel}": READERS,
    "GET /git/{workspace}.git/info/refs": AUTHORS,
    "POST /git/{workspace}.git/git-upload-pack": AUTHORS,
}
RUNTIME = {
    "GET /v1/runtime": HOSTS,
    "GET /v1/config-bundles": HOSTS,
    "GET /v1/config-bundles/{digest}": HOSTS,
    "HEAD /v1/config-bundles/{digest}": HOSTS,
    "PUT /v1/config-bundles/{digest}": HOSTS,
    "POST /v1/workers": HOSTS,
    "GET /v1/workers": HOSTS,
    "GET /v1/workers/{worker_id}": HOSTS,
    "POST /v1/resolve": HOSTS,
}
OPEN = ("/livez", "/healthz", "/readyz", "/metrics", "/openapi.json")


class Server:
    """One server, a token for each role, and what fills the holes of its routes."""

    def __init__(self, house, url, credentials, roles, *, holes, bodies, query) -> None:
        self.house, self.url, self.credentials = house, url, credentials
        self.holes, self.bodies, self.query = holes, bodies, query
        self.tokens = {
            role: credentials.create(f"some-{role}", role, now=house.clock()).token
            for role in roles
            if f"some-{role}" not in {one.name for one in credentials.list()}
        }

    def ask(self, route: str, token: str | None) -> int:
        """Status of a well-formed request."""
        method, _, path = route.partition(" ")
        for hole, value in self.holes.items():
            path = path.replace("{" + hole + "}", value)
        query = urlencode(self.query.get(route, ()))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=20)
        try:
            body = self.bodies.get(route)
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, f"{path}?{query}", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def backend_server(house):
    backend = house.backend()
    revision = house.publish(backend).revision
    token = house.register(backend, "some-runtime")
    body = lambda model: model.model_dump_json(by_alias=True).encode()  # noqa: E731
    server = Server(
        house,
        house.serve_backend(backend),
        backend.credentials,
        BACKEND_ROLES,
        holes={
            "workspace": "team", "spelled": "main", "runtime_id": "some-runtime",
            "digest": str(revision.digest), "channel": "main",
        },
        bodies={
            "POST /v1/workspaces/{workspace}/revisions": body(publish_request(workspace_files())),
            "POST /v1/workspaces/{workspace}/sync": body(SyncRequest()),
            "POST /v1/runtimes": body(RegisterRuntime(runtime_id="other-1")),
            "PUT /v1/runtimes/{runtime_id}/status": body(
                StatusReport(info=house.runtime("some-runtime").info())
            ),
            "PUT /v1/runtimes/{runtime_id}/push-token": body(NewPushToken(push_token="p" * 43)),
            "POST /git/{workspace}.git/git-upload-pack": b"0000",
        },
        query={
            "GET /v1/workspaces/{workspace}/diff": [("old", "1")],
            "GET /git/{workspace}.git/info/refs": [("service", "git-upload-pack")],
        },
    )  # fmt: skip
    # First of all, as the operator unregisters the Runtime when it is its turn.
    server.tokens = {"runtime": token, **server.tokens}
    server.backend = backend
    return server


@pytest.fixture
def runtime_server(house):
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    request = worker_request(revision.digest)
    runtime.create_worker(request)
    body = request.model_dump_json().encode()
    server = Server(
        house,
        house.serve_runtime_again(runtime),
        runtime.credentials,
        RUNTIME_ROLES,
        holes={"digest": str(revision.digest), "worker_id": "worker-1"},
        bodies={
            "PUT /v1/config-bundles/{digest}": file.path.read_bytes(),
            "POST /v1/workers": body,
            "POST /v1/resolve": body,
        },
        query={"PUT /v1/config-bundles/{digest}": [("workspace", "team")]},
    )
    server.runtime = runtime
    return server


def routes_of(app) -> set[str]:
    """Every route of an app that asks for a credential, also those outside its documents."""
    return {
        f"{method} {re.sub(r':[a-z]+}', '}', route.path)}"
        for route in app.routes
        for method in route.methods or ()
        if route.path not in OPEN and not (method == "HEAD" and route.path.startswith("/git/"))
    }


def test_the_tables_name_every_route(house):
    assert routes_of(backend_app(house.backend())) == set(BACKEND)
    assert routes_of(runtime_app(house.runtime())) == set(RUNTIME)


def allowed(server, route) -> set[str]:
    statuses = {role: server.ask(route, token) for role, token in server.tokens.items()}
    assert set(statuses.values()) <= {200, 201, 204, 403}, (route, statuses)
    return {role for role, status in statuses.items() if status != 403}


def test_on_a_backend_each_role_may_do_what_the_table_says_and_no_more(backend_server):
    server = backend_server
    changing = {"DELETE /v1/runtimes/{runtime_id}", "POST /v1/runtimes"}
    found = {route: allowed(server, route) for route in BACKEND if route not in changing}
    # Each of the two works once.
    for route in ("POST /v1/runtimes", "DELETE /v1/runtimes/{runtime_id}"):
        found[route] = allowed(server, route)

    assert found == BACKEND


def test_on_a_runtime_each_role_may_do_what_the_table_says_and_no_more(runtime_server):
    assert {route: allowed(runtime_server, route) for route in RUNTIME} == RUNTIME


@pytest.mark.parametrize("token", [None, "x" * 43], ids=["none", "unknown"])
def test_without_a_known_token_every_route_is_closed(backend_server, runtime_server, token):
    for server, table in ((backend_server, BACKEND), (runtime_server, RUNTIME)):
        statuses = {route: server.ask(route, token) for route in table}
        assert set(statuses.values()) == {401}, statuses
        assert server.ask("GET /v1/no-such-thing", token) == 401


def test_what_says_nothing_about_bundles_is_open(backend_server, runtime_server):
    for server in (backend_server, runtime_server):
        assert [server.ask(f"GET {path}", None) for path in OPEN] == [200] * len(OPEN)


def test_a_revoked_token_stops_working_at_once(backend_server, runtime_server):
    for server, route in (
        (backend_server, "GET /v1/workspaces"),
        (runtime_server, "GET /v1/runtime"),
    ):
        token = server.tokens["operator"]
        client = server.house.client(server.url, token)
        path = route.removeprefix("GET ")
        assert client.request("GET", path).status == 200
        server.credentials.revoke("some-operator")

        with pytest.raises(UnauthenticatedError):
            client.request("GET", path)


def test_a_runtime_reports_only_of_itself(house, backend_server):
    server = backend_server
    house.register(server.backend, "other-1")
    of_other = StatusReport(
        info=house.runtime("other-1").info(),
        bundles=(
            BundleStatus(workspace=TEAM, digest=server.holes["digest"], state="rejected"),
        ),
    ).model_dump_json().encode()  # fmt: skip
    client = house.client(server.url, server.tokens["runtime"])

    for path in ("/v1/runtimes/other-1/status", "/v1/runtimes/some-runtime/status"):
        with pytest.raises(ForbiddenError, match="of itself"):
            client.request("PUT", path, content=of_other)

    assert [one.bundles for one in server.backend.fleet.list().runtimes] == [(), ()]


def test_a_runtime_that_was_forgotten_gets_nothing(house, backend_server):
    server = backend_server
    # Its credential outlives it only if somebody takes the registration away by hand.
    server.backend._registry.remove(server.backend.fleet.all_known()[0].runtime_id)

    assert server.ask("GET /v1/config-bundles/{digest}", server.tokens["runtime"]) == 403
    assert (
        server.ask("GET /v1/workspaces/{workspace}/channels/{channel}", server.tokens["runtime"])
        == 403
    )


def test_tokens_of_one_server_are_nobody_on_the_other(backend_server, runtime_server):
    assert runtime_server.ask("GET /v1/runtime", backend_server.tokens["operator"]) == 401
    assert backend_server.ask("GET /v1/workspaces", runtime_server.tokens["backend"]) == 401


def test_a_forbidden_answer_says_which_role_is_needed(house, backend_server):
    client = house.client(backend_server.url, backend_server.tokens["publisher"])

    with pytest.raises(ForbiddenError) as raised:
        client.request("GET", "/v1/runtimes")

    assert raised.value.hint == "needs operator"
    assert "some-publisher" not in raised.value.message


def test_an_author_sees_what_a_hidden_runtime_does_not(house, backend_server):
    token = house.register(backend_server.backend, "us-1", region="us")

    assert backend_server.ask("GET /v1/config-bundles/{digest}", token) == 404
    with pytest.raises(BundleMissingError):
        house.client(backend_server.url, token).request("GET", "/v1/workspaces/team/channels/main")
