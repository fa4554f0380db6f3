"""Every hostile case is refused by its code and leaves nothing; every control is then accepted."""

from __future__ import annotations

import pytest
from families import CASES
from families.controls import CONTROLS, FRESH_CONTROLS, HELD
from gitsays import run
from harness import load_table

TABLE = load_table()
PEAK_BYTES = 256 * 2**20
pytestmark = pytest.mark.timeout(300)  # the first test waits until all bombs have been sent


def test_the_whole_corpus_was_sent(outcome, tell):
    tell(outcome.summary())

    assert set(outcome.verdicts) == set(CASES)
    assert set(outcome.controls) == {*CONTROLS, *FRESH_CONTROLS}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_by_its_code_with_a_hint_and_leaves_nothing(outcome, name):
    verdict = outcome.verdicts[name]
    assert verdict.code == TABLE[name]["code"], verdict.message
    assert verdict.has_hint, verdict.message
    assert verdict.left == []


@pytest.mark.parametrize("name", [*CONTROLS, *FRESH_CONTROLS])
def test_a_good_file_is_accepted_after_all_the_hostile_ones(outcome, name):
    verdict = outcome.controls[name]
    assert verdict.code == f"accepted (new: {name not in HELD})", verdict.message


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("bombs/")])
def test_a_bomb_takes_little_memory(outcome, name):
    assert outcome.peak_bytes[name] <= PEAK_BYTES


@pytest.mark.needs_git
def test_git_finds_nothing_wrong_with_what_is_left(outcome):
    for store in outcome.stores:
        done, text = run(store, "fsck", "--full", "--strict", "--unreachable")
        assert (done, text) == (True, "")
        assert list((store / "quarantine").iterdir()) == []
        assert list(store.rglob("tmp_*")) == []
        assert list(store.rglob("*.lock")) == [store / "yoi.lock"]
