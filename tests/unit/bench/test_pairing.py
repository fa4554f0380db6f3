"""Figures of two commits in pairs: ratios, their quartiles, and what is said of them."""

import json

import pytest

import bench.pairing
from bench.pairing import HEADER, Key, PairedRow, Pairing, cells, read_figures, write_pairs
from bench.table import Curve, Record, write_json
from bench.targets import Target

WARM = Key("resolve", "resolve, warm", "200", "us")


def paired(*pairs: tuple[float | None, float | None], key: Key = WARM) -> PairedRow:
    return PairedRow(key, list(pairs))


def of_ratios(*ratios: float, key: Key = WARM) -> PairedRow:
    return paired(*((10 * ratio, 10.0) for ratio in ratios), key=key)


def test_a_ratio_is_ours_through_theirs_of_the_same_pair():
    # The machine takes twice as long from the second pair on: both medians move, no ratio does.
    row = paired((10.0, 20.0), (20.0, 40.0), (21.0, 42.0))

    assert row.ratios == [0.5, 0.5, 0.5]
    assert (row.ours, row.theirs) == (20.0, 40.0)


def test_quartiles_lie_within_the_ratios():
    assert of_ratios(5.0, 1.0, 4.0, 2.0, 3.0).quartiles == (2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((1.0, 1.0, 1.0), "same"),
        ((0.9, 1.0, 1.3), "same"),
        ((1.1, 1.2, 1.5), "same"),  # 0.2 from 1, and 0.2 between the quartiles
        ((1.15, 1.2, 1.3), "slower"),
        ((0.7, 0.75, 0.8), "faster"),
        ((0.5, 0.75, 1.0), "same"),
        ((1.001, 1.001, 1.001), "slower"),  # as bytes are: there is no noise to hide in
    ],
)
def test_the_spread_of_a_row_decides_what_is_the_same(ratios, verdict):
    assert of_ratios(*ratios).verdict == verdict


def test_one_pair_out_of_nine_in_a_busy_moment_changes_nothing():
    assert of_ratios(*[1.0] * 4, 9.0, *[1.02] * 4).verdict == "same"


def test_where_more_is_better_less_is_slower(monkeypatch):
    target = Target("resolve", "resolutions", unit="/s", more_is_better=True)
    monkeypatch.setattr(bench.pairing, "TARGETS", {"resolutions": target})
    key = Key("resolve", "resolutions", "200", "/s")

    assert of_ratios(0.5, 0.5, 0.5, key=key).verdict == "slower"
    assert of_ratios(2.0, 2.0, 2.0, key=key).verdict == "faster"


def test_a_smallest_ratio_to_a_peer_turns_nothing_round():
    key = Key("resolve", "resolve, warm, against Hydra", "200", "us")

    assert of_ratios(2.0, 2.0, 2.0, key=key).verdict == "slower"


def test_what_the_clock_did_not_see_has_no_ratio():
    row = paired((0.0, 1.0), (1.0, 0.0), (-1.0, -1.0), (1.0, 2.0), (1.0, 2.0))

    assert row.ratios == [0.5, 0.5]
    assert (row.quartiles, row.verdict) == (None, "too few")


def test_a_row_of_one_side_is_listed_as_such():
    pairing = Pairing()
    new, old = Key("resolve", "new", "1", "us"), Key("resolve", "old", "1", "us")
    for _ in range(3):
        pairing.add_pair({WARM: 2.0, new: 3.0}, {WARM: 1.0, old: 4.0})

    assert [(row.key.work, row.ours, row.theirs, row.verdict) for row in pairing.ordered()] == [
        ("resolve, warm", 2.0, 1.0, "slower"),
        ("new", 3.0, None, "only ours"),
        ("old", None, 4.0, "only theirs"),
    ]
    assert pairing.has_slower()


def test_figures_in_another_unit_are_another_row():
    pairing = Pairing()
    pairing.add_pair({WARM: 2000.0}, {WARM._replace(unit="ms"): 2.0})

    assert {row.verdict for row in pairing.ordered()} == {"only ours", "only theirs"}


def test_rows_are_in_the_order_of_the_table_and_sizes_as_they_were_measured():
    pairing = Pairing()
    sync = [Key("syncing", "fresh sync", size, "ms") for size in ("50", "1000")]
    cpu = Key("serving", "server CPU, increment", "50", "ms")
    pairing.add_pair({WARM: 1.0, sync[0]: 1.0, sync[1]: 1.0, cpu: 1.0}, {})

    assert [row.key for row in pairing.ordered()] == [cpu, *sync, WARM]


def test_a_row_is_shown_with_its_spread():
    row = of_ratios(1.1, 1.2, 1.3, 1.4, 1.5)

    assert dict(zip(HEADER, cells(row), strict=True)) == {
        "work": "resolve, warm", "size": "200", "ours": "13.00 us", "theirs": "10.00 us",
        "ratio": "1.300", "quartiles": "1.200-1.400", "pairs": "5", "": "slower",
    }  # fmt: skip
    assert cells(paired((None, 4.0)))[2:] == ("", "4.00 us", "", "", "0", "only theirs")


def test_what_a_run_writes_is_read_and_times_stand_for_their_exponent(tmp_path):
    record = Record()
    record.add("fresh sync", 50, 2.0, 4.0)
    record.add_absent("fresh copy, rsync", 50)
    record.add("growth with files: publish", "50-200", -0.01)
    record.curves.append(Curve("files", "publish", ((50, 1.5), (200, 1.25)), -0.01))
    write_json(tmp_path / "run.json", record, {})

    assert read_figures(tmp_path / "run.json") == {
        Key("syncing", "fresh sync", "50", "ms"): 2.0,
        Key("growth", "growth with files: publish", "50", "ms"): 1.5,
        Key("growth", "growth with files: publish", "200", "ms"): 1.25,
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rows": [{}], "curves": []}'])
def test_what_no_run_writes_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(ValueError, match=r"not what a run writes|Expecting value"):
        read_figures(tmp_path / "run.json")


def test_every_pair_is_written_as_it_was_measured(tmp_path):
    pairing = Pairing(failed={"memory": "ours: status 1: no memory"})
    for ours in (1.0, 2.0, 3.0):
        pairing.add_pair({WARM: ours}, {WARM: 2.0})
    write_pairs(tmp_path / "pairs.json", pairing, {"against": "abc"})

    document = json.loads((tmp_path / "pairs.json").read_text())
    assert document["about"] == {"against": "abc"}
    assert document["failed"] == {"memory": "ours: status 1: no memory"}
    (row,) = document["rows"]
    assert (row["work"], row["pairs"]) == ("resolve, warm", [[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])
    assert (row["ratio_quartiles"], row["verdict"]) == ([0.75, 1.0, 1.25], "same")
