"""Push sync to many real servers: connections kept, failing Runtimes left alone, all bounded."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest
from house import TEAM

from yoi_bundles.backend.files import push_sync as sync_module
from yoi_bundles.backend.fleet.targets import (
    FIRST_WAIT_SECONDS,
    KEPT_CLIENTS,
    LONGEST_WAIT_SECONDS,
    Backoff,
    Clients,
)
from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import StoreError, TransportError
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.model.visibility import VisibilityPolicy
from yoi_bundles.wire.client.http import ClientLimits, HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import SyncRequest

EU = RuntimeId("eu-1")
ONCE = ClientLimits(connect_seconds=2, read_seconds=20, attempts=1)


@pytest.fixture
def dead_port():
    """A port at which nobody answers, and nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class Fleet:
    """Real Runtimes behind real servers, and the connections that were made to them."""

    def __init__(self, house):
        self.house = house
        self.tokens = {}
        self.connections = {}
        self.connected = []

    def connect(self, known):
        self.connected.append(str(known.runtime_id))
        token = self.tokens.get(str(known.runtime_id))
        return RuntimeClient(HttpClient(known.endpoint, token, limits=ONCE))

    def add(self, backend, name):
        runtime = self.house.runtime(name)
        url, self.tokens[name] = self.serve(name, runtime)
        self.house.register(backend, name, endpoint=url)
        return runtime

    def serve(self, name, runtime):
        from yoi_bundles.runtime.app import create_app

        app, seen = create_app(runtime), self.connections.setdefault(name, set())

        async def noting(scope, receive, send):
            if scope["type"] == "http":
                seen.add(scope["client"])
            await app(scope, receive, send)

        token = runtime.credentials.create("backend", "backend", now=self.house.clock()).token
        return self.house.serve(noting), token


@contextmanager
def opened(house, connect):
    policy = VisibilityPolicy.model_validate({"schema": 1, "rule": [{"workspaces": ["*"]}]})
    with Backend.open(
        house.root / "b", visibility=policy, clock=house.clock, connect=connect
    ) as made:
        yield made


@pytest.fixture
def fleet(house):
    return Fleet(house)


@pytest.fixture
def backend(house, fleet):
    with opened(house, fleet.connect) as made:
        house.publish(made)
        yield made


def outcomes(backend, *named):
    request = SyncRequest(runtimes=tuple(map(RuntimeId, named)))
    return {str(one.runtime_id): one for one in backend.sync(TEAM, request).outcomes}


def test_one_connection_serves_push_after_push(house, fleet, backend):
    fleet.add(backend, "eu-1")

    for turn in range(3):
        house.publish(backend, prompts__role__coder=f"\nTurn {turn}.\n")
        assert outcomes(backend)["eu-1"].outcome == "synced"

    assert fleet.connected == ["eu-1"]
    assert len(fleet.connections["eu-1"]) == 1


def test_a_failing_runtime_is_left_alone_and_holds_up_no_other(house, fleet, backend, dead_port):
    fleet.add(backend, "eu-1")
    house.register(backend, "dead", endpoint=f"http://127.0.0.1:{dead_port}")
    for _ in range(2):
        seen = outcomes(backend)
        assert (seen["dead"].outcome, seen["eu-1"].outcome in {"synced", "current"}) == (
            "failed",
            True,
        )
    called = fleet.connected.count("dead")

    seen = outcomes(backend)

    assert fleet.connected.count("dead") == called == 2
    assert seen["eu-1"].outcome == "current"
    assert seen["dead"].outcome == "failed"
    assert seen["dead"].reason.code == "transport_failed"
    assert "2 times in a row" in seen["dead"].reason.message
    house.clock.advance(seconds=FIRST_WAIT_SECONDS)
    outcomes(backend)
    assert fleet.connected.count("dead") == 3


def test_one_that_is_named_is_called_at_once(house, fleet, backend, dead_port):
    house.register(backend, "dead", endpoint=f"http://127.0.0.1:{dead_port}")
    for _ in range(3):
        outcomes(backend)
    assert len(fleet.connected) == 2

    outcomes(backend, "dead")

    assert len(fleet.connected) == 3


def test_one_that_came_back_is_trusted_again(house, fleet, backend, dead_port):
    runtime = fleet.add(backend, "eu-1")
    house.register(backend, "eu-2", endpoint=f"http://127.0.0.1:{dead_port}")
    for _ in range(2):
        outcomes(backend)
    backend.fleet.unregister(RuntimeId("eu-2"))
    other = house.runtime("eu-2")
    url, fleet.tokens["eu-2"] = fleet.serve("eu-2", other)
    house.register(backend, "eu-2", endpoint=url)

    assert outcomes(backend, "eu-2")["eu-2"].outcome == "synced"

    assert outcomes(backend)["eu-2"].outcome == "current"
    assert runtime.held.haves(TEAM) == other.held.haves(TEAM)


def test_another_endpoint_is_another_connection(house, fleet, backend):
    runtime = fleet.add(backend, "eu-1")
    outcomes(backend)
    backend.fleet.unregister(EU)
    url = house.serve_runtime_again(runtime)
    house.register(backend, "eu-1", endpoint=url)

    assert outcomes(backend)["eu-1"].outcome == "current"

    assert fleet.connected == ["eu-1", "eu-1"]


class Meeting:
    """Clients that answer only when as many as may be called at once are."""

    def __init__(self):
        self.barrier = threading.Barrier(sync_module.AT_ONCE)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def info(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self.barrier.wait(timeout=20)
        finally:
            with self.lock:
                self.now -= 1
        raise TransportError("enough")

    def close(self):
        pass


def test_so_many_are_called_at_once_and_no_more(house):
    meeting = Meeting()
    with opened(house, lambda known: meeting) as backend:
        house.publish(backend)
        for number in range(2 * sync_module.AT_ONCE):
            house.register(backend, f"rt-{number}", endpoint="http://127.0.0.1:9")

        failed = outcomes(backend)

    assert {one.reason.message for one in failed.values()} == {"enough"}
    assert meeting.most == sync_module.AT_ONCE


def test_those_that_failed_come_last(house, monkeypatch):
    monkeypatch.setattr(sync_module, "AT_ONCE", 1)
    called = []

    def connect(known):
        called.append(str(known.runtime_id))
        raise TransportError("down" if known.runtime_id == EU else "later")

    with opened(house, connect) as backend:
        house.publish(backend)
        for name in ("eu-1", "eu-2", "eu-3"):
            house.register(backend, name, endpoint="http://127.0.0.1:9")
        outcomes(backend, "eu-1")
        called.clear()
        outcomes(backend)

    assert called == ["eu-2", "eu-3", "eu-1"]


def test_a_disk_that_is_full_is_no_reason_to_wait(house):
    called = []

    def connect(known):
        called.append(known)
        raise StoreError("no room")

    with opened(house, connect) as backend:
        house.publish(backend)
        house.register(backend, "eu-1", endpoint="http://127.0.0.1:9")
        for _ in range(4):
            outcomes(backend)

    assert len(called) == 4


# --- backoff ---


@pytest.mark.parametrize(("chance", "part"), [(0.0, 0.5), (1.0, 1.0)])
def test_each_wait_is_twice_the_one_before_up_to_the_longest(house, chance, part):
    backoff = Backoff(house.clock, lambda: chance)
    waits = []
    for _ in range(12):
        backoff.note_failure(EU, TransportError("down"))
        waits.append(backoff.find_wait(EU))

    assert waits[:4] == [None, 2 * part, 4 * part, 8 * part]
    assert waits[-1] == LONGEST_WAIT_SECONDS * part
    assert backoff.failures(EU) == 12
    backoff.note_success(EU)
    assert (backoff.failures(EU), backoff.find_wait(EU)) == (0, None)


@pytest.mark.parametrize(("asked", "wait"), [(30, 30), (10**8, LONGEST_WAIT_SECONDS), ("x", None)])
def test_as_long_as_a_runtime_asks_for_it_is_left_alone(house, asked, wait):
    error = TransportError("busy")
    error.facts["retry_after_seconds"] = asked
    backoff = Backoff(house.clock, lambda: 1.0)

    backoff.note_failure(EU, error)

    assert backoff.find_wait(EU) == wait


def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer(house):
    backoff = Backoff(house.clock, lambda: 1.0)
    for _ in range(3):
        backoff.note_failure(EU, TransportError("down"))
    house.clock.advance(days=-1)

    assert backoff.find_wait(EU) is None


# --- clients ---


class Client:
    def __init__(self):
        self.is_closed = False

    def close(self):
        self.is_closed = True


class Known:
    def __init__(self, number, endpoint="http://a"):
        self.runtime_id, self.endpoint = RuntimeId(f"rt-{number}"), endpoint


def test_two_pushes_to_one_runtime_do_not_share_a_client():
    clients = Clients(lambda known: Client())
    with clients.use(Known(1)) as first, clients.use(Known(1)) as second:
        assert first is not second

    assert (first.is_closed, second.is_closed) == (False, True)


def test_so_many_clients_are_kept_and_close_closes_them():
    made = []

    def connect(known):
        made.append(Client())
        return made[-1]

    clients = Clients(connect)
    for number in range(KEPT_CLIENTS + 2):
        with clients.use(Known(number)):
            pass

    assert [one.is_closed for one in made[:3]] == [True, True, False]
    clients.close()
    assert all(one.is_closed for one in made)


def test_a_client_that_met_an_error_is_not_used_again():
    clients = Clients(lambda known: Client())
    with pytest.raises(TransportError), clients.use(Known(1)) as client:
        raise TransportError("cut")

    with clients.use(Known(1)) as other:
        assert (client.is_closed, other is client) == (True, False)
