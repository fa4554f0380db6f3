"""The table of docs/performance.md is one of the benchmarks as they are now."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

from markdown import DOCS, ROOT, read, rows, section

sys.path.insert(0, str(ROOT))

from bench.table import HEADER
from bench.targets import SUITES, TARGETS

TABLE = rows(section(read("performance.md"), "The latest full run"))
VERDICTS = {"pass", "MISS", "info", "absent"}


def test_the_table_names_every_target_of_the_code_and_nothing_else():
    assert {row[0] for row in TABLE} == set(TARGETS)


def test_every_row_has_a_figure_and_a_verdict():
    assert all(len(row) == len(HEADER) for row in TABLE)
    assert {row[-1] for row in TABLE} <= VERDICTS
    assert [row for row in TABLE if row[-1] != "absent" and not re.match(r"-?\d", row[2])] == []


def test_the_limits_shown_are_those_of_the_code():
    for row in TABLE:
        limit = TARGETS[row[0]].limit_of(row[1])
        assert (row[6] == "") == (limit is None), row
        if limit is not None:
            assert float(row[6].split()[1]) == round(limit, 3), row


def test_the_table_says_where_and_when_it_was_measured():
    said = section(read("performance.md"), "The latest full run")

    for name in ("date", "commit", "cores", "git", "nginx", "python", "hydra-core"):
        assert re.search(rf"\b{name} [\w.-]+", said), name


def test_every_suite_is_explained():
    explained = {
        row[0].strip("`") for row in rows(section(read("performance.md"), "What is compared"))
    }

    assert explained == set(SUITES)


def test_the_picture_has_a_curve_for_every_exponent():
    svg = ET.parse(DOCS / "performance.svg").getroot()
    texts = [one.text or "" for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    shown = [text for text in texts if "exponent" in text]

    assert len(shown) == sum(work.startswith("growth with ") for work in TARGETS)
