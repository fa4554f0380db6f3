"""Every case of fixtures/findings: exactly these findings, at exactly these lines."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from yoi_bundles.content.check import check_files
from yoi_bundles.model.ids import RelativePath

FIXTURES = Path(__file__).parents[3] / "fixtures" / "findings"
CASES = tomllib.loads((FIXTURES / "cases.toml").read_text(encoding="utf-8"))["case"]


def read_base() -> dict[RelativePath, bytes]:
    base = FIXTURES / "base"
    return {
        RelativePath(path.relative_to(base).as_posix()): path.read_bytes()
        for path in base.rglob("*")
        if path.is_file()
    }


def make_files(case: Mapping[str, Any]) -> dict[RelativePath, bytes]:
    files = read_base()
    for path, text in case.get("files", {}).items():
        files[RelativePath(path)] = text.encode()
    for path in case.get("remove", []):
        del files[RelativePath(path)]
    return files


def test_the_base_has_nothing_to_find() -> None:
    result = check_files(read_base())
    assert result.findings == ()
    assert result.bundle is not None


def test_names_of_cases_are_unique() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_findings_are_exactly_those_of_the_case(case: Mapping[str, Any]) -> None:
    result = check_files(make_files(case))
    found = [
        [finding.file, finding.line or 0, finding.code]
        + (["warning"] if finding.severity == "warning" else [])
        for finding in result.findings
    ]
    assert sorted(found) == sorted(case["expect"])
    assert [entry[:2] for entry in found] == sorted(entry[:2] for entry in found)
    has_error = any(len(entry) == 3 for entry in case["expect"])
    assert (result.bundle is None) == has_error
    said = " / ".join(f"{finding.message} ({finding.hint})" for finding in result.findings)
    assert case.get("says", "") in said
