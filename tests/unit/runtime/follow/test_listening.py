"""Listening, answer by answer: what each of them leads to, and that none leads to a hot loop."""

from __future__ import annotations

import pytest
from house import TEAM

from yoi_bundles.errors import TransportError
from yoi_bundles.runtime.follow import listening
from yoi_bundles.runtime.follow.listening import MAX_LISTENED, Listening, Rounds, spread
from yoi_bundles.wire.client.backend_client import Polled

NOTHING = Polled(None, '"1"', has_waited=True)
NEWS = Polled(object(), '"2"', has_waited=True)


class Stage(Rounds):
    """Rounds that are over when the Backend has said all it has to say."""

    def __init__(self, *answers) -> None:
        super().__init__()
        self.answers = list(answers)
        self.etags: dict = {TEAM: '"1"'}
        self.after_round: list[str | None] = []
        self.said: list[object] = []

    def poll(self, workspace, channel, etag, *, wait_seconds):
        self.said.append((etag, wait_seconds))
        answer = self.answers.pop(0)
        if not self.answers:
            self.end()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def demand(self):
        self.said.append("round")
        if self.after_round:
            self.etags[TEAM] = self.after_round.pop(0)

    def pause(self, seconds):
        self.said.append(f"pause {seconds:g}")


@pytest.fixture
def listen(monkeypatch):
    monkeypatch.setattr(listening, "spread", lambda seconds: seconds)

    def run(stage, interval_seconds=10.0):
        Listening(
            stage,
            stage,
            etag_of=stage.etags.get,
            note_contact=lambda workspace: stage.said.append(f"heard of {workspace}"),
            interval_seconds=interval_seconds,
        ).run(TEAM)
        return stage.said

    return run


def test_an_answer_without_news_is_a_contact_and_the_next_wait_begins(listen):
    assert listen(Stage(NOTHING, NOTHING, NOTHING)) == [
        ('"1"', 30), "heard of team", ('"1"', 30), "heard of team", ('"1"', 30),
    ]  # fmt: skip


def test_news_demand_a_round_and_the_next_wait_builds_on_it(listen):
    stage = Stage(NEWS, NOTHING)
    stage.after_round = ['"2"']

    assert listen(stage) == [('"1"', 30), "round", ('"2"', 30)]


def test_news_that_a_round_can_do_nothing_about_are_not_asked_for_in_a_loop(listen):
    stage = Stage(NEWS, NOTHING)
    stage.after_round = ['"1"']

    assert listen(stage) == [('"1"', 30), "round", "pause 10", ('"1"', 30)]


def test_after_errors_it_comes_again_later_and_later_but_within_the_interval(listen):
    away = TransportError("away")
    said = listen(Stage(*[away] * 6, NOTHING))

    assert said[1::2] == ["pause 1", "pause 2", "pause 4", "pause 8", "pause 10", "pause 10"]


def test_a_backend_that_lets_nobody_wait_is_polled_as_before(listen):
    assert listen(Stage(Polled(None, '"1"'), NOTHING)) == [('"1"', 30)]


def test_pauses_are_spread_by_a_fifth():
    pauses = [spread(10) for _ in range(500)]

    assert 8 <= min(pauses) < 9
    assert 11 < max(pauses) <= 12


def test_only_so_many_threads_listen(monkeypatch):
    started = []
    monkeypatch.setattr(Listening, "run", lambda self, workspace: started.append(workspace))
    stage = Stage(NOTHING)

    Listening(stage, stage, etag_of=stage.etags.get, note_contact=print, interval_seconds=1).start(
        [TEAM] * (MAX_LISTENED + 5)
    )

    assert len(started) == MAX_LISTENED


def test_rounds_come_in_time_on_demand_and_not_after_the_end():
    rounds = Rounds()
    assert rounds.begin(100), "the first one is due at once"
    assert rounds.begin(0.001), "in time"
    rounds.end()
    rounds.demand()
    assert not rounds.begin(100)
