"""The capped client: what it refuses to start with, what it makes of any answer."""

from __future__ import annotations

import json

import pytest
from house import TEAM

from yoi_bundles.errors import (
    InvalidInputError,
    StaleBundleError,
    TooManyRequestsError,
    TransportError,
)
from yoi_bundles.model.ids import MAIN_CHANNEL, Digest, RuntimeId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import ClientLimits, HttpClient, is_retryable
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import RuntimeInfo

pytestmark = pytest.mark.floors

ONCE = ClientLimits(attempts=1, read_seconds=2)
SOME = Digest("ab" * 32)


@pytest.fixture
def client(peer):
    """Clients of peers that answer as told; closed at the end."""
    made = []

    def make(*answer, **raw):
        http = HttpClient(peer(*answer, **raw).url, "t" * 43, limits=ONCE)
        made.append(http)
        return http

    yield make
    for http in made:
        http.close()


def test_nonsense_after_an_upload_is_a_transport_error(client, tmp_path):
    file = tmp_path / "x.bundle"
    file.write_bytes(b"# v3 git bundle\n")

    with pytest.raises(TransportError, match="PutResult") as raised:
        RuntimeClient(client("201 Created", b"<html>")).put_bundle(TEAM, SOME, file)

    assert raised.value.retryable is False


def test_nonsense_after_a_poll_is_a_transport_error(client):
    with pytest.raises(TransportError, match="ChannelView") as raised:
        BackendClient(client("200 OK", b'{"workspace": 3}')).poll(TEAM, MAIN_CHANNEL, None)

    assert raised.value.retryable is False


def test_an_answer_of_another_version_says_what_it_is_not(client):
    with pytest.raises(TransportError, match="RuntimeInfo") as raised:
        client("200 OK", b"{}").get("/v1/runtime", RuntimeInfo)

    assert "version" in raised.value.hint


def test_retry_after_of_a_problem_becomes_a_fact(client):
    document = {
        "type": "urn:x", "title": "x", "status": 503, "detail": "late", "code": "stale_bundle",
    }  # fmt: skip
    http = client("503 Busy", json.dumps(document).encode(), "Retry-After: 7")

    with pytest.raises(StaleBundleError) as raised:
        http.request("GET", "/v1/runtime")

    assert raised.value.facts["retry_after_seconds"] == 7


@pytest.mark.parametrize("wait", ["soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_number_of_seconds_is_left_out(client, wait):
    with pytest.raises(TransportError) as raised:
        client("503 Busy", b"", f"Retry-After: {wait}").request("GET", "/v1/runtime")

    assert "retry_after_seconds" not in raised.value.facts


def test_a_problem_nested_without_end_is_a_transport_error(client):
    with pytest.raises(TransportError):
        client("500 Oops", b"[" * 200_000).request("GET", "/v1/runtime")


def test_an_idempotent_call_succeeds_when_a_later_attempt_does(peer):
    down = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    body = b'{"workspaces": []}'
    up = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    busy = peer(raw=[down, up])
    http = HttpClient(busy.url, None, limits=ClientLimits(attempts=3))

    found = BackendClient(http).workspaces()
    http.close()

    assert found.workspaces == ()
    assert len(busy.requests) == 2


def busy_for(seconds: str) -> bytes:
    return (
        f"HTTP/1.1 429 Busy\r\nRetry-After: {seconds}\r\n"
        "Content-Type: application/problem+json\r\nConnection: close\r\n\r\n"
        '{"type": "urn:x", "title": "x", "status": 429, "detail": "busy",'
        ' "code": "too_many_requests", "retry_after_seconds": 0}'
    ).encode("latin-1")


@pytest.fixture
def waits(monkeypatch):
    """Seconds a client would have waited; nobody waits."""
    found = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def test_a_client_waits_as_long_as_it_was_told(peer, waits):
    body = b'{"workspaces": []}'
    up = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    busy = peer(raw=[busy_for("7"), up])
    http = HttpClient(busy.url, None)

    assert BackendClient(http).workspaces().workspaces == ()
    http.close()

    assert waits == [7.0]


def test_a_client_gives_up_at_once_if_it_would_have_to_wait_too_long(peer, waits):
    busy = peer(raw=[busy_for("21")])
    http = HttpClient(busy.url, None)

    with pytest.raises(TooManyRequestsError) as raised:
        BackendClient(http).workspaces()
    http.close()

    assert (raised.value.code, raised.value.facts["retry_after_seconds"]) == (
        "too_many_requests",
        21,
    )
    assert (waits, len(busy.requests)) == ([], 1)


@pytest.mark.parametrize("header", ["soon", "-1", "\xb2", "9" * 5000])
def test_a_wait_that_is_no_number_of_seconds_is_not_believed(peer, waits, header):
    http = HttpClient(peer(raw=[busy_for(header)]).url, None, limits=ONCE)

    with pytest.raises(TooManyRequestsError) as raised:
        BackendClient(http).workspaces()
    http.close()

    assert raised.value.facts["retry_after_seconds"] == 0


def test_a_registration_is_never_sent_twice(peer):
    from yoi_bundles.wire.messages.runtimes import RegisterRuntime

    busy = peer("503 Busy")
    http = HttpClient(busy.url, None, limits=ClientLimits(attempts=3))

    with pytest.raises(TransportError):
        BackendClient(http).register_runtime(RegisterRuntime(runtime_id=RuntimeId("eu-1")))
    http.close()

    assert len(busy.requests) == 1


def test_the_token_and_a_spelled_revision_are_sent_as_they_must_be(peer):
    asked = peer("404 Not Found")
    http = HttpClient(asked.url, "t" * 43, limits=ONCE)

    with pytest.raises(TransportError):
        BackendClient(http).revision(TEAM, "main?x=1/../r2")
    http.close()

    head = asked.requests[0].decode()
    assert head.startswith("GET /v1/workspaces/team/revisions/main%3Fx%3D1%2F..%2Fr2 HTTP/1.1")
    assert f"authorization: bearer {'t' * 43}" in head.lower()


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/v1/²", [], "/v1/%C2%B2"),
        ("/v1/a%2Fb", [("have", "b&c=ö d")], "/v1/a%2Fb?have=b%26c%3D%C3%B6+d"),
        ("/v1/a?b#c", [("x", "")], "/v1/a%3Fb%23c?x="),
        ("/v1/a b\n", [], "/v1/a%20b%0A"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/below", "/below/"])
def test_paths_and_queries_are_sent_as_they_are_meant(peer, prefix, path, query, target):
    asked = peer("200 OK", b"{}")
    http = HttpClient(asked.url + prefix, None, limits=ONCE)
    http.request("GET", path, query=query)
    http.close()

    line = f"GET {prefix.rstrip('/')}{target} HTTP/1.1\r\n"
    assert asked.requests[0].startswith(line.encode())


def test_a_closed_client_says_so_and_is_not_retried(client):
    http = client("200 OK", b"{}")
    http.close()

    with pytest.raises(TransportError, match="closed") as raised:
        http.request("GET", "/v1/runtime")

    assert not is_retryable(raised.value)


def test_a_file_of_trusted_certificates_must_be_one(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing\n")

    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(InvalidInputError, match="certificates"):
            HttpClient("https://127.0.0.1", None, ca_file=str(tmp_path / name))


def test_only_transport_errors_that_may_pass_are_retryable():
    assert is_retryable(TransportError("x"))
    assert not is_retryable(TransportError("x", retryable=False))
    assert not is_retryable(ValueError("x"))
