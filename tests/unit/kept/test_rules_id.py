"""The id of the rules of a check: another one whenever a rule may be another one."""

from dataclasses import dataclass
from pathlib import Path

import pydantic
import pytest

from yoi_bundles.kept import rules_id
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits


@pytest.fixture(autouse=True)
def _fresh():
    rules_id.find_rules_id.cache_clear()
    yield
    rules_id.find_rules_id.cache_clear()


@dataclass
class Spec:
    origin: str | None


def test_it_is_the_same_for_the_same_rules_and_another_for_other_limits():
    found = rules_id.find_rules_id(DEFAULT_LIMITS)
    rules_id.find_rules_id.cache_clear()

    assert found is not None
    assert rules_id.find_rules_id(Limits()) == found
    assert rules_id.find_rules_id(Limits(files=3)) != found


def test_it_reads_the_version_of_the_pydantic_that_would_be_loaded():
    assert pydantic.VERSION in rules_id._pydantic_version().read_text()


def test_another_version_of_pydantic_has_other_rules(tmp_path: Path, monkeypatch):
    found = set()
    for version in ("2.14.3", "2.14.4"):
        (tmp_path / "version.py").write_text(f"VERSION = '{version}'\n")
        monkeypatch.setattr(rules_id, "find_spec", lambda name: Spec(str(tmp_path / "x.py")))
        rules_id.find_rules_id.cache_clear()
        found.add(rules_id.find_rules_id(DEFAULT_LIMITS))

    assert len(found) == 2
    assert None not in found


@pytest.mark.parametrize("spec", [None, Spec(None), Spec("/nowhere/__init__.py")])
def test_without_its_source_nothing_can_be_told(monkeypatch, spec):
    monkeypatch.setattr(rules_id, "find_spec", lambda name: spec)

    assert rules_id.find_rules_id(DEFAULT_LIMITS) is None
