"""Slow, endless and too many connections against a server with short bounds, by hand over sockets.

The app behind is small: these bounds hold before there is a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import itertools
import json
import socket
import threading
import time
import weakref

import pytest
from house import START, serving
from raw_http import Answer, answer_of, connect
from starlette.requests import Request

from yoi_bundles.errors import UnauthenticatedError
from yoi_bundles.model.limits import MIB
from yoi_bundles.wire.at_once.connections import ConnectionLimits
from yoi_bundles.wire.at_once.parking_connections import ParkingConnection
from yoi_bundles.wire.messages.roles import CredentialView
from yoi_bundles.wire.server import serving as serving_module
from yoi_bundles.wire.server.asgi import add_common
from yoi_bundles.wire.server.openapi import DocumentedAPI

pytestmark = pytest.mark.floors

TOKEN = "t" * 43
SHORT = ConnectionLimits(head_seconds=0.15, unread_seconds=0.15, head_bytes=4096)
FEW = ConnectionLimits(connections=4)
HEAD = f"Host: here\r\nAuthorization: Bearer {TOKEN}\r\n"
ASK = f"GET /length HTTP/1.1\r\n{HEAD}\r\n".encode()
UPLOAD = f"POST /length HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
GIVE_UP_SECONDS = 20


def make_app() -> DocumentedAPI:
    """Counts a body and the headers."""
    app = DocumentedAPI()

    def authenticate(token: str) -> CredentialView:
        if token != TOKEN:
            raise UnauthenticatedError("not known")
        return CredentialView(name="ada", role="operator", created_at=START)

    add_common(app, authenticate=authenticate, is_ready=bool, default_body_bytes=1 << 20)

    @app.post("/length")
    @app.get("/length")
    async def length(request: Request) -> list[int]:
        size = len(await request.body())
        return [size, len(request.headers)]

    return app


def body_of(connection: socket.socket) -> bytes:
    """The body of one answer, in however many pieces it comes."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.read()


@pytest.fixture(scope="module")
def url():
    with serving(make_app(), SHORT) as base:
        yield base


@pytest.fixture
def peer(url):
    """Connections to the server; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(connect(url))


def drip(connection: socket.socket, parts) -> bytes:
    """Send parts, one every few milliseconds, until the other side answers or closes."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    connection.settimeout(0.01)
    for part in parts:
        assert time.monotonic() < give_up, "the connection was left open"
        try:
            connection.sendall(part)
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return b""
        connection.settimeout(GIVE_UP_SECONDS)
        return data
    raise AssertionError("the connection was left open")


def parsed(data: bytes) -> Answer:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.close()
        return answer_of(ours)


def test_who_says_nothing_is_left_without_an_answer(peer):
    assert peer().recv(1) == b""


def test_a_head_that_drips_is_a_408(peer):
    answer = parsed(drip(peer(), (b"%c" % byte for byte in b"GET /length HTTP/1.1\r\nX: " * 1000)))

    assert (answer.status, answer.code) == (408, "invalid_input")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("part", [b"\r\n", b"G"], ids=["empty-lines", "a-head"])
def test_dripping_between_two_requests_keeps_no_connection_open(peer, part):
    connection = peer()
    connection.sendall(ASK)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

    assert parsed(drip(connection, itertools.repeat(part))).status in {400, 408}


def test_the_rest_of_a_body_nobody_waits_for_keeps_no_connection_open(peer):
    connection = peer()
    head = b"POST /length HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n"
    connection.sendall(head)
    assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")

    drip(connection, itertools.repeat(b"x"))


@pytest.mark.parametrize("head", [ASK[:-2], b"", b"GET /"], ids=["headers", "lines", "target"])
def test_a_head_without_end_is_a_431(peer, head):
    connection = peer()
    connection.sendall(head)
    more = b"\r\n" * 512 if not head else b"X" * 1024 if head == b"GET /" else b"X: y\r\n" * 200

    answer = parsed(drip(connection, itertools.repeat(more)))

    assert (answer.status, answer.code) == (431, "invalid_input")


@pytest.mark.parametrize(
    "part", [b"X: y\r\n" * 100, b"X: " + b"y" * 1024], ids=["trailers", "one-trailer"]
)
def test_trailers_without_end_are_not_read(peer, part):
    connection = peer()
    connection.sendall(UPLOAD + b"1\r\nx\r\n0\r\n")

    assert parsed(drip(connection, itertools.repeat(part))).status in {400, 431}


def test_a_chunk_extension_without_end_is_not_read(peer):
    connection = peer()
    connection.sendall(UPLOAD + b"1;x=")

    assert parsed(drip(connection, itertools.repeat(b"y" * 1024))).status in {400, 431}


def test_a_large_body_in_small_chunks_is_no_endless_head(peer):
    connection = peer()
    # More than a server reads at once.
    connection.sendall(UPLOAD + b"1;e\r\nx\r\n" * 200_000 + b"0\r\n\r\n")

    assert json.loads(body_of(connection))[0] == 200_000


def test_trailers_do_not_become_headers(peer):
    connection = peer()
    connection.sendall(UPLOAD + b"1\r\nx\r\n0\r\nAuthorization: Bearer other\r\nX: y\r\n\r\n")

    assert json.loads(body_of(connection)) == [1, 3]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET \x80 HTTP/1.1\r\n\r\n",
    ],
    ids=["nonsense", "version", "tls", "target"],
)
def test_what_is_no_request_is_a_problem_document(peer, data):
    connection = peer()
    connection.sendall(data)
    answer = answer_of(connection)

    assert (answer.status, answer.code) == (400, "invalid_input")


def test_a_chunk_out_of_form_ends_the_upload_with_a_400(peer):
    connection = peer()
    connection.sendall(UPLOAD + b"1\r\nx\r\nZZ\r\n")

    assert answer_of(connection).status == 400


def test_nonsense_after_a_whole_request_does_not_spoil_its_answer(peer):
    connection = peer()
    connection.sendall(ASK + b"nonsense\r\n\r\n")
    answer = answer_of(connection)

    assert answer.status == 200


def test_connections_beyond_the_bound_are_told_so_and_there_is_room_again():
    stay = b"POST /length HTTP/1.1\r\n" + HEAD.encode() + b"Content-Length: 1\r\n\r\n"
    with serving(make_app(), FEW) as url, contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(url)) for _ in range(FEW.connections)]
        for connection in waiting:
            connection.sendall(stay)
        answer = answer_of(stack.enter_context(connect(url)))
        for connection in waiting:
            connection.sendall(b"x")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            connection.close()
        is_taken_again = ask_until_taken(url)

    assert (answer.status, answer.code) == (503, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 0
    assert is_taken_again


def ask_until_taken(url: str) -> bool:
    """Whether a request is answered: a server learns a moment later that others have left."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        with connect(url) as connection, contextlib.suppress(OSError):
            connection.sendall(ASK)
            if connection.recv(65536).startswith(b"HTTP/1.1 200 "):
                return True
    return False


def test_who_does_not_read_an_answer_loses_the_connection():
    is_over = threading.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})
        await send({"type": "http.response.body"})
        is_over.set()

    with serving(app, SHORT) as url, connect(url) as connection:
        connection.sendall(ASK)
        assert connection.recv(1) == b"H"
        # An app whose caller is gone sends into the void, and so comes to its end.
        assert is_over.wait(GIVE_UP_SECONDS)
        connection.settimeout(GIVE_UP_SECONDS)
        read = 0
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(MIB):
                read += len(part)

    assert read < 60 * MIB


def test_what_is_refused_here_is_counted(url, peer):
    def counted() -> int:
        connection = peer()
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        text = answer_of(connection).body.decode()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in text.splitlines()
            if 'requests_total{method="other",route="unmatched",status="400"}' in line
        )

    before = counted()
    connection = peer()
    connection.sendall(b"nonsense\r\n\r\n")
    answer_of(connection)

    assert counted() == before + 1


def test_a_connection_that_is_lost_is_forgotten_at_once(monkeypatch):
    """Else the dead ones of a fleet stay until there is a collection of all garbage."""
    made = []

    class Noted(ParkingConnection):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            made.append(weakref.ref(self))

    monkeypatch.setattr(serving_module, "ParkingConnection", Noted)
    gc.disable()
    try:
        with serving(make_app()) as url:
            for request in (ASK, b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n", b"nonsense\r\n\r\n"):
                with connect(url) as connection:
                    connection.sendall(request)
                    assert connection.recv(1000).startswith(b"HTTP/1.1 ")
            end = time.monotonic() + GIVE_UP_SECONDS
            while any(one() is not None for one in made):
                assert time.monotonic() < end, "a lost connection is still there"
                threading.Event().wait(0.005)
        assert len(made) == 3
    finally:
        gc.enable()


def errors_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def telling_its_end(app: DocumentedAPI, is_over: threading.Event):
    """An app that says when it has done with a request, whether or not anybody reads answers."""

    async def told(scope, receive, send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            is_over.set()

    return told


def test_an_upload_that_breaks_off_is_no_error(caplog):
    is_over = threading.Event()
    with serving(telling_its_end(make_app(), is_over)) as base:
        with connect(base) as connection:
            connection.sendall(UPLOAD + b"1\r\nx\r\n")
        assert is_over.wait(GIVE_UP_SECONDS)

    assert errors_in(caplog) == []


def test_a_connection_that_breaks_with_another_request_waiting_is_no_error(monkeypatch, caplog):
    made, is_lost, answered = [], asyncio.Event(), threading.Event()

    class Noted(ParkingConnection):
        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            made.append(transport)

        def connection_lost(self, exc) -> None:
            super().connection_lost(exc)
            is_lost.set()

    app = make_app()

    @app.get("/break")
    async def broken() -> list[int]:
        made[0].abort()
        await is_lost.wait()
        return []

    monkeypatch.setattr(serving_module, "ParkingConnection", Noted)
    with serving(telling_its_end(app, answered)) as base, connect(base) as connection:
        connection.sendall(f"GET /break HTTP/1.1\r\n{HEAD}\r\n".encode() + ASK)
        assert answered.wait(GIVE_UP_SECONDS)

    assert errors_in(caplog) == []
