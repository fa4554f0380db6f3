"""Which heads have one reading only, and when a silent sender is given up."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException

from yoi_bundles.wire.server.guard import (
    DEFAULT_PACE,
    SINGLE_HEADERS,
    BodyPace,
    GuardMiddleware,
    find_doubt,
)

GZIP = (b"content-encoding", b"gzip")
HOST = (b"host", b"here")
LENGTH = (b"content-length", b"2")
CHUNKED = (b"transfer-encoding", b"chunked")


def ask(headers=(), *, path="/v1/x", messages=None, pace=DEFAULT_PACE, inner=None):
    """Status, headers, document and whether the app behind the guard was asked."""
    sent, asked = [], []

    async def app(scope, receive, send):
        asked.append(scope["type"])
        if inner is not None:
            await inner(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    pending = list(messages or [])

    async def receive():
        if not pending:
            await asyncio.Event().wait()
        return pending.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [HOST, *headers]}
    asyncio.run(GuardMiddleware(app, pace)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"]), bool(asked)


@pytest.mark.parametrize("name", SINGLE_HEADERS, ids=bytes.decode)
@pytest.mark.parametrize("values", [(b"2", b"2"), (b"2", b"3"), (b"", b"")])
def test_a_header_that_must_be_alone_is_refused_twice(name, values):
    status, headers, document, is_asked = ask([(name, value) for value in values])

    assert (status, document["status"], document["code"]) == (400, 400, "invalid_input")
    assert name.decode() in document["detail"]
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert not is_asked


@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH, CHUNKED],
        [CHUNKED, LENGTH],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"chunked, chunked")],
        [(b"transfer-encoding", b"identity")],
        [(b"transfer-encoding", b"")],
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused(headers):
    assert ask(headers)[0] == 400


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [LENGTH],
        [CHUNKED],
        [(b"transfer-encoding", b" Chunked ")],
        [LENGTH, (b"authorization", b"x"), (b"content-type", b"a/b")],
        [(b"accept", b"a"), (b"accept", b"b")],
    ],
)
def test_an_honest_head_passes(headers):
    assert find_doubt([HOST, *headers]) is None
    assert ask(headers)[0] == 200


@pytest.mark.parametrize(("version", "doubt"), [("1.1", "no host header"), ("1.0", None)])
def test_a_request_says_which_host_it_is_for_since_http_1_1(version, doubt):
    assert find_doubt([LENGTH], version) == doubt


@pytest.mark.parametrize("value", [b"gzip", b"GZIP", b"br", b"identity, gzip", b"x"])
def test_an_encoded_body_is_taken_below_git_only(value):
    headers = [(b"content-encoding", value)]

    status, _, document, is_asked = ask(headers)
    assert (status, document["code"], is_asked) == (415, "invalid_input", False)
    assert ask(headers, path="/git/team.git/git-upload-pack")[0] == 200
    assert ask(headers, path="/gitx/")[0] == 415


@pytest.mark.parametrize("value", [b"identity", b" Identity ", b""])
def test_no_encoding_may_be_said(value):
    assert ask([(b"content-encoding", value)])[0] == 200
    assert ask([(b"content-encoding", value), GZIP])[0] == 415


def test_a_silent_sender_is_a_408_that_closes():
    async def read(receive):
        first = await receive()
        assert first["body"] == b"a"
        with pytest.raises(Exception, match="did not go on") as raised:
            await receive()
        assert (raised.value.status_code, raised.value.headers) == (408, {"connection": "close"})

    part = {"type": "http.request", "body": b"a", "more_body": True}
    assert ask(messages=[part], pace=BodyPace(idle_seconds=0.01), inner=read)[0] == 200


class Drip:
    """A loop's clock that a sender moves: each part of its body takes some seconds."""

    def __init__(self, seconds: float, body: bytes = b"x") -> None:
        self.seconds, self.body, self.now = seconds, body, 0.0

    async def receive(self):
        self.now += self.seconds
        return {"type": "http.request", "body": self.body, "more_body": True}


async def parts_taken(drip: Drip, pace: BodyPace, most: int) -> tuple[int, str | None]:
    """How many parts of a body are taken, and why no more."""
    asyncio.get_running_loop().time = lambda: drip.now
    taken, reason = 0, None

    async def app(scope, receive, send):
        nonlocal taken, reason
        try:
            while taken < most:
                await receive()
                taken += 1
        except HTTPException as error:
            reason = f"{error.status_code} {error.headers}: {error.detail}"

    scope = {"type": "http", "path": "/v1/x", "headers": [HOST]}
    await GuardMiddleware(app, pace)(scope, drip.receive, None)
    return taken, reason


def test_a_body_that_drips_just_often_enough_ends_with_its_grace():
    pace = BodyPace(idle_seconds=30, grace_seconds=60, bytes_per_second=16)

    taken, reason = asyncio.run(parts_taken(Drip(29), pace, most=100))

    # Each part is 29 seconds, and its byte earns a sixteenth of one: the third passes the grace.
    assert taken == 3
    assert reason == "408 {'connection': 'close'}: the body came at less than 16 bytes a second"


def test_a_body_at_the_least_pace_is_taken_whole():
    pace = BodyPace(idle_seconds=30, grace_seconds=60, bytes_per_second=16)

    assert asyncio.run(parts_taken(Drip(1, b"x" * 16), pace, most=1000)) == (1000, None)
    assert asyncio.run(parts_taken(Drip(1, b"x" * 15), pace, most=1000))[0] == 960


def test_waiting_for_the_caller_to_leave_is_not_timed():
    async def read(receive):
        assert (await receive())["body"] == b"a"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), timeout=0.05)

    whole = {"type": "http.request", "body": b"a", "more_body": False}
    assert ask(messages=[whole], pace=BodyPace(idle_seconds=0.001), inner=read)[0] == 200


def test_a_caller_that_leaves_is_told_to_the_app():
    async def read(receive):
        assert (await receive())["type"] == "http.disconnect"

    assert ask(messages=[{"type": "http.disconnect"}], inner=read)[0] == 200


def test_what_is_no_http_request_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(GuardMiddleware(app)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]
