"""docs/api.json is the public API, and says so when it changes."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

import yoi_bundles
from tools import api
from yoi_bundles import aio


@pytest.fixture(scope="module")
def described():
    return api.describe_api()


@pytest.fixture(scope="module")
def committed():
    return json.loads(api.FILE.read_text("utf-8"))


def test_the_api_is_the_one_that_is_committed(described, committed):
    found = api.differences(committed, described)

    assert found == [], (
        "run `make api`; a line with - or ! may break programs: name it in changelog.d, as "
        "`+word.breaking.md`\n" + "\n".join(found)
    )
    assert api.FILE.read_text("utf-8") == api.as_text(described)


def test_every_public_name_is_described(described):
    assert set(described["yoi_bundles"]) == set(yoi_bundles.__all__)
    assert set(described["yoi_bundles.aio"]) == set(aio.__all__)


def test_what_is_described_is_of_no_machine(described):
    text = api.as_text(described)

    assert str(api.ROOT) not in text
    assert len(text) < 64 * 1024
    assert describes(described, "Backend", "log").startswith("log(workspace: WorkspaceId | str, *,")
    assert describes(described, "Backend", "fleet") == "attribute: Fleet"


def describes(described, name, member):
    return described["yoi_bundles"][name]["members"][member]


def test_what_differs_is_told_and_what_may_break_is_marked(committed):
    changed = deepcopy(committed)
    members = changed["yoi_bundles"]["Runtime"]["members"]
    del members["plan_launch"]
    members["info"] = "info(is_short: bool) -> RuntimeInfo"
    members["launch"] = "launch() -> None"

    removed, other, added = api.differences(committed, changed)

    assert removed == "- yoi_bundles.Runtime.plan_launch"
    assert other.startswith("! yoi_bundles.Runtime.info: info() -> RuntimeInfo -> info(is_short")
    assert added == "+ yoi_bundles.Runtime.launch: launch() -> None"
