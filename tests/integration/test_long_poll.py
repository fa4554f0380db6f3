"""Waiting for news over HTTP: who publishes wakes, and what holds then is what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from http.client import HTTPConnection

import pytest
from house import TEAM, serving
from raw_http import connect, head

from yoi_bundles.backend.app import create_app
from yoi_bundles.model.request_limits import RequestLimits

GIVE_UP_SECONDS = 20
SOON_SECONDS = 5
CHANNEL = f"/v1/workspaces/{TEAM}/channels/main"


class Poll:
    """A poll in a thread."""

    def __init__(self, url: str, token: str, etag: str, *, wait: int = 50) -> None:
        self.connection = HTTPConnection(url.removeprefix("http://"), timeout=GIVE_UP_SECONDS)
        self._token, self._wait = token, wait
        self.ask_again(etag)

    def ask_again(self, etag: str) -> None:
        """On the same connection, when there was an answer."""
        self.connection.request(
            "GET",
            CHANNEL,
            headers={
                "Authorization": f"Bearer {self._token}",
                "If-None-Match": etag,
                "Prefer": f"respond-async, wait={self._wait}",
            },
        )
        self.status = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            answer = self.connection.getresponse()
            self.headers, self.body = dict(answer.getheaders()), answer.read()
            self.status = answer.status

    def answer(self) -> int:
        self._thread.join(GIVE_UP_SECONDS)
        return self.status

    def close(self) -> None:
        self.connection.close()


class Desk:
    """A Backend that is served, whose waits can be seen."""

    def __init__(self, house, backend, stack, limits) -> None:
        self.backend = backend
        self.token = house.register(backend, "eu-1")
        app = create_app(backend, request_limits=limits)
        self.waits = app.state.end_waits.__self__.waits
        self.server = contextlib.ExitStack()
        self.url = self.server.enter_context(serving(app))
        stack.push(self.server)
        self._stack = stack
        revision = house.publish(backend).revision
        self.etag = f'"{revision.commit}"'

    def poll(self, **options) -> Poll:
        poll = Poll(self.url, self.token, self.etag, **options)
        self._stack.callback(poll.close)
        return poll

    def raw(self, data: bytes) -> socket.socket:
        """A connection that has sent these bytes behind a poll."""
        connection = self._stack.enter_context(connect(self.url))
        lines = (f"If-None-Match: {self.etag}", "Prefer: wait=50")
        connection.sendall(head(f"GET {CHANNEL}", self.token, *lines) + data)
        return connection

    def tasks(self) -> int:
        """How many the server has."""
        return len(asyncio.all_tasks(self.waits._loop))

    def until(self, waiting: int) -> None:
        """Return when so many wait; the first poll opens the repository first."""
        end = time.monotonic() + GIVE_UP_SECONDS
        while sum(map(len, list(self.waits._waiting.values()))) != waiting:
            assert time.monotonic() < end, "they do not wait"
            threading.Event().wait(0.005)


@pytest.fixture
def desk(house):
    with contextlib.ExitStack() as stack:
        yield lambda **limits: Desk(house, house.backend(), stack, RequestLimits(**limits))


@pytest.mark.floors
@pytest.mark.parametrize("is_other_process", [False, True])
def test_a_publish_wakes_all_who_wait(house, desk, is_other_process):
    made = desk()
    polls = [made.poll() for _ in range(5)]
    made.until(5)

    started = time.monotonic()
    publisher = house.backend() if is_other_process else made.backend
    revision = house.publish(publisher, prompts__role__coder="\nBe exact.\n").revision
    statuses = [poll.answer() for poll in polls]

    assert statuses == [200] * 5
    assert time.monotonic() - started < SOON_SECONDS
    assert json.loads(polls[0].body)["revision"]["commit"] == str(revision.commit)
    assert polls[0].headers["preference-applied"] == "wait=50"
    assert polls[0].headers["etag"] == f'"{revision.commit}"'


def test_without_news_the_answer_comes_when_the_time_is_over(desk):
    started = time.monotonic()
    poll = desk().poll(wait=1)

    assert (poll.answer(), poll.body) == (304, b"")
    assert 1 <= time.monotonic() - started < SOON_SECONDS
    assert poll.headers["preference-applied"] == "wait=1"


def test_who_knows_less_does_not_wait(desk):
    made = desk()
    made.etag = '"old"'
    poll = made.poll()

    assert poll.answer() == 200
    assert poll.headers["preference-applied"] == "wait=50"


def test_a_token_revoked_during_the_wait_gets_nothing(house, desk):
    made = desk()
    poll = made.poll()
    made.until(1)
    made.backend.credentials.revoke("eu-1")
    house.publish(made.backend, prompts__role__coder="\nBe exact.\n")

    assert poll.answer() == 401
    assert json.loads(poll.body)["code"] == "unauthenticated"


def test_rules_that_hide_a_workspace_end_the_waits_that_they_concern(house, desk):
    made = desk()
    poll = made.poll()
    made.until(1)
    made.token = house.register(made.backend, "all-1", region="us")
    other = made.poll()
    made.until(2)
    rule = '[[rule]]\nruntimes = ["all-*"]\nworkspaces = ["*"]\n'
    (house.root / "visibility.toml").write_text(f"schema = 1\n{rule}")
    started = time.monotonic()
    made.backend.reload_visibility()

    assert poll.answer() == 404
    assert time.monotonic() - started < SOON_SECONDS
    assert json.loads(poll.body)["detail"] == "not held here, or not visible to you"
    made.until(1)
    house.publish(made.backend, prompts__role__coder="\nBe exact.\n")
    assert other.answer() == 200


def test_a_server_that_stops_lets_nobody_wait(desk):
    made = desk()
    polls = [made.poll() for _ in range(3)]
    made.until(3)

    started = time.monotonic()
    made.server.close()

    assert [poll.answer() for poll in polls] == [304] * 3
    assert time.monotonic() - started < SOON_SECONDS


def test_waits_are_bounded_for_each_token_and_who_leaves_makes_room(desk):
    made = desk(concurrent_requests=2)
    polls = [made.poll(), made.poll()]
    made.until(2)

    refused = made.poll()
    assert refused.answer() == 429
    assert json.loads(refused.body)["code"] == "too_many_requests"
    polls[0].connection.sock.shutdown(2)
    made.until(1)
    made.poll()
    made.until(2)


def test_a_wait_counts_once_in_rate_and_metrics(house, desk):
    made = desk(requests_per_second=0.001, burst_requests=2)
    poll = made.poll()
    made.until(1)
    house.publish(made.backend, prompts__role__coder="\nBe exact.\n")
    assert poll.answer() == 200
    made.etag = poll.headers["etag"]
    assert made.poll(wait=1).answer() == 304

    client = house.client(made.url, None)
    text = client.request("GET", "/metrics").body.decode()
    counted = [line for line in text.splitlines() if "channel}" in line and "_total" in line]
    assert sorted(line.rpartition("status=")[2] for line in counted) == ['"200"} 1.0', '"304"} 1.0']


def test_who_waits_has_no_task(desk):
    made = desk()
    made.poll()
    made.until(1)
    before = made.tasks()
    for _ in range(4):
        made.poll()
    made.until(5)

    assert made.tasks() == before


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "later"])
def test_a_request_behind_one_that_waits_has_its_turn_after(house, desk, is_apart):
    made = desk(requests_per_second=0.001, burst_requests=1)  # nobody is counted twice
    last = head("GET /livez", made.token, "Connection: close")
    connection = made.raw(b"" if is_apart else last)
    made.until(1)
    before = made.tasks()
    connection.sendall(last * is_apart)
    end = time.monotonic() + GIVE_UP_SECONDS
    while is_apart and made.tasks() == before:
        assert time.monotonic() < end, "what followed was not read"
    made.until(1)
    revision = house.publish(made.backend, prompts__role__coder="\nBe exact.\n").revision
    received = read_all(connection)

    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.index(str(revision.commit).encode()) < received.index(b'{"status":"ok"}')


def test_nonsense_behind_a_request_that_waits_does_not_spoil_its_answer(house, desk):
    made = desk()
    connection = made.raw(b"")
    made.until(1)
    connection.sendall(b"\r\n\x00 is no request\r\n\r\n")
    house.publish(made.backend, prompts__role__coder="\nBe exact.\n")
    received = read_all(connection)

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in received
    assert received.count(b"HTTP/1.1 ") == 1


def test_who_leaves_is_counted_and_forgotten(house, desk):
    made = desk()
    poll = made.poll()
    made.until(1)
    poll.connection.sock.shutdown(socket.SHUT_RDWR)
    made.until(0)

    client = house.client(made.url, None)
    end = time.monotonic() + GIVE_UP_SECONDS
    while b'channel}",status="304"} 1.0' not in client.request("GET", "/metrics").body:
        assert time.monotonic() < end, "it is not counted"


def test_the_same_connection_waits_again(house, desk):
    made = desk()
    poll = made.poll()
    for text in ("Be exact.", "Be brief."):
        made.until(1)
        house.publish(made.backend, prompts__role__coder=f"\n{text}\n")
        assert poll.answer() == 200
        made.etag = poll.headers["etag"]
        poll.ask_again(made.etag)
