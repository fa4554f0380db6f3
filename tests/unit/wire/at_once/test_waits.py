"""Waiting for news: woken by news, by a look, by time, by leaving and by a stop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from house import START

from yoi_bundles.wire.at_once.waits import (
    MAX_WAIT_SECONDS,
    TICK_SECONDS,
    Waits,
    preferred_wait_seconds,
)
from yoi_bundles.wire.messages.roles import CredentialView

LONG_SECONDS = 30
ADA = CredentialView(name="ada", role="operator", created_at=START)


def never_leaves(callback):
    """A connection that is never lost."""


def leaves(callback):
    """A connection that is lost as soon as somebody asks."""
    if callback is not None:
        callback()


class Place:
    """Something that looks different when a test says so."""

    def __init__(self) -> None:
        self.state = 0
        self.looks = 0

    def look(self, key: str) -> int:
        self.looks += 1
        return self.state


def run(work, place=None):
    """Seconds that some waiting took; nothing of it is left afterwards."""
    waits = Waits((place or Place()).look, lambda: 4)

    async def timed() -> float:
        started = time.monotonic()
        async with asyncio.timeout(LONG_SECONDS / 2):
            await work(waits)
        took = time.monotonic() - started
        while waits._ticking is not None:
            await asyncio.sleep(0)
        assert (waits._waiting, waits._ends, waits._seen, waits._owners) == ({}, {}, {}, {})
        return took

    return asyncio.run(timed())


async def wait(waits, key="a", *, seen=0, seconds=LONG_SECONDS, when_left=never_leaves):
    await waits.begin(ADA, key, seen, seconds, lambda: None).until_over(when_left)


def test_a_ring_wakes_all_who_wait_for_this_and_nobody_else():
    async def work(waits):
        tasks = [asyncio.create_task(wait(waits, key)) for key in "aaab"]
        await asyncio.sleep(0)
        threading.Thread(target=waits.wake, args=("a",)).start()
        await asyncio.gather(*tasks[:3])
        assert not tasks[3].done()
        waits.stop()
        await tasks[3]

    run(work)


def test_what_another_process_changes_is_seen():
    place = Place()

    async def work(waits):
        task = asyncio.create_task(wait(waits))
        await asyncio.sleep(0)
        place.state = 1
        await task

    assert run(work, place) < 1


def test_a_change_before_the_wait_began_is_seen_too():
    place = Place()

    async def work(waits):
        seen = waits.look("a")
        place.state = 1
        await wait(waits, seen=seen)

    assert run(work, place) < 1


def test_a_wait_is_over_in_time():
    async def work(waits):
        await wait(waits, seconds=0.2)

    assert 0.2 <= run(work) < 0.2 + 10 * TICK_SECONDS


def test_who_leaves_does_not_wait():
    async def work(waits):
        await wait(waits, when_left=leaves)

    assert run(work) < 1


def test_a_wait_that_is_cancelled_leaves_nothing():
    async def work(waits):
        task = asyncio.create_task(wait(waits))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work)


def test_after_a_stop_nobody_waits():
    async def work(waits):
        waits.stop()
        await wait(waits)

    assert run(work) < 1


def test_many_who_wait_for_one_thing_cost_one_look():
    place = Place()

    async def work(waits):
        await asyncio.gather(*(wait(waits, seconds=0.2) for _ in range(200)))

    run(work, place)
    assert place.looks <= 0.2 / TICK_SECONDS + 3


def test_a_ring_is_heard_though_the_event_loop_has_ended():
    waits = Waits(Place().look, lambda: 4)
    asyncio.run(wait(waits, seconds=0.01))

    waits.wake("a")

    assert waits._waiting == {}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 0),
        (["wait=7"], 7),
        (['WAIT = "7"'], 7),
        (["respond-async, wait=7"], 7),
        (["respond-async", "wait=7; foo=bar"], 7),
        (["wait=7, wait=9"], 7),
        (["wait=99999"], MAX_WAIT_SECONDS),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["await=7"], 0),
        (["wait=" + "9" * 50], 0),
    ],
)
def test_how_long_somebody_wants_to_wait(headers, seconds):
    raw = [(b"prefer", value.encode()) for value in headers]

    assert preferred_wait_seconds({"headers": raw}) == seconds


def test_a_look_that_fails_leaves_nobody_waiting_without_a_clock():
    place = Place()

    def fail(key):
        raise OSError("the disk is gone")

    async def work(waits):
        waits._look = fail
        task = asyncio.create_task(wait(waits))
        await asyncio.sleep(0)
        ticking = waits._ticking
        await task
        with pytest.raises(OSError, match="the disk is gone"):
            await ticking
        waits._look = place.look
        await wait(waits, seconds=TICK_SECONDS)

    run(work, place)
