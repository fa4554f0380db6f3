"""How often and how many at once, with a clock that moves when a test says so."""

from __future__ import annotations

import contextlib

import pytest

from yoi_bundles.errors import TooManyRequestsError
from yoi_bundles.model.request_limits import RequestLimits
from yoi_bundles.wire.answers import throttle
from yoi_bundles.wire.answers.throttle import Rate, Throttle, network_of

LIMITS = RequestLimits(
    requests_per_second=10,
    burst_requests=5,
    concurrent_requests=3,
    failures_per_minute=6,
    burst_failures=2,
)


class Timer:
    """Seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer():
    return Timer()


@pytest.fixture
def bounds(timer):
    return Throttle(lambda: LIMITS, timer)


def ask(bounds: Throttle, name: str = "ada", times: int = 1) -> None:
    for _ in range(times):
        bounds.begin(name)
        bounds.end(name)


def test_a_burst_is_taken_and_then_the_average_holds(bounds, timer):
    ask(bounds, times=5)
    with pytest.raises(TooManyRequestsError, match="too fast") as raised:
        ask(bounds)
    assert raised.value.code == "too_many_requests"
    assert raised.value.retryable
    assert raised.value.facts["retry_after_seconds"] == 1

    taken = 0
    for _ in range(1000):
        timer.now += 0.01
        with contextlib.suppress(TooManyRequestsError):
            ask(bounds)
            taken += 1
    assert 99 <= taken <= 101


def test_what_is_refused_does_not_make_the_wait_longer(bounds, timer):
    ask(bounds, times=5)
    for _ in range(100):
        with pytest.raises(TooManyRequestsError):
            ask(bounds)

    timer.now += 0.11
    ask(bounds)


def test_after_a_pause_there_is_a_whole_burst_and_no_more(bounds, timer):
    ask(bounds, times=5)
    timer.now += 3600
    ask(bounds, times=5)

    with pytest.raises(TooManyRequestsError):
        ask(bounds)


def test_each_name_has_bounds_of_its_own(bounds):
    ask(bounds, "ada", 5)
    ask(bounds, "olu", 5)


def test_only_so_many_are_under_way_at_once(bounds, timer):
    for _ in range(3):
        bounds.begin("ada")
    with pytest.raises(TooManyRequestsError, match="under way") as raised:
        bounds.begin("ada")
    assert raised.value.facts["retry_after_seconds"] == 1
    bounds.begin("olu")

    bounds.end("ada")
    bounds.begin("ada")


def test_nothing_is_kept_of_who_has_nothing_under_way(bounds):
    ask(bounds)

    assert bounds._under_way == {}


def test_other_limits_hold_from_the_next_request_on(timer):
    limits = [LIMITS]
    bounds = Throttle(lambda: limits[0], timer)
    ask(bounds, times=5)
    limits[0] = RequestLimits(burst_requests=1)

    with pytest.raises(TooManyRequestsError):
        ask(bounds)
    limits[0] = RequestLimits()
    ask(bounds, times=100)


def test_an_address_that_signs_in_in_vain_is_told_how_long_to_wait(bounds, timer):
    for _ in range(2):
        bounds.note_failure("192.0.2.1")
    with pytest.raises(TooManyRequestsError) as raised:
        bounds.note_failure("192.0.2.1")
    assert raised.value.facts["retry_after_seconds"] == 10
    bounds.note_failure("192.0.2.2")

    timer.now += 10
    bounds.note_failure("192.0.2.1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
    ],
)
def test_one_peer_is_an_address_or_a_network_of_its_own(address, network):
    assert network_of(address) == network


def test_memory_does_not_grow_with_the_number_of_peers(monkeypatch, timer):
    monkeypatch.setattr(throttle, "MAX_KEYS", 10)
    rate = Rate(timer)

    for number in range(100):
        assert rate.take(str(number), per_second=1, burst=1) == 0
    assert len(rate._due) == 10
    assert rate.take("99", per_second=1, burst=1) > 0
    assert rate.take("0", per_second=1, burst=1) == 0


def test_what_was_counted_under_other_bounds_is_as_many_events_under_new_ones(timer):
    now = LIMITS.model_copy(update={"requests_per_second": 0.001, "burst_requests": 1})
    bounds = Throttle(lambda: now, timer)
    ask(bounds)
    with pytest.raises(TooManyRequestsError):
        ask(bounds)

    now = LIMITS
    ask(bounds, times=4)
    with pytest.raises(TooManyRequestsError) as raised:
        ask(bounds)
    assert raised.value.facts["retry_after_seconds"] == 1
