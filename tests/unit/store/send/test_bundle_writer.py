"""An increment holds what changed as deltas where they are worth it, and is whole in any case."""

import random

import pytest
from damaging import publish_line
from store_factories import bundle_bytes, make_draft, make_files, receive

from yoi_bundles.model.limits import Limits
from yoi_bundles.store.send import bundle_writer


def text_of(seed: int, lines: int = 400) -> str:
    words = random.Random(seed)
    return "".join(f"{words.random()}\n" for _ in range(lines))


@pytest.fixture
def two(repository):
    """A large file, and the same with a line more."""
    first = repository.publish(make_files(big=text_of(1)), make_draft()).revision
    second = repository.publish(make_files(big=text_of(1) + "more\n"), make_draft()).revision
    return first, second


def step(repository, peer, first, second):
    """Bring the second revision to a peer that has the first; the increment's size."""
    receive(peer, bundle_bytes(repository, first.commit))
    raw = bundle_bytes(repository, second.commit, [first.commit])
    assert receive(peer, raw).is_new
    assert peer.verify().problems == ()
    assert list(peer.revisions()) == list(repository.revisions())
    return len(raw)


def test_a_line_more_in_a_large_file_makes_a_small_increment(repository, peer, two):
    assert step(repository, peer, *two) < 1500


def test_a_file_too_large_for_deltas_is_sent_whole(repository, peer, two, monkeypatch):
    """A delta takes memory for both: beyond the bound the whole file is sent instead."""
    monkeypatch.setattr(bundle_writer, "_MAX_DELTA_BYTES", 10_000)

    assert step(repository, peer, *two) > 3000


def test_a_file_that_is_another_altogether_is_sent_whole(repository, peer):
    first = repository.publish(make_files(big=text_of(1)), make_draft()).revision
    second = repository.publish(make_files(big=text_of(2)), make_draft()).revision

    assert step(repository, peer, first, second) > 3000


def test_a_chain_of_deltas_ends_where_a_receiver_would_refuse_it(repository, peer, monkeypatch):
    monkeypatch.setattr(bundle_writer, "_MAX_DELTA_DEPTH", 3)
    first = publish_line(repository, 1)[0]
    for number in range(9):
        files = make_files(big=text_of(1) + f"{number}\n" * number)
        last = repository.publish(files, make_draft()).revision
    limits = Limits(delta_depth=3)

    receive(peer, bundle_bytes(repository, first.commit), limits=limits)
    receive(peer, bundle_bytes(repository, last.commit, [first.commit]), limits=limits)

    assert list(peer.revisions()) == list(repository.revisions())
    assert peer.verify().problems == ()
