"""Tokens change under load, in both directions, and nobody is ever refused."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
from house import FAST, TEAM

from yoi_bundles.errors import BundleError, UnauthenticatedError
from yoi_bundles.model.ids import MAIN_CHANNEL, RuntimeId, WorkspaceId
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.client.token_files import TokenFile, replace_token_file, write_token_file
from yoi_bundles.wire.messages.runtimes import NewPushToken

WAIT_SECONDS = 30


class Traffic:
    """Calls that go on in a thread while something else happens."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._is_over = False
        self._done = threading.Semaphore(0)
        self.failures: list[str] = []
        self.calls = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._is_over:
            try:
                self._call()
            except BundleError as error:
                self.failures.append(error.code)
            self.calls += 1
            self._done.release()

    def wait(self, calls: int = 5) -> None:
        """Return when so many calls that began after now have ended."""
        while self._done.acquire(blocking=False):
            pass
        for _ in range(calls + 1):
            assert self._done.acquire(timeout=WAIT_SECONDS)

    @contextlib.contextmanager
    def running(self) -> Iterator[Traffic]:
        self._thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            self._thread.join(WAIT_SECONDS)


@pytest.fixture
def connect():
    with contextlib.ExitStack() as stack:

        def make(url: str, token) -> HttpClient:
            made = HttpClient(url, token, limits=FAST)
            stack.callback(made.close)
            return made

        yield make


def test_a_runtime_that_pulls_never_meets_a_401_while_its_token_changes(house, connect):
    backend, runtime = house.backend(), house.runtime()
    url = house.serve_backend(backend)
    file = house.root / "eu-1.token"
    old = house.register(backend, "eu-1")
    write_token_file(file, old)
    house.publish(backend)
    client = BackendClient(connect(url, TokenFile(file)))
    follower = Follower(runtime, client, [TEAM], interval_seconds=1)

    def round_trip() -> None:
        follower.poll(TEAM)
        client.poll(TEAM, MAIN_CHANNEL, None)
        client.report(RuntimeId("eu-1"), runtime.report())

    with Traffic(round_trip).running() as traffic:
        traffic.wait()
        new = backend.credentials.rotate("eu-1", now=house.clock()).token
        traffic.wait()
        replace_token_file(file, new)
        traffic.wait()
        backend.credentials.finish_rotation("eu-1")
        traffic.wait()
        digest = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision.digest
        traffic.wait()

    assert (traffic.failures, traffic.calls > 20) == ([], True)
    assert runtime.bundle_status(digest).is_current
    with pytest.raises(UnauthenticatedError):
        BackendClient(connect(url, old)).poll(TEAM, MAIN_CHANNEL, None)


def test_a_backend_that_pushes_never_meets_a_401_while_its_token_changes(house, connect):
    backend, runtime = house.backend(), house.runtime()
    runtime_url, old = house.serve_runtime(runtime)
    house.register(backend, "eu-1", endpoint=runtime_url, push_token=old)
    operator = backend.credentials.create("olu", "operator", now=house.clock()).token
    remote = BackendClient(connect(house.serve_backend(backend), operator))
    house.publish(backend)
    seen: list[str] = []

    def push() -> None:
        seen.extend(f"{one.outcome} {one.reason}" for one in backend.sync(TEAM).outcomes)

    with Traffic(push).running() as traffic:
        traffic.wait()
        new = runtime.credentials.rotate("backend", now=house.clock()).token
        traffic.wait()
        remote.use_push_token(RuntimeId("eu-1"), NewPushToken(push_token=new))
        traffic.wait()
        runtime.credentials.finish_rotation("backend")
        traffic.wait()
        digest = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision.digest
        traffic.wait()

    assert traffic.failures == []
    assert set(seen) == {"synced None", "current None"}
    assert runtime.bundle_status(digest).is_current
    with pytest.raises(UnauthenticatedError):
        RuntimeClient(connect(runtime_url, old)).info()


def test_an_older_token_ends_by_itself_over_http(house, connect):
    backend = house.backend()
    house.publish(backend)
    url = house.serve_backend(backend)
    old = backend.credentials.create("ada", "publisher", now=house.clock()).token
    end = house.clock.now.replace(hour=13)
    new = backend.credentials.rotate("ada", now=house.clock(), old_until=end).token
    ask = {one: BackendClient(connect(url, one)) for one in (old, new)}
    assert [len(client.workspaces().workspaces) for client in ask.values()] == [1, 1]

    house.clock.advance(hours=1)

    with pytest.raises(UnauthenticatedError):
        ask[old].workspaces()
    assert len(ask[new].workspaces().workspaces) == 1


def test_a_token_file_that_is_gone_for_a_while_does_not_stop_its_user(house, connect, caplog):
    backend = house.backend()
    house.publish(backend)
    file = house.root / "ada.token"
    token = backend.credentials.create("ada", "publisher", now=house.clock()).token
    write_token_file(file, token)
    client = BackendClient(connect(house.serve_backend(backend), TokenFile(file)))
    file.unlink()

    assert client.workspace(WorkspaceId("team")).workspace == TEAM
    assert "ada.token" in caplog.text
    assert token not in caplog.text
    assert str(house.root) not in caplog.text


def test_a_push_token_for_who_is_not_registered_is_not_kept(house, connect):
    backend = house.backend()

    with pytest.raises(BundleError) as raised:
        backend.fleet.use_push_token(RuntimeId("nobody"), "p" * 43)

    assert raised.value.code == "bundle_missing"
    assert list((house.root / "backend").rglob("nobody")) == []
