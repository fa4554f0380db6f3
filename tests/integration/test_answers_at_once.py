"""Answers given before there is a task: on the wire they are those of the web server."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest
from house import TEAM, serving
from raw_http import connect, head

from yoi_bundles.backend.app import create_app
from yoi_bundles.model.request_limits import RequestLimits
from yoi_bundles.wire.server.serving import CONNECTION_KINDS

CHANNEL = f"/v1/workspaces/{TEAM}/channels/main"


class Pair:
    """A Backend served by an app that answers at once, on connections of each kind, and by one
    that never does, on those that could."""

    def __init__(self, house, stack) -> None:
        backend = house.backend()
        self.token = house.register(backend, "eu-1")
        self.revision = house.publish(backend).revision
        self.file = backend.bundle_file(self.revision.digest, is_shallow=True)
        limits = RequestLimits(requests_per_second=10_000, burst_requests=10_000)
        slow, quick = (create_app(backend, request_limits=limits) for _ in range(2))
        slow.state.at_once = lambda scope: None
        self.answered = []
        quick.state.at_once = self._noting(quick.state.at_once)
        self.slow_url = stack.enter_context(serving(slow))
        self.urls = {
            kind: stack.enter_context(serving(quick, connections=kind)) for kind in CONNECTION_KINDS
        }

    def _noting(self, at_once):
        def noting(scope):
            answer = at_once(scope)
            self.answered.append(answer is not None)
            return answer

        return noting

    def ask(self, request: str, *lines: str, times: int = 1) -> tuple[bytes, bytes]:
        """All that comes back until the other side closes: from tasks, and at once.

        Connections that lack a layer answer as all others do.
        """
        last = head(request, self.token, *lines, "Connection: close")
        data = head(request, self.token, *lines) * (times - 1) + last
        slow, bounded = _all_of(self.slow_url, data), _all_of(self.urls["bounded"], data)
        assert self.answered == []
        quick = _all_of(self.urls["quick"], data)
        self.answered.clear()
        assert quick == bounded == slow
        return slow, _all_of(self.urls["parking"], data)


def _all_of(url: str, data: bytes) -> bytes:
    with connect(url) as connection:
        connection.sendall(data)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    return re.sub(rb"date: [^\r]*", b"date: now", received)


@pytest.fixture
def pair(house):
    with contextlib.ExitStack() as stack:
        yield Pair(house, stack)


@pytest.mark.parametrize(
    ("method", "lines", "is_at_once"),
    [
        ("GET", (), True),
        ("HEAD", (), True),
        ("GET", ("If-None-Match: {etag}",), True),
        ("GET", ("Range: bytes=3-40",), True),
        ("GET", ("Range: bytes=99999999-",), False),
        ("GET", ("Content-Length: 0",), False),
        ("GET", ("Expect: 100-continue",), True),
        ("DELETE", (), False),
    ],
)
def test_the_bytes_on_the_wire_are_the_same(pair, method, lines, is_at_once):
    path = f"/v1/config-bundles/{pair.revision.digest}"
    asked = [line.format(etag=pair.file.etag) for line in lines]
    slow, quick = pair.ask(f"{method} {path}", *asked, times=3)

    assert slow == quick
    assert slow.count(b"HTTP/1.1 ") == 3
    assert slow.count(b"connection: close\r\n") == 1
    # While one of several that come together is unsent, the others wait for their turn.
    assert any(pair.answered) == is_at_once


@pytest.mark.parametrize("line", [(), ("Expect: 100-continue",)])
def test_an_answer_after_a_wait_is_the_same_on_the_wire(pair, line):
    etag = f'If-None-Match: "{pair.revision.commit}"'
    slow, quick = pair.ask(f"GET {CHANNEL}", etag, "Prefer: wait=1", *line)

    assert slow == quick
    assert slow.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    # Word that it is to be waited for, and the answer.
    assert pair.answered == [True, True]


def test_one_who_reads_nothing_is_not_answered_ahead(pair):
    """Else the answers to a few heads would fill the memory."""
    path = f"/v1/config-bundles/{pair.revision.digest}?history=full"
    data = head(f"GET {path}", pair.token) * 400
    with connect(pair.urls["parking"]) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(data)
        first = connection.recv(4096)
        assert first.startswith(b"HTTP/1.1 200 OK\r\n")

    # One for each time that heads came in and all before was out; 400 heads come in a few times.
    assert 1 <= sum(pair.answered) < 10


def test_who_asks_for_another_protocol_is_answered_in_this_one(pair):
    slow, quick = pair.ask(f"GET {CHANNEL}", "Connection: upgrade", "Upgrade: h2c")

    assert slow == quick
    assert slow.startswith(b"HTTP/1.1 200 OK\r\n")
    assert pair.answered == []


def test_a_fault_on_the_quick_way_is_answered_on_the_other(house):
    backend = house.backend()
    token = house.register(backend, "eu-1")
    house.publish(backend)
    app = create_app(backend)
    app.state.at_once = lambda scope: 1 / 0
    with serving(app) as url:
        answer = _all_of(url, head(f"GET {CHANNEL}", token, "Connection: close"))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
