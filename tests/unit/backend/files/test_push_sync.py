"""Push sync: the smallest file for what a Runtime holds, and what every failure becomes."""

from __future__ import annotations

import stat

import pytest
from house import TEAM

from yoi_bundles.backend.fleet.targets import PushTokens
from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    MissingPrerequisiteError,
    StoreError,
    TransportError,
)
from yoi_bundles.model.ids import CommitId, RuntimeId
from yoi_bundles.model.visibility import VisibilityPolicy
from yoi_bundles.wire.messages.runtimes import BundleList, SyncRequest, WorkspaceHaves

EU = RuntimeId("eu-1")
ENDPOINT = "http://127.0.0.1:9"


class Peer:
    """A Runtime behind the client's verbs, that misbehaves as a test says."""

    def __init__(self, runtime) -> None:
        self.runtime = runtime
        self.puts: list[bytes] = []
        self.failures: list[Exception] = []
        self.haves: tuple[CommitId, ...] | None = None
        self.closed = 0

    def info(self):
        return self.runtime.info()

    def bundles(self, workspace):
        if self.haves is None:
            return self.runtime.bundles(workspace)
        held = WorkspaceHaves(workspace=workspace, current=None, haves=self.haves)
        return BundleList(bundles=(), haves=(held,))

    def bundle_status(self, digest, workspace):
        return self.runtime.bundle_status(digest, workspace)

    def put_bundle(self, workspace, digest, file):
        self.puts.append(file.read_bytes())
        if self.failures:
            raise self.failures.pop(0)
        return self.runtime.put_bundle(workspace, digest, [self.puts[-1]])

    def close(self):
        self.closed += 1


@pytest.fixture
def peer(house):
    return Peer(house.runtime())


@pytest.fixture
def backend(house, peer):
    policy = VisibilityPolicy.model_validate({"schema": 1, "rule": [{"workspaces": ["*"]}]})
    with Backend.open(
        house.root / "backend", visibility=policy, clock=house.clock, connect=lambda known: peer
    ) as opened:
        house.register(opened, "eu-1", endpoint=ENDPOINT)
        house.publish(opened)
        yield opened


def one(backend):
    (outcome,) = backend.sync(TEAM).outcomes
    return outcome


def test_what_a_runtime_lost_is_sent_again_whole(house, backend, peer):
    first = backend.publishing.workspace(TEAM).head
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    peer.haves = (first.commit,)  # it says so, but holds nothing

    outcome = one(backend)

    assert (outcome.outcome, outcome.base) == ("synced", None)
    assert [len(data) for data in peer.puts] == sorted(len(data) for data in peer.puts)
    assert len(peer.puts) == 2


def test_a_runtime_that_holds_nothing_is_sent_the_tip_alone(house, backend, peer):
    house.publish(backend, prompts__role__coder="\nBe exact.\n")

    assert one(backend).outcome == "synced"

    head = backend.publishing.workspace(TEAM).head
    assert peer.runtime.held.haves(TEAM) == (head.commit,)
    assert b"\n-" + str(head.parent).encode() in peer.puts[0]


def test_a_full_bundle_that_still_lacks_something_is_not_sent_twice(backend, peer):
    peer.failures = [MissingPrerequisiteError("still")]

    outcome = one(backend)

    assert outcome.outcome in {"rejected", "failed"}
    assert outcome.reason.code == "missing_prerequisite"
    assert len(peer.puts) == 1


@pytest.mark.parametrize("error", [TransportError("cut"), StoreError("disk")])
def test_a_failure_that_says_nothing_about_the_bundle_is_tried_again(backend, peer, error):
    peer.failures = [error]

    failed, again = one(backend), one(backend)

    assert (failed.outcome, failed.reason.code) == ("failed", error.code)
    assert again.outcome == "synced"
    assert backend.fleet.view(EU).bundles[0].state == "accepted"


def test_a_failure_is_remembered_with_the_runtime_and_its_client_is_closed(house, backend, peer):
    house.clock.advance(seconds=1)
    peer.failures = [TransportError("cut in the middle")]

    one(backend)

    view = backend.fleet.view(EU)
    assert (view.is_available, view.last_error) == (False, "cut in the middle")
    assert peer.closed == 1


def test_nothing_is_sent_to_a_runtime_that_is_at_the_newest_revision(backend, peer):
    one(backend)

    assert one(backend).outcome == "current"
    assert len(peer.puts) == 1


def test_a_runtime_that_cannot_be_reached_at_all_does_not_stop_the_others(house, peer):
    def connect(known):
        if known.runtime_id == EU:
            raise InvalidInputError("its token file is gone")
        return peer

    policy = VisibilityPolicy.model_validate({"schema": 1, "rule": [{"workspaces": ["*"]}]})
    with Backend.open(
        house.root / "b", visibility=policy, clock=house.clock, connect=connect
    ) as backend:
        for name in ("eu-1", "eu-2"):
            house.register(backend, name, endpoint=ENDPOINT)
        house.register(backend, "eu-3")
        house.publish(backend)
        outcomes = {str(o.runtime_id): o.outcome for o in backend.sync(TEAM).outcomes}

    assert outcomes == {"eu-1": "failed", "eu-2": "synced", "eu-3": "pulls"}


def test_without_runtimes_or_revisions_there_is_nothing_to_sync(house):
    with Backend.open(house.root / "b", clock=house.clock) as backend:
        with pytest.raises(BundleMissingError):
            backend.sync(TEAM)
        backend._repositories.create(TEAM)
        with pytest.raises(BundleMissingError, match="no revision"):
            backend.sync(TEAM)
        house.publish(backend)
        assert backend.sync(TEAM).outcomes == ()
        with pytest.raises(BundleMissingError):
            backend.sync(TEAM, SyncRequest(runtimes=(EU,)))


def test_push_tokens_are_files_of_their_owner(house, backend, tmp_path):
    tokens = PushTokens(tmp_path / "tokens")
    known = backend.fleet.known(EU)

    anonymous = tokens.connect(known)
    anonymous.close()
    tokens.keep(EU, "t" * 40)
    with pytest.raises(InvalidInputError):
        tokens.keep(EU, "u" * 40)
    client = tokens.connect(known)
    client.close()
    mode = stat.S_IMODE((tmp_path / "tokens").stat().st_mode)
    tokens.forget(EU)
    tokens.forget(EU)

    assert mode == 0o700
    assert list((tmp_path / "tokens").iterdir()) == []


def test_one_without_an_endpoint_cannot_be_connected_to(house, backend, tmp_path):
    house.register(backend, "eu-2")

    with pytest.raises(InvalidInputError, match="it pulls"):
        PushTokens(tmp_path).connect(backend.fleet.known(RuntimeId("eu-2")))
