"""Whether an answer was at hand cannot be told from it: the same questions, asked both ways."""

from __future__ import annotations

import asyncio
import json

import pytest
from house import OTHER, TEAM
from starlette.exceptions import HTTPException

from yoi_bundles.backend.app import create_app
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.model.request_limits import RequestLimits
from yoi_bundles.wire.at_once.waits import Parked, state_of_waited
from yoi_bundles.wire.messages.runtimes import BundleStatus, StatusReport

CHANNEL = f"/v1/workspaces/{TEAM}/channels/main"
NOWHERE = "ab" * 32


class Desk:
    """One Backend and two apps over it, of which one has nothing at hand."""

    def __init__(self, house, **limits) -> None:
        self.backend = backend = house.backend()
        for workspace in (TEAM, OTHER):
            house.publish(backend, workspace)
            house.publish(backend, workspace, prompts__role__coder="\nBe exact.\n")
        self.head, self.hidden = (
            backend.publishing.store(workspace).find_head() for workspace in (TEAM, OTHER)
        )
        self.runtime = house.runtime()
        self.tokens = {"runtime": house.register(backend, "eu-1"), "unknown": "x" * 43}
        for role in ("operator", "publisher", "browser"):
            made = backend.credentials.create(role, role, now=house.clock())
            self.tokens[role] = made.token
        bounds = RequestLimits(**limits)
        self.documented, self.early, self.quick = (
            create_app(backend, request_limits=bounds) for _ in range(3)
        )
        self.documented.state.early.clear()

    def ask(
        self, app, method, path, *, role="runtime", query="", headers=(), body=b"", at_once=False
    ):
        """Status, headers and body, as the server is told to send them.

        Args:
            at_once: In one turn, or not at all: then it is None.
        """
        raw = [(b"host", b"here"), *headers]
        if body:
            raw.append((b"content-length", str(len(body)).encode()))
        if role is not None:
            raw.append((b"authorization", f"Bearer {self.tokens[role]}".encode()))
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "state": {},
            "query_string": query.encode(), "headers": raw, "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 6), "extensions": {},
        }  # fmt: skip
        if at_once:
            answer = app.state.at_once(scope)
            if isinstance(answer, Parked):
                asyncio.run(wait_for(answer))
                answer = app.state.at_once(scope | {"state": state_of_waited()})
            return answer and (answer.status_code, answer.raw_headers, answer.body)
        sent = []

        parts = [body[:100], body[100:]] if body else [b""]

        async def receive():
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message):
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        return sent[0]["status"], sent[0]["headers"], b"".join(one["body"] for one in sent[1:])

    def counted(self, app):
        """What was counted of requests, without how long they took."""
        text = self.ask(app, "GET", "/metrics", role=None)[2].decode()
        lines = text.splitlines()
        return [one for one in lines if "_total{" in one or "_seconds_count{" in one]


@pytest.fixture
def desk(house):
    return Desk(house)


async def wait_for(answer: Parked) -> None:
    """As a connection does."""
    over = asyncio.Event()
    answer.begin(over.set)
    await over.wait()


def of(name, value):
    return [(name.encode(), value.encode())]


def ordinary(desk):
    """Questions of a Runtime, as this project's own asks them: method, path, and the rest."""
    digest, base = desk.head.digest, desk.head.parent
    bundle, mine = f"/v1/config-bundles/{digest}", f"workspace={TEAM}"
    etag = f'"{desk.head.commit}"'
    file = desk.backend.bundle_file(digest, is_shallow=True)
    return [
        ("GET", CHANNEL, {}),
        ("GET", CHANNEL, {"role": "operator"}),
        ("GET", CHANNEL, {"role": "publisher"}),
        ("GET", CHANNEL, {"headers": of("if-none-match", etag)}),
        ("GET", CHANNEL, {"headers": of("if-none-match", f'"a", W/{etag}')}),
        ("GET", CHANNEL, {"headers": of("if-none-match", '"old"') + of("prefer", "wait=9")}),
        ("GET", CHANNEL, {"headers": of("if-none-match", etag) + of("prefer", "wait=1")}),
        ("GET", bundle, {"query": mine}),
        ("GET", bundle, {"query": mine, "headers": of("content-encoding", "identity")}),
        ("HEAD", bundle, {"query": mine}),
        ("GET", bundle, {"query": f"{mine}&have={base}"}),
        ("GET", bundle, {"query": f"{mine}&history=full"}),
        ("GET", bundle, {"role": "operator"}),
        ("GET", bundle, {"headers": of("if-none-match", file.etag)}),
        ("GET", bundle, {"headers": of("range", "bytes=5-99")}),
        ("GET", bundle, {"headers": of("range", "bytes=5-") + of("if-range", '"old"')}),
        ("GET", bundle, {"headers": of("range", "bytes=999999999-")}),
        ("HEAD", bundle, {"headers": of("range", "bytes=5-99")}),
    ]


def unusual(desk):
    """Questions with another answer than the ordinary one, or that others ask."""
    digest, hidden = desk.head.digest, desk.hidden.digest
    bundle = f"/v1/config-bundles/{digest}"
    length = of("content-length", "3")
    return [
        *(("GET", path, {"role": role}) for role in (None, "unknown", "browser")
          for path in (CHANNEL, bundle)),
        ("GET", CHANNEL, {"headers": of("authorization", "Bearer another")}),
        ("GET", CHANNEL, {"headers": of("host", "there")}),
        ("GET", CHANNEL, {"headers": of("content-encoding", "gzip")}),
        ("GET", CHANNEL, {"headers": of("content-length", "999999999")}),
        ("GET", CHANNEL, {"headers": length + of("transfer-encoding", "chunked")}),
        ("GET", CHANNEL, {"headers": length}),
        ("POST", CHANNEL, {}),
        ("HEAD", CHANNEL, {}),
        ("GET", CHANNEL + "/", {}),
        ("GET", f"/v1/workspaces/{TEAM}/channels/canary", {}),
        ("GET", f"/v1/workspaces/{TEAM}/channels/..", {}),
        ("GET", f"/v1/workspaces/{OTHER}/channels/main", {}),
        ("GET", "/v1/workspaces/nobody/channels/main", {}),
        ("GET", "/v1/workspaces/NOBODY/channels/main", {}),
        ("DELETE", bundle, {}),
        ("GET", f"/v1/config-bundles/{hidden}", {}),
        ("GET", f"/v1/config-bundles/{hidden}", {"query": f"workspace={OTHER}"}),
        ("GET", f"/v1/config-bundles/{NOWHERE}", {}),
        ("GET", "/v1/config-bundles/12", {}),
        ("GET", bundle, {"query": "have=12"}),
        ("GET", bundle, {"query": "history=other"}),
        ("GET", bundle, {"query": "&".join([f"have={NOWHERE}"] * 65)}),
        ("GET", bundle, {"query": f"unknown=1&have={NOWHERE}"}),
    ]  # fmt: skip


def reports(desk):
    """What Runtimes say of themselves, and others of them."""
    path = "/v1/runtimes/eu-1/status"
    known = desk.runtime.info()
    status = BundleStatus(workspace=TEAM, digest=desk.head.digest, state="accepted")
    hidden = BundleStatus(workspace=OTHER, digest=desk.hidden.digest, state="accepted")
    report = StatusReport(info=known, bundles=(status, hidden))
    other = StatusReport(info=known.model_copy(update={"runtime_id": RuntimeId("eu-2")}))
    text = report.model_dump_json(by_alias=True).encode()
    as_json = of("content-type", "application/json")
    return [
        ("PUT", path, {"body": text, "headers": as_json}),
        ("PUT", path, {"body": text, "headers": of("content-type", "application/json; a=b")}),
        ("PUT", path, {"body": text, "headers": of("content-type", "text/plain")}),
        ("PUT", path, {"body": text}),
        ("PUT", path, {"body": text[:-1], "headers": as_json}),
        ("PUT", path, {"body": b"\xff" + text, "headers": as_json}),
        ("PUT", path, {"body": b"[" * 60_000, "headers": as_json}),
        ("PUT", path, {"body": text + b" " * 70_000, "headers": as_json}),
        ("PUT", path, {"body": b'{"more":1,' + text[1:], "headers": as_json}),
        ("PUT", path, {"headers": as_json}),
        ("PUT", path, {"body": text, "headers": as_json, "role": "operator"}),
        ("PUT", path, {"body": text, "headers": as_json, "role": None}),
        ("PUT", path, {"body": other.model_dump_json().encode(), "headers": as_json}),
        ("PUT", path.replace("eu-1", "eu-2"), {"body": text, "headers": as_json}),
    ]


@pytest.mark.parametrize("questions", [ordinary, unusual, reports])
def test_all_ways_send_count_and_log_the_same(desk, questions, caplog):
    for method, path, options in questions(desk):
        seen = []
        # The documented way first: it makes what the others find at hand.
        for app in (desk.documented, desk.early, desk.quick):
            caplog.clear()
            answer = desk.ask(app, method, path, **options, at_once=app is desk.quick)
            answer = answer or desk.ask(app, method, path, **options)
            seen.append((answer, [record.getMessage() for record in caplog.records]))
        assert seen[0] == seen[1], (method, path, options)
        assert seen[0] == seen[2], (method, path, options)
    counted = desk.counted(desk.documented)
    assert desk.counted(desk.early) == counted
    assert desk.counted(desk.quick) == counted
    assert len(counted) > 4


def test_what_is_ordinary_never_reaches_the_framework(desk):
    for method, path, options in ordinary(desk):
        desk.ask(desk.documented, method, path, **options)
    desk.early.router.routes.clear()
    asked = [desk.ask(desk.early, *parts, **options)[0] for *parts, options in ordinary(desk)]
    quick = [
        desk.ask(desk.quick, *parts, **options, at_once=True) for *parts, options in ordinary(desk)
    ]

    assert set(asked) == {200, 206, 304, 416}
    # The range that cannot be is a problem document.
    assert quick.count(None) == 1
    assert asked[quick.index(None)] == 416


def test_a_report_never_reaches_the_framework_and_is_kept(desk, house):
    method, path, options = reports(desk)[0]
    desk.early.router.routes.clear()
    house.clock.advance(hours=1)
    assert desk.ask(desk.early, method, path, **options)[::2] == (204, b"")

    view = desk.backend.fleet.view(RuntimeId("eu-1"))
    assert (view.last_seen, view.reported) == (house.clock(), desk.runtime.info())
    assert [(one.workspace, one.state) for one in view.bundles] == [(TEAM, "accepted")]


def test_a_report_that_comes_too_slowly_is_refused_as_ever(desk):
    """The time is over while it is read ahead."""

    app = create_app(desk.backend)
    method, path, options = reports(desk)[0]
    answers = []
    for made in (app, desk.documented):
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "state": {},
            "query_string": b"", "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 6),
            "headers": [
                (b"host", b"here"),
                (b"authorization", f"Bearer {desk.tokens['runtime']}".encode()),
                (b"content-length", b"9"), *options["headers"],
            ],
        }  # fmt: skip

        async def slow():
            raise HTTPException(408, "too slow")

        asyncio.run(made(scope, slow, send))
        answers.append(sent)

    assert answers[0] == answers[1]
    assert answers[0][0]["status"] == 408


def test_what_is_unusual_is_not_answered_at_once_and_leaves_no_trace(desk):
    for *parts, options in unusual(desk):
        assert desk.ask(desk.quick, *parts, **options, at_once=True) is None, parts
    assert desk.counted(desk.quick) == []


@pytest.mark.parametrize("way", ["documented", "early", "quick"])
def test_the_rate_of_a_caller_is_bounded_all_ways(house, way):
    desk = Desk(house, requests_per_second=0.001, burst_requests=3)
    app = getattr(desk, way)
    answers = [
        desk.ask(app, "GET", CHANNEL, at_once=way == "quick") or desk.ask(app, "GET", CHANNEL)
        for _ in range(5)
    ]

    assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
    assert json.loads(answers[-1][2])["code"] == "too_many_requests"
    assert desk.ask(app, "GET", CHANNEL, role="operator")[0] == 200


def test_a_token_that_is_revoked_is_unknown_from_the_next_request_on(desk):
    assert desk.ask(desk.quick, "GET", CHANNEL, at_once=True)[0] == 200
    desk.backend.credentials.revoke("eu-1")

    assert desk.ask(desk.quick, "GET", CHANNEL, at_once=True) is None
    assert desk.ask(desk.quick, "GET", CHANNEL)[0] == 401
