"""Peers that break the rules: cut connections, lies, floods, silence. Nothing of it is kept."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest
from house import TEAM, tree_of, worker_request

from yoi_bundles.errors import (
    BundleError,
    InvalidInputError,
    TooLargeError,
    TransportError,
    UnauthenticatedError,
)
from yoi_bundles.model.ids import Digest
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import ClientLimits, HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import RuntimeInfo

NOWHERE = Digest("0" * 63 + "1")


@contextlib.contextmanager
def scripted(answer: bytes, *, requests: int = 8):
    """A server that reads a request's head and answers these bytes, whatever was asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for _ in range(requests):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def quick(url: str, **limits: float) -> HttpClient:
    return HttpClient(
        url, None, limits=ClientLimits(**{"attempts": 1, "read_seconds": 1, **limits})
    )


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (http("200 OK", b"not json"), "transport_failed"),
        (http("200 OK", b'{"runtime_id": "../etc"}'), "transport_failed"),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/"), "transport_failed"),
        (http("500 Oops", b"<html>stack trace</html>"), "transport_failed"),
        (http("404 Not Found", b'{"code": "bundle_missing"}'), "transport_failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "transport_failed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "transport_failed"),
        (b"", "transport_failed"),
    ],
    ids=["no-json", "bad-id", "redirect", "html", "half-problem", "cut", "not-http", "silence"],
)
def test_a_server_that_answers_nonsense_is_a_typed_error(answer, code):
    with scripted(answer) as url:
        client = RuntimeClient(quick(url))
        with pytest.raises(BundleError) as raised:
            client.info()
        client.close()

    assert raised.value.code == code


def test_a_problem_with_an_unknown_code_is_a_transport_error_that_names_it():
    body = json.dumps(
        {"type": "x", "title": "x", "status": 418, "detail": "tea", "code": "teapot"}
    ).encode()
    with scripted(http("418 Teapot", body)) as url:
        client = RuntimeClient(quick(url))
        with pytest.raises(TransportError, match="teapot"):
            client.info()
        client.close()


def test_an_answer_without_end_stops_at_the_limit():
    flood = http("200 OK", b"x" * 300_000)
    with scripted(flood) as url:
        client = quick(url, json_bytes=100_000)
        with pytest.raises(TooLargeError) as raised:
            client.get("/v1/runtime", RuntimeInfo)
        client.close()

    assert raised.value.facts["limit"] == 100_000


def test_a_server_that_never_answers_times_out():
    listener = socket.create_server(("127.0.0.1", 0))
    client = quick(f"http://127.0.0.1:{listener.getsockname()[1]}", read_seconds=0.2)
    try:
        with pytest.raises(TransportError, match="in time") as raised:
            client.get("/v1/runtime", RuntimeInfo)
    finally:
        client.close()
        listener.close()

    assert raised.value.retryable is True


def test_a_call_that_may_be_repeated_is_repeated():
    seen: list[int] = []
    info_needed = http("503 Busy", b"")
    with scripted(info_needed, requests=3) as url:
        client = quick(url, attempts=3)
        with pytest.raises(TransportError):
            client.retried(lambda: seen.append(1) or client.request("GET", "/v1/runtime"))
        client.close()

    assert len(seen) == 3


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:80", "http://", "http://[::1/"])
def test_an_address_that_is_no_http_url_is_refused(url):
    with pytest.raises(InvalidInputError):
        HttpClient(url, None)


def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_repeated():
    with pytest.raises(InvalidInputError) as raised:
        HttpClient("http://127.0.0.1/", "hunter2-ä\r\nX: y")

    assert "hunter2" not in str(raised.value)


def test_userinfo_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidInputError) as raised:
        HttpClient("http://ada:hunter2@127.0.0.1/", None)

    assert "hunter2" not in str(raised.value)


@pytest.fixture
def served(house):
    """A Runtime over HTTP that holds one bundle, and the bundle file of the next revision."""
    backend, runtime = house.backend(), house.runtime()
    url, token = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=url, push_token=token)
    house.publish(backend)
    backend.sync(TEAM)
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    file = backend.bundle_file(second.digest, haves=runtime.held.haves(TEAM), workspace=TEAM)
    return runtime, url, token, second, file.path.read_bytes()


def put(
    url: str,
    token: str,
    digest: Digest,
    body: bytes,
    announced: int,
    *,
    answers_early: bool = False,
) -> bytes:
    """A PUT by hand; returns what came back, nothing if the body was cut short."""
    host, port = url.removeprefix("http://").split(":")
    head = (
        f"PUT /v1/config-bundles/{digest}?workspace=team HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        received = b""
        if len(body) == announced or answers_early:
            while chunk := connection.recv(65536):
                received += chunk
    return received


def wait_for_puts(client, count: int) -> bool:
    """Whether the server has ended this many PUTs, with a bound on how long that may take."""
    pause = threading.Event()
    for _ in range(500):
        text = client.request("GET", "/metrics").body.decode()
        lines = [line for line in text.splitlines() if 'http_requests_total{method="PUT"' in line]
        if sum(float(line.rsplit(" ", 1)[1]) for line in lines) >= count:
            return True
        pause.wait(0.02)
    return False


def bundle_files(runtime, house) -> dict[str, bytes]:
    return {
        name: data
        for name, data in tree_of(house.root / "eu-1" / "bundles").items()
        if not name.endswith(".lock")
    }


def test_an_upload_cut_in_the_middle_leaves_no_trace(house, served):
    runtime, url, token, second, data = served
    before = bundle_files(runtime, house)

    for cut in (0, 1, 40, len(data) // 2, len(data) - 1):
        put(url, token, second.digest, data[:cut], announced=len(data))

    # The first PUT was the honest one of the fixture.
    assert wait_for_puts(house.client(url, token), 1 + 5)
    assert bundle_files(runtime, house) == before
    answer = put(url, token, second.digest, data, announced=len(data))
    assert answer.startswith(b"HTTP/1.1 201")
    assert runtime.bundle_status(second.digest).is_current


def test_an_upload_with_one_byte_changed_is_refused_and_leaves_no_trace(house, served):
    runtime, url, token, second, data = served
    before = bundle_files(runtime, house)

    for position in range(0, len(data), max(1, len(data) // 60)):
        broken = bytearray(data)
        broken[position] ^= 0x41
        answer = put(url, token, second.digest, bytes(broken), announced=len(data))
        assert answer[9:10] == b"4", (position, answer[:200])

    assert bundle_files(runtime, house) == before
    assert put(url, token, second.digest, data, announced=len(data)).startswith(b"HTTP/1.1 201")


def test_an_unknown_caller_is_answered_before_the_body_is_read(served):
    _, url, _, second, _ = served

    # Only a part of the announced body is ever sent, and the answer comes all the same.
    answer = put(url, "x" * 43, second.digest, b"part", announced=10**7, answers_early=True)

    assert answer.startswith(b"HTTP/1.1 401")
    assert b"WWW-Authenticate".lower() in answer.lower()


def test_a_json_body_over_the_limit_is_refused(house, served):
    _, url, token, second, _ = served
    request = worker_request(second.digest).model_dump(mode="json")
    request["intent"]["details"] = "x" * 300_000

    with pytest.raises(TooLargeError) as raised:
        house.client(url, token).request(
            "POST", "/v1/workers", content=json.dumps(request).encode()
        )

    assert raised.value.facts["limit_name"] == "request_bytes"


def test_an_increment_on_a_commit_that_is_not_held_says_what_is(house, served):
    _, _, _, second, data = served
    stranger_url, stranger_token = house.serve_runtime(house.runtime("eu-2"))

    answer = put(stranger_url, stranger_token, second.digest, data, announced=len(data))

    assert answer.startswith(b"HTTP/1.1 409")
    assert b"missing_prerequisite" in answer


def test_a_backend_that_sends_another_bundle_than_asked_for_is_refused(house, served):
    _, _, _, _, data = served
    fresh = house.runtime("eu-3")
    with scripted(http("200 OK", data)) as url:
        client = BackendClient(quick(url))
        upload = fresh.held.begin(TEAM)
        client.fetch_bundle(TEAM, NOWHERE, (), upload.write)
        client.close()
    with pytest.raises(BundleError) as raised:
        fresh.held.accept(TEAM, NOWHERE, upload)

    assert raised.value.code == "missing_prerequisite"
    assert fresh.bundles(TEAM).bundles == ()


@pytest.mark.parametrize(
    "header",
    ["Basic eDp5", "Bearer", "Token abc", "yoi_token"],
)
def test_a_header_that_is_no_bearer_token_is_unauthenticated(house, served, header):
    _, url, _, _, _ = served
    client = house.client(url, None)

    with pytest.raises(UnauthenticatedError):
        client.request("GET", "/v1/runtime", headers={"authorization": header})
