"""The target table: verdicts, fitted exponents, what ends up in the documentation."""

import xml.etree.ElementTree as ET

import pytest

from bench.growth import fit_exponent
from bench.picture import draw_curves
from bench.report import BEGIN, END, replace_block
from bench.table import Curve, Record, Row, cells, read_json, write_json
from bench.targets import SUITES, TARGETS, Target

TWICE = Target("suite", "work", 2.0, "git")


def row(target: Target, ours: float | None, peer: float | None = None, size: str = "") -> Row:
    return Row(target, size, ours, peer)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (row(TWICE, 19.9, 10.0), "pass"),
        (row(TWICE, 20.1, 10.0), "MISS"),
        (row(TWICE, 19.9), "absent"),
        (row(TWICE, 19.9, 0.0), "info"),
        (row(Target("suite", "work", 150), 150.0), "pass"),
        (row(Target("suite", "work", 150), 151.0), "MISS"),
        (row(Target("suite", "work", 150), None), "absent"),
        (row(Target("suite", "work"), 1e9), "info"),
        (row(Target("suite", "work", 100, "Hydra", at_least=True), 1.0, 99.0), "MISS"),
        (row(Target("suite", "work", 100, "Hydra", at_least=True), 1.0, 101.0), "pass"),
        (row(Target("suite", "work", 1.0, "git", limits={"50": 0.5}), 6.0, 10.0, "50"), "MISS"),
        (row(Target("suite", "work", 1.0, "git", limits={"50": 0.5}), 6.0, 10.0, "99"), "pass"),
    ],
)
def test_a_row_is_held_against_the_limit_of_its_target(measured, verdict):
    assert measured.verdict == verdict


def test_what_was_not_measured_is_named():
    record = Record()
    works = [work for work, target in TARGETS.items() if target.suite == "memory"]
    record.add(works[0], 50, 1.0)

    assert record.missing(["memory"]) == works[1:]
    assert record.missing(["resolve", "memory"])[0].startswith("resolve, ")


def test_only_work_of_the_table_is_recorded():
    with pytest.raises(KeyError, match="something else"):
        Record().add("something else", 50, 1.0)


def test_a_median_leaves_out_the_pair_that_warmed_up():
    record = Record()
    record.add_pairs("fresh sync", 50, [(9.0, 9.0), (0.001, 0.004), (0.003, 0.002), (0.002, 0.003)])

    assert (record.rows[0].ours, record.rows[0].peer) == (2.0, 3.0)


def test_rows_are_in_the_order_of_the_table():
    record = Record()
    for work in reversed(TARGETS):
        record.add(work, 50, 1.0, 1.0)

    assert [one.target.work for one in record.ordered()] == list(TARGETS)


@pytest.mark.parametrize("exponent", [0.0, 0.15, 1.0])
def test_the_exponent_of_a_power_is_found(exponent):
    points = [(x, 3.5 * x**exponent) for x in (1, 10, 100, 1_000)]

    assert fit_exponent(points) == pytest.approx(exponent)


def test_every_suite_is_run_by_the_program():
    from bench.__main__ import ALONE, STAGED

    assert {*STAGED, *ALONE} == set(SUITES)


def test_the_picture_shows_every_point_of_every_curve(tmp_path):
    curves = [
        Curve("files", "full sync", ((50, 30.0), (1_000, 300.0)), 0.77),
        Curve("files", "anything new?", ((50, 0.02), (1_000, 0.02)), 0.0),
        Curve("held bundles", "increment", ((1, 9.0), (10, 9.5), (100, 10.0)), 0.02),
    ]
    draw_curves(tmp_path / "picture.svg", curves)

    svg = ET.parse(tmp_path / "picture.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    width, height = map(float, svg.attrib["viewBox"].split()[2:])
    circles = svg.findall(f".//{name}circle")
    assert len(circles) == 7
    assert all(0 < float(one.attrib["cx"]) < width for one in circles)
    assert all(0 < float(one.attrib["cy"]) < height for one in circles)
    texts = [one.text for one in svg.findall(f".//{name}text")]
    assert {"Time by files", "Time by held bundles", "full sync (exponent 0.77)"} <= set(texts)


def test_only_the_marked_block_of_a_document_is_replaced():
    text = f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n"

    assert replace_block(text, "new\n") == f"Before.\n{BEGIN}\nnew\n{END}\nAfter.\n"


def test_a_document_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="substring"):
        replace_block("No mark.\n", "new\n")


def test_cells_name_limit_and_unit():
    assert cells(row(TWICE, 19.9, 10.0, "50")) == (
        "work", "50", "19.90 ms", "10.00 ms", "git", "1.99", "<= 2.00", "pass",
    )  # fmt: skip


def test_a_run_of_some_suites_takes_the_others_from_a_file(tmp_path):
    before, now = Record(absent={"ostree"}), Record()
    before.add("fresh sync", 50, 1.0, 2.0)
    before.add("resolve, warm", 200, 3.0)
    before.curves.append(Curve("files", "publish", ((50, 1.0), (100, 1.5)), 0.5))
    write_json(tmp_path / "before.json", before, {"commit": "abc"})
    now.add("resolve, warm", 200, 9.0)

    assert read_json(tmp_path / "before.json", now, ["resolve"]) == "abc"
    assert [(one.target.work, one.ours) for one in now.ordered()] == [
        ("fresh sync", 1.0),
        ("resolve, warm", 9.0),
    ]
    assert (now.curves, now.absent) == (before.curves, {"ostree"})
