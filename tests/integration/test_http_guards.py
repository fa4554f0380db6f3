"""Doubtful heads, encoded bodies and silent senders against both servers, by hand over sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest
from house import TEAM, tree_of
from raw_http import answer_of, ask, connect, head

from yoi_bundles.runtime.app import create_app
from yoi_bundles.wire.server.guard import BodyPace

DRIPPING = 50
IDLE_SECONDS = 0.05
GIVE_UP_SECONDS = 20
METRICS = b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@pytest.fixture
def served(house):
    """A Runtime that holds a revision, its URL and token, and the bundle file of the next one."""
    backend, runtime = house.backend(), house.runtime()
    url, token = house.serve_runtime(runtime)
    runtime.put_bundle(TEAM, *revision_of(house, backend))
    digest, (data,) = revision_of(house, backend, prompts__role__coder="\nBe exact.\n")
    return runtime, url, token, digest, data


def revision_of(house, backend, **changed):
    """Digest and full bundle file, in one piece, of a new revision."""
    digest = house.publish(backend, **changed).revision.digest
    return digest, [backend.bundle_file(digest, workspace=TEAM).path.read_bytes()]


@pytest.fixture
def backend_served(house):
    backend = house.backend()
    house.publish(backend)
    token = backend.credentials.create("ops", "operator", now=house.clock()).token
    return house.serve_backend(backend), token


def put_head(token: str, digest: object, *lines: str) -> bytes:
    return head(f"PUT /v1/config-bundles/{digest}?workspace=team", token, *lines)


DOUBTFUL = {
    "host": ["Host: there", "Content-Length: 2"],
    "authorization": ["Authorization: Bearer other", "Content-Length: 2"],
    "content-type": ["Content-Type: a/b", "Content-Type: a/b", "Content-Length: 2"],
    "transfer-encoding": ["Transfer-Encoding: gzip, chunked"],
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_head_with_two_readings_is_refused_and_the_connection_closed(served, name):
    _, url, token, digest, _ = served

    body = b"0\r\n\r\n" if name == "transfer-encoding" else b"{}"
    answer = ask(url, put_head(token, digest, *DOUBTFUL[name]) + body)

    assert (answer.status, answer.code) == (400, "invalid_input")
    assert name in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("path", ["/v1/runtime", "/v1/workspaces/team/channels/main"])
def test_a_request_for_no_host_is_refused_unless_it_is_of_an_older_http(
    served, backend_served, path
):
    _, runtime_url, runtime_token, _, _ = served
    is_backend = "workspaces" in path
    url, token = backend_served if is_backend else (runtime_url, runtime_token)
    lines = f"\r\nAuthorization: Bearer {token}\r\n\r\n"

    refused = ask(url, f"GET {path} HTTP/1.1{lines}".encode())
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert json.loads(refused.body)["detail"] == "no host header"
    assert ask(url, f"GET {path} HTTP/1.0{lines}".encode()).status == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 2", "Content-Length: 2"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2, 2"],
        ["Content-Length: +2"],
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 2"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: identity"],
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read(served, lines):
    _, url, token, digest, _ = served
    smuggled = head("GET /v1/runtime", token)

    # Most of these the parser refuses.
    answer = ask(url, put_head(token, digest, *lines) + b"{}" + smuggled)

    assert (answer.status, answer.code) == (400, "invalid_input")
    assert b"eu-1" not in answer.body


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_an_encoded_body_is_refused_on_every_route(served, backend_served, encoding):
    _, url, token, digest, _ = served
    backend_url, backend_token = backend_served
    lines = [f"Content-Encoding: {encoding}", "Content-Length: 2", "Connection: close"]

    answers = [
        ask(url, put_head(token, digest, *lines) + b"{}"),
        ask(url, head("POST /v1/workers", token, *lines) + b"{}"),
        ask(url, head("GET /livez", token, *lines) + b"{}"),
        ask(backend_url, head("POST /v1/runtimes", backend_token, *lines) + b"{}"),
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(415, "invalid_input")}


def test_below_git_the_route_itself_decides_about_encodings(backend_served):
    url, token = backend_served
    lines = ["Content-Encoding: gzip", "Content-Length: 2", "Connection: close"]

    answer = ask(url, head("POST /git/team.git/git-upload-pack", token, *lines) + b"{}")

    assert (answer.status, json.loads(answer.body)["detail"]) == (
        422,
        "the git request is not gzip",
    )


def test_identity_is_no_encoding(served):
    _, url, token, digest, data = served
    lines = [f"Content-Length: {len(data)}", "Content-Encoding: identity", "Connection: close"]

    assert ask(url, put_head(token, digest, *lines) + data).status == 201


def held_files(house) -> dict[str, bytes]:
    found = tree_of(house.root / "eu-1" / "bundles")
    return {name: data for name, data in found.items() if not name.endswith(".lock")}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("sent", ["nothing", "half"])
def test_an_upload_that_stalls_is_a_408_and_leaves_no_trace(house, served, framing, sent):
    runtime, _, token, digest, data = served
    url = house.serve(create_app(runtime, body_pace=BodyPace(idle_seconds=IDLE_SECONDS)))
    before = held_files(house)
    part = b"" if sent == "nothing" else data[: len(data) // 2]
    lines = [f"Content-Length: {len(data)}"]
    if framing == "chunked":
        lines = ["Transfer-Encoding: chunked"]
        part = part and b"%x\r\n%b\r\n" % (len(part), part)

    answer = ask(url, put_head(token, digest, *lines) + part)

    assert (answer.status, answer.code) == (408, "invalid_input")
    assert held_files(house) == before
    assert digest not in {one.digest for one in runtime.held.list(None, limit=10).bundles}


def test_a_json_body_that_stalls_is_a_408(house, served):
    runtime, _, token, _, _ = served
    url = house.serve(create_app(runtime, body_pace=BodyPace(idle_seconds=IDLE_SECONDS)))
    lines = ["Content-Type: application/json", "Content-Length: 20"]

    answer = ask(url, head("POST /v1/workers", token, *lines) + b'{"worker_id": ')

    assert (answer.status, answer.code) == (408, "invalid_input")


@pytest.mark.parametrize("route", ["bundle", "json", "report", "git"])
def test_an_upload_that_breaks_off_is_counted_and_no_error(
    house, served, backend_served, caplog, route
):
    _, runtime_url, runtime_token, digest, data = served
    backend_url, backend_token = backend_served
    is_json = ["Content-Type: application/json"]
    half = {
        "bundle": put_head(runtime_token, digest, f"Content-Length: {len(data)}") + data[:1000],
        "json": head("POST /v1/workers", runtime_token, *is_json, "Content-Length: 20") + b"{",
        "report": head(
            "PUT /v1/runtimes/eu-1/status", backend_token, *is_json, "Content-Length: 20"
        )
        + b"{",
        "git": head("POST /git/team.git/git-upload-pack", backend_token, "Content-Length: 20"),
    }
    url = backend_url if route in {"report", "git"} else runtime_url
    before = held_files(house)

    with connect(url) as connection:
        connection.sendall(half[route])

    end = time.monotonic() + GIVE_UP_SECONDS
    while b'status="502"} 1.0' not in ask(url, METRICS).body:
        assert time.monotonic() < end, "the request was not counted as one that failed under way"
    assert held_files(house) == before
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_senders_that_drip_do_not_keep_an_honest_upload_from_succeeding(served):
    runtime, url, token, digest, data = served
    whole = put_head(token, digest, f"Content-Length: {len(data)}") + data
    in_head, in_body = 8, len(whole) - len(data) + 1

    with contextlib.ExitStack() as stack:
        dripping = [
            (stack.enter_context(connect(url)), place)
            for place in [in_head, in_body]
            for _ in range(DRIPPING)
        ]
        for connection, place in dripping:
            connection.sendall(whole[:place])
        started = time.monotonic()
        honest = stack.enter_context(connect(url))
        honest.sendall(put_head(token, digest, f"Content-Length: {len(data)}", "Connection: close"))
        step = max(1, len(data) // 8)
        for number, position in enumerate(range(0, len(data), step)):
            honest.sendall(data[position : position + step])
            for connection, place in dripping:
                connection.sendall(whole[place + number : place + number + 1])
        answer = answer_of(honest)
        took = time.monotonic() - started
        still_open = sum(is_open(connection) for connection, _ in dripping)

    print(f"an honest PUT beside {len(dripping)} dripping connections took {took * 1000:.0f} ms")
    assert answer.status == 201
    assert runtime.bundle_status(digest).is_current
    assert still_open == len(dripping)
    # It takes some tens of milliseconds; this is where it would wait for the others to end.
    assert took < 5


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
