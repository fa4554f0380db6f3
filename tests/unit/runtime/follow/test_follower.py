"""Following, step by step: what a Backend may say, and that nothing it says ends the following."""

from __future__ import annotations

import pytest
from house import OTHER, TEAM

from yoi_bundles.errors import (
    BundleError,
    ForbiddenModeError,
    MissingPrerequisiteError,
    StorageFullError,
    TransportError,
)
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.wire.client.backend_client import Polled


class Peer:
    """A Backend behind the client's verbs, over the library; misbehaves as a test says."""

    def __init__(self, backend) -> None:
        self.backend = backend
        self.fetched: list[tuple] = []
        self.whole: list[bool] = []
        self.failures: list[Exception] = []
        self.reports: list[object] = []
        self.report_failure: Exception | None = None
        self.about = None

    def poll(self, workspace, channel, etag, *, wait_seconds=0):
        view = self.backend.channel(self.about or workspace, channel)
        now = f'"{view.revision.commit}"'
        return Polled(None, now) if etag == now else Polled(view, now)

    def fetch_bundle(self, workspace, digest, haves, write, *, is_whole=False):
        self.fetched.append(tuple(haves))
        self.whole.append(is_whole)
        if self.failures:
            raise self.failures.pop(0)
        raw = self.backend.bundle_file(
            digest, haves=tuple(haves), workspace=workspace, is_shallow=not is_whole
        )
        return write(raw.path.read_bytes())

    def report(self, runtime_id, report):
        self.reports.append(report)
        if self.report_failure is not None:
            raise self.report_failure

    def close(self):
        pass


@pytest.fixture
def backend(house):
    opened = house.backend()
    house.publish(opened)
    return opened


@pytest.fixture
def peer(backend):
    return Peer(backend)


@pytest.fixture
def runtime(house):
    return house.runtime()


@pytest.fixture
def follower(runtime, peer):
    return Follower(runtime, peer, [TEAM], interval_seconds=3600)


def test_what_is_held_is_not_fetched_even_without_an_etag(runtime, peer, follower):
    follower.poll(TEAM)
    again = Follower(runtime, peer, [TEAM], interval_seconds=3600)

    assert again.poll(TEAM) is None
    assert peer.fetched == [()]


def test_an_increment_that_does_not_fit_is_fetched_whole(house, backend, peer, follower):
    first = follower.poll(TEAM).status.revision
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    peer.failures = [MissingPrerequisiteError("lost")]

    taken = follower.poll(TEAM)

    assert peer.fetched == [(), (first.commit,), ()]
    assert peer.whole == [False, False, True]
    assert taken.status.is_current


def test_a_fresh_runtime_begins_with_the_tip_and_goes_on_from_there(
    house, backend, runtime, follower
):
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    tip = follower.poll(TEAM).status.revision
    house.publish(backend, prompts__role__coder="\nBe quick.\n")

    taken = follower.poll(TEAM)

    assert taken.status.is_current
    assert runtime.held.haves(TEAM) == (taken.status.revision.commit, tip.commit)


def test_older_commits_are_offered_ever_more_rarely(house, backend, peer, follower):
    follower.poll(TEAM)
    commits = []
    for turn in range(10):
        commits.insert(0, house.publish(backend, prompts__role__coder=f"\nTurn {turn}.\n").revision)
        if turn < 9:
            follower.poll(TEAM)

    follower.poll(TEAM)

    places = [0, 1, 2, 3, 7]
    assert peer.fetched[-1] == tuple(commits[1 + place].commit for place in places)


def test_a_damaged_runtime_asks_for_whole_history(house, backend, peer, runtime, follower):
    follower.poll(TEAM)
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    for pack in (house.root / "eu-1").rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40] + b"damaged" + pack.read_bytes()[47:])
    runtime.held.upkeep.mend(TEAM)

    assert follower.poll(TEAM).status.is_current
    assert (peer.fetched[-1], peer.whole[-1]) == ((), True)
    assert not runtime.held.upkeep.is_damaged(TEAM)


def test_what_may_pass_is_fetched_again_and_what_was_refused_is_not(house, backend, peer, follower):
    peer.failures = [TransportError("cut")]
    with pytest.raises(TransportError):
        follower.poll(TEAM)
    assert follower.poll(TEAM).is_new

    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    peer.failures = [ForbiddenModeError("a link")]
    with pytest.raises(ForbiddenModeError):
        follower.poll(TEAM)
    assert follower.poll(TEAM) is None
    assert len(peer.fetched) == 3


def test_a_backend_that_speaks_of_another_workspace_is_not_believed(house, backend, runtime, peer):
    house.publish(backend, OTHER)
    peer.about = OTHER
    follower = Follower(runtime, peer, [TEAM], interval_seconds=3600)

    with pytest.raises(TransportError, match="another workspace") as raised:
        follower.poll(TEAM)

    assert raised.value.retryable is False
    assert peer.fetched == []
    assert runtime.bundles().bundles == ()


def test_a_round_never_raises_and_is_reported_even_so(runtime, peer, follower):
    peer.failures = [StorageFullError("no room")]
    peer.report_failure = TransportError("gone")

    follower.poll_all()

    assert len(peer.reports) == 1
    assert "storage_full" in runtime.info().following[0].last_error


def test_a_disk_too_full_for_the_reason_does_not_end_the_following(runtime, peer, follower):
    peer.failures = [TransportError("cut")]
    real = runtime.note_contact
    failing = [StorageFullError("no room")]

    def note(workspace, failure=None):
        if failure is not None and failing:
            raise failing.pop()
        real(workspace, failure)

    runtime.note_contact = note
    follower.poll_all()
    follower.poll_all()

    assert failing == []
    assert len(runtime.bundles(TEAM).bundles) == 1


def test_a_new_policy_is_a_new_chance_for_what_was_refused(house, backend, peer):
    policy = house.policy('schema = 1\n[bundles]\nworkspaces = ["other"]\n')
    runtime = house.runtime(policy=policy)
    follower = Follower(runtime, peer, [TEAM], interval_seconds=3600)
    follower.poll_all()
    follower.poll_all()
    refused = len(peer.fetched)
    house.policy()
    runtime.policy.reload()
    follower.poll_all()

    assert refused == 0, "host policy accepts nothing of it, so nothing is fetched"
    assert len(runtime.bundles(TEAM).bundles) == 1


def test_a_follower_that_never_started_can_be_stopped(follower, peer):
    follower.stop()
    follower.poll_all()

    assert peer.fetched == []


@pytest.mark.parametrize("verb", ["fetch_bundle", "report"])
def test_a_connection_that_stop_has_closed_is_no_failure(runtime, peer, follower, verb, caplog):
    def closed(*asked, **more):
        follower.stop()
        raise TransportError("closed")

    setattr(peer, verb, closed)
    follower.poll_all()

    assert caplog.text == ""
    assert [one.last_error for one in runtime.info().following] in ([], [None])


def test_a_workspace_that_is_gone_is_noted(runtime, peer):
    follower = Follower(runtime, peer, [OTHER], interval_seconds=3600)

    with pytest.raises(BundleError):
        follower.poll(OTHER)
    follower.poll_all()

    assert runtime.info().following[0].workspace == OTHER
