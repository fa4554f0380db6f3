"""What stands around the routes of both servers."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import logging
import re
from collections import Counter

import pytest
from fastapi import Request
from house import START, serving
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from yoi_bundles.errors import (
    BundleError,
    StoreError,
    UnauthenticatedError,
)
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS, RequestLimits
from yoi_bundles.wire.messages.roles import CredentialView
from yoi_bundles.wire.server import metrics
from yoi_bundles.wire.server.asgi import BodyLimit, add_common, require_role
from yoi_bundles.wire.server.metrics import RequestMetrics
from yoi_bundles.wire.server.openapi import DocumentedAPI

TOKEN = "t" * 43


class Body(BaseModel):
    """What the test route takes."""

    number: int
    text: str = ""


class Served:
    """A small app behind the common parts."""

    def __init__(self, limits: RequestLimits = DEFAULT_REQUEST_LIMITS) -> None:
        self.ready = True
        self.now = 0.0
        self.broken = False
        self.app = DocumentedAPI()
        add_common(
            self.app,
            authenticate=self.authenticate,
            is_ready=lambda: self.ready,
            default_body_bytes=200,
            body_limits=[
                BodyLimit(1000, "/big/", "/now"), BodyLimit(None, "/free"), BodyLimit(2, "/big"),
            ],
            request_limits=lambda: limits,
            timer=lambda: self.now,
        )  # fmt: skip

        @self.app.post("/small", dependencies=[require_role("publisher")])
        def small(body: Body) -> int:
            return body.number

        @self.app.post("/big/{name}/now")
        @self.app.post("/big")
        @self.app.post("/free")
        async def counted(request: Request) -> int:
            return len(await request.body())

        @self.app.get("/git/x")
        @self.app.get("/who")
        def who(request: Request) -> str:
            return request.scope["state"]["caller"].name

        @self.app.get("/boom")
        def boom() -> None:
            raise ValueError("canary-internal")

    def authenticate(self, token: str) -> CredentialView:
        if self.broken:
            raise StoreError("the database failed")
        if token != TOKEN:
            raise UnauthenticatedError("not known")
        return CredentialView(name="ada", role="publisher", created_at=START)


@pytest.fixture(scope="module")
def app():
    return Served()


@pytest.fixture(scope="module")
def url(app):
    with serving(app.app) as base:
        yield base.removeprefix("http://")


@pytest.fixture
def ask(url):
    def call(method, path, body=None, *, token=TOKEN, **headers):
        connection = http.client.HTTPConnection(url, timeout=20)
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        connection.request(
            method, path, body, {k.replace("_", "-"): v for k, v in headers.items()},
            encode_chunked=headers.get("Transfer_Encoding") == "chunked",
        )  # fmt: skip
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    return call


def code_of(data: bytes) -> str:
    return json.loads(data)["code"]


def post(ask, path, document, **headers):
    return ask("POST", path, json.dumps(document).encode(), Content_Type="application/json")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "bearer  x",
        f"Token {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xe9",
    ],
)
def test_anything_but_a_known_bearer_token_is_unauthenticated(ask, header):
    answer, data = ask("GET", "/who", token=None, Authorization=header)

    assert (answer.status, code_of(data)) == (401, "unauthenticated")
    assert answer.getheader("www-authenticate").startswith("Bearer")
    assert answer.getheader("cache-control") == "no-store"


def test_two_authorization_headers_are_refused(url):
    connection = http.client.HTTPConnection(url, timeout=20)
    connection.putrequest("GET", "/who")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.endheaders()

    assert connection.getresponse().status == 400
    connection.close()


def test_the_scheme_is_read_in_any_case(ask):
    assert ask("GET", "/who", token=None, Authorization=f"bEaReR {TOKEN}")[1] == b'"ada"'


def test_git_may_send_the_token_as_a_password(ask):
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    known, _ = ask("GET", "/git/x", token=None, Authorization=basic(f"any:{TOKEN}"))
    unknown, data = ask("GET", "/git/x", token=None, Authorization=basic("any:thing"))
    broken, _ = ask("GET", "/git/x", token=None, Authorization="Basic %%%")
    elsewhere, _ = ask("GET", "/who", token=None, Authorization=basic(f"any:{TOKEN}"))

    assert (known.status, unknown.status, broken.status, elsewhere.status) == (200, 401, 401, 401)
    assert unknown.getheader("www-authenticate").startswith("Basic")
    assert code_of(data) == "unauthenticated"


def test_a_store_that_fails_while_authenticating_is_told_as_such(app, ask):
    app.broken = True
    try:
        answer, data = ask("GET", "/who")
    finally:
        app.broken = False

    assert (answer.status, code_of(data)) == (500, "store_error")


def test_a_body_over_its_limit_is_refused_by_what_it_announces_and_by_what_it_is(ask):
    text = "x" * 300
    announced, data = post(ask, "/small", {"number": 1, "text": text})
    chunked, chunked_data = ask(
        "POST", "/small", iter([json.dumps({"number": 1, "text": text}).encode()]),
        Content_Type="application/json", Transfer_Encoding="chunked",
    )  # fmt: skip

    assert (announced.status, code_of(data)) == (413, "too_large")
    assert (chunked.status, code_of(chunked_data)) == (413, "too_large")
    assert json.loads(data)["limit"] == 200


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/big/a/now", 1000, 200), ("/big/a/now", 1001, 413), ("/free", 5000, 200),
        ("/big", 2, 200), ("/big", 3, 413),
    ],
)  # fmt: skip
def test_the_first_rule_for_a_path_gives_its_limit(ask, path, size, status):
    answer, data = ask("POST", path, b"x" * size)

    assert answer.status == status
    assert data == str(size).encode() or status == 413


def test_an_invalid_request_names_fields_and_never_repeats_values(ask):
    answer, data = post(ask, "/small", {"number": "canary-value"})

    document = json.loads(data)
    assert (answer.status, document["code"]) == (422, "invalid_input")
    assert document["fields"] == ["body.number: int_parsing"]
    assert b"canary" not in data


@pytest.mark.parametrize("body", [b"{", b"\xff", b"", b"[" * 150])
def test_a_body_that_is_no_json_is_an_invalid_request(ask, body):
    answer, data = ask("POST", "/small", body, Content_Type="application/json")

    assert (answer.status, code_of(data)) in {(422, "invalid_input"), (400, "invalid_input")}


def test_a_route_that_is_not_there_and_a_method_that_is_not_known(ask):
    missing, missing_data = ask("GET", "/nothing")
    wrong, wrong_data = ask("DELETE", "/who")

    assert (missing.status, code_of(missing_data)) == (404, "bundle_missing")
    assert (wrong.status, code_of(wrong_data)) == (405, "invalid_input")
    assert wrong.getheader("allow") == "GET"
    assert missing.getheader("content-type") == "application/problem+json"


def test_an_unexpected_error_tells_the_log_and_not_the_caller(ask, caplog):
    caplog.set_level(logging.ERROR)

    answer, data = ask("GET", "/boom")

    assert (answer.status, code_of(data)) == (500, BundleError.code)
    assert b"canary" not in data
    assert "canary-internal" in caplog.text


def test_readiness_is_asked_each_time_and_needs_no_token(app, ask):
    app.ready = False
    try:
        down, _ = ask("GET", "/readyz", token=None)
    finally:
        app.ready = True
    up, _ = ask("GET", "/readyz", token=None)

    assert (down.status, up.status) == (503, 200)
    assert ask("GET", "/livez", token=None)[0].status == 200


def test_metrics_can_be_read_while_requests_are_counted(monkeypatch):
    counted = RequestMetrics(CollectorRegistry())
    counted.count("GET", "/a", 200, 0.01)

    def add_and_go_on(family, labels, *numbers):
        counted.count("GET", labels[-2] + "/a", 200, 0.01)

    monkeypatch.setattr(metrics.CounterMetricFamily, "add_metric", add_and_go_on)
    names = [family.name for family in counted.collect()]
    assert names == ["yoi_bundles_http_requests", "yoi_bundles_http_request_seconds"]


def test_metrics_count_by_template_and_by_known_methods_only(ask):
    ask("POST", "/big/canary-name/now", b"x")
    ask("BREW", "/who")
    ask("PROPFIND", "/who")

    text = ask("GET", "/metrics", token=None)[1].decode()

    assert 'route="/big/{name}/now",status="200"' in text
    assert "canary-name" not in text
    assert "BREW" not in text
    assert "PROPFIND" not in text
    assert 'yoi_bundles_http_request_seconds_count{route="/big/{name}/now"}' in text


class Caller:
    """Asks an app without a socket between; an upload may be left waiting."""

    def __init__(self, app: Served) -> None:
        self.app = app

    async def ask(self, path="/who", *, token=TOKEN, peer="192.0.2.1", method="GET", receive=None):
        """Status, headers and document of one request."""
        sent: list[dict] = []

        async def send(message):
            sent.append(message)

        async def nothing():
            raise AssertionError("the body was read")

        headers = [(b"host", b"here")]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": headers, "client": (peer, 1), "root_path": "",
            "scheme": "http", "server": ("here", 80), "http_version": "1.1",
        }  # fmt: skip
        await self.app.app(scope, receive or nothing, send)
        document = json.loads(b"".join(one.get("body", b"") for one in sent[1:]))
        return sent[0]["status"], dict(sent[0]["headers"]), document


def test_too_many_requests_of_a_token_are_answered_before_the_body_is_read():
    app = Served(RequestLimits(requests_per_second=1, burst_requests=2))
    caller = Caller(app)

    async def scenario():
        first = [(await caller.ask())[0] for _ in range(2)]
        refused = await caller.ask("/small", method="POST")
        health = (await caller.ask("/livez"))[0]
        app.now += 1
        return first, refused, health, (await caller.ask())[0]

    first, (status, headers, document), health, later = asyncio.run(scenario())

    assert first == [200, 200]
    assert (status, document["code"], document["retry_after_seconds"]) == (
        429, "too_many_requests", 1,
    )  # fmt: skip
    assert headers[b"retry-after"] == b"1"
    assert headers[b"content-type"] == b"application/problem+json"
    assert (health, later) == (200, 200)


def test_uploads_that_hang_use_up_their_own_token_and_make_room_when_they_end():
    app = Served(RequestLimits(concurrent_requests=2))
    caller = Caller(app)

    async def scenario():
        ended = asyncio.Event()

        async def hang():
            await ended.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        hanging = [
            asyncio.create_task(caller.ask("/free", method="POST", receive=hang)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        refused = await caller.ask("/free", method="POST")
        ended.set()
        return (
            refused,
            [status for status, _, _ in await asyncio.gather(*hanging)],
            (await caller.ask())[0],
        )

    (status, headers, document), ended, later = asyncio.run(scenario())

    assert (status, document["code"], headers[b"retry-after"]) == (429, "too_many_requests", b"1")
    assert (ended, later) == ([200, 200], 200)


def test_who_signs_in_in_vain_too_often_is_put_off_and_nobody_else_is():
    app = Served(RequestLimits(failures_per_minute=60, burst_failures=3))
    caller = Caller(app)

    async def scenario():
        vain = [await caller.ask(token=token) for token in ("x" * 43, None, "y" * 43, "z" * 43)]
        known = (await caller.ask())[0]
        elsewhere = (await caller.ask(token=None, peer="192.0.2.2"))[0]
        app.now += 1
        return vain, known, elsewhere, (await caller.ask(token=None))[0]

    vain, known, elsewhere, later = asyncio.run(scenario())

    assert [status for status, _, _ in vain] == [401, 401, 401, 429]
    assert vain[3][1][b"connection"] == b"close"
    assert vain[3][2]["code"] == "too_many_requests"
    # The one with a token is behind the same proxy.
    assert (known, elsewhere, later) == (200, 401, 401)


def test_what_is_refused_before_a_route_is_found_is_counted(ask):
    def counted() -> Counter[str]:
        text = ask("GET", "/metrics", token=None)[1].decode()
        found = re.findall(r'requests_total{.*route="unmatched",status="(4\d+)"} (\S+)', text)
        total: Counter[str] = Counter()
        for status, number in found:
            total[status] += int(float(number))
        return total

    before = counted()
    ask("GET", "/who", token="x" * 43)
    ask("POST", "/small", b"", Content_Encoding="br")
    ask("POST", "/free", b"", Transfer_Encoding="gzip")
    after = counted()

    assert after - before == {"400": 1, "401": 1, "415": 1}
