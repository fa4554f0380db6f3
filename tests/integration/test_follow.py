"""A Runtime that follows a Backend: polls, pulls increments, reports, lives without it."""

from __future__ import annotations

import contextlib
import time

import pytest
from house import TEAM, serving, worker_request

from yoi_bundles.backend.app import create_app
from yoi_bundles.errors import StaleBundleError, TransportError
from yoi_bundles.model.ids import MAIN_CHANNEL, RuntimeId
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.wire.client.backend_client import BackendClient

EU = RuntimeId("eu-1")


@pytest.fixture
def following(house):
    """Backend, Runtime and a follower between them; polls only when a test says so."""
    backend, runtime = house.backend(), house.runtime()
    token = house.register(backend, "eu-1")
    client = BackendClient(house.client(house.serve_backend(backend), token))
    return backend, runtime, Follower(runtime, client, [TEAM], interval_seconds=3600), client


def test_it_pulls_the_newest_revision_and_then_increments(house, following):
    backend, runtime, follower, _ = following
    first = house.publish(backend).revision
    full = follower.poll(TEAM)
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    increment = follower.poll(TEAM)

    assert runtime.bundle_status(first.digest).state == "accepted"
    assert runtime.bundle_status(second.digest).is_current
    assert increment.received_bytes < full.received_bytes / 10


def test_nothing_new_is_answered_without_a_body(house, following):
    backend, _, follower, client = following
    house.publish(backend)
    follower.poll(TEAM)
    etag = f'"{backend.publishing.workspace(TEAM).head.commit}"'

    assert follower.poll(TEAM) is None
    assert client.poll(TEAM, MAIN_CHANNEL, etag).channel is None


def test_it_reports_what_it_holds_to_the_backend(house, following):
    backend, _, follower, _ = following
    revision = house.publish(backend).revision

    follower.poll_all()

    view = backend.fleet.view(EU)
    assert view.is_available is True
    assert view.reported.runtime_id == EU
    assert [(one.digest, one.state) for one in view.bundles] == [(revision.digest, "accepted")]


def test_a_refused_bundle_is_reported_and_not_fetched_again(house):
    backend = house.backend()
    policy = house.policy('schema = 1\n[bundles]\nworkspaces = ["other"]\n')
    runtime = house.runtime(policy=policy)
    token = house.register(backend, "eu-1")
    client = BackendClient(house.client(house.serve_backend(backend), token))
    follower = Follower(runtime, client, [TEAM], interval_seconds=3600)
    house.publish(backend)
    follower.poll_all()

    assert runtime.bundles().bundles == ()
    assert follower.poll(TEAM) is None, "the same revision is not asked for twice"

    house.policy()
    runtime.policy.reload()
    follower.poll_all()
    assert len(runtime.bundles(TEAM).bundles) == 1, "a new policy is a new chance"


def test_a_bundle_lost_here_is_fetched_whole(house, following):
    backend, runtime, follower, client = following
    house.publish(backend)
    follower.poll(TEAM)
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    real = runtime.held.haves
    stranger = house.runtime("eu-2")
    lost = Follower(stranger, client, [TEAM], interval_seconds=3600)
    stranger.held.haves = lambda workspace: real(TEAM)  # it believes it holds what it lost

    result = lost.poll(TEAM)

    assert result.status.digest == second.digest


def test_with_the_backend_away_held_bundles_still_make_workers(house, following):
    backend, runtime, follower, client = following
    revision = house.publish(backend).revision
    follower.poll_all()
    client.close()
    gone = BackendClient(house.client("http://127.0.0.1:9", "x" * 43))
    lonely = Follower(runtime, gone, [TEAM], interval_seconds=3600)

    lonely.poll_all()

    status = runtime.info().following[0]
    assert "transport_failed" in status.last_error
    assert runtime.create_worker(worker_request(revision.digest)).is_new
    with pytest.raises(TransportError) as raised:
        lonely.poll(TEAM)
    assert raised.value.retryable is True


def test_staleness_warns_and_then_refuses(house):
    text = house.policy_text.replace(
        "[capabilities.git]",
        "stale_warn_seconds = 60\nstale_refuse_seconds = 600\n\n[capabilities.git]",
    )
    # The two keys belong to [bundles], which ends where [capabilities.git] begins.
    backend, runtime = house.backend(), house.runtime(policy=house.policy(text))
    token = house.register(backend, "eu-1")
    client = BackendClient(house.client(house.serve_backend(backend), token))
    follower = Follower(runtime, client, [TEAM], interval_seconds=3600)
    revision = house.publish(backend).revision
    follower.poll(TEAM)

    fresh = runtime.create_worker(worker_request(revision.digest, worker_id="a")).worker
    house.clock.advance(seconds=120)
    warned = runtime.create_worker(worker_request(revision.digest, worker_id="b")).worker
    house.clock.advance(seconds=600)
    with pytest.raises(StaleBundleError) as raised:
        runtime.create_worker(worker_request(revision.digest, worker_id="c"))
    follower.poll(TEAM)
    again = runtime.create_worker(worker_request(revision.digest, worker_id="d")).worker

    assert (fresh.warnings, len(warned.warnings)) == ((), 1)
    assert raised.value.code == "stale_bundle"
    assert again.warnings == ()
    assert fresh.receipt.spec_digest == warned.receipt.spec_digest


def test_the_polling_thread_stops_when_told(house, following):
    backend, runtime, _, client = following
    revision = house.publish(backend).revision
    follower = Follower(runtime, client, [TEAM], interval_seconds=0.05)

    follower.start()
    for _ in range(200):
        if runtime.bundles(TEAM).bundles:
            break
        follower._rounds.pause(0.05)
    follower.stop()

    assert runtime.bundle_status(revision.digest).is_current
    assert not follower._thread.is_alive()


def test_news_are_taken_in_at_once_though_the_next_poll_is_an_hour_away(house, following):
    """And again: the second wait builds on what the first one brought."""
    backend, runtime, follower, _ = following
    house.publish(backend)
    follower.start()
    eventually(follower, lambda: backend.fleet.view(EU).bundles)

    for text in ("\nBe exact.\n", "\nBe quick.\n"):
        digest = house.publish(backend, prompts__role__coder=text).revision.digest
        eventually(
            follower,
            lambda digest=digest: digest in {b.digest for b in backend.fleet.view(EU).bundles},
        )
        assert runtime.bundle_status(digest).is_current
    follower.stop()


def test_a_backend_that_comes_back_is_listened_to_again(house):
    backend, runtime = house.backend(), house.runtime()
    token = house.register(backend, "eu-1")
    house.publish(backend)
    app = create_app(backend)
    server = contextlib.ExitStack()
    with server:
        url = server.enter_context(serving(app))
        client = BackendClient(house.client(url, token))
        follower = Follower(runtime, client, [TEAM], interval_seconds=0.5)
        follower.start()
        eventually(follower, lambda: runtime.bundles(TEAM).bundles)
    digest = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision.digest
    with serving(create_app(backend), port=int(url.rpartition(":")[2])):
        eventually(follower, lambda: len(runtime.bundles(TEAM).bundles) == 2)
        follower.stop()

    assert runtime.bundle_status(digest).is_current


def eventually(follower, is_so) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        follower._rounds.pause(0.02)
