"""The corpus over real HTTP, to a Runtime with a host policy: documented status and code."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from builder import Upload, World
from families import CASES
from families.controls import CONTROLS, FRESH_CONTROLS, HELD
from harness import build, is_for_nobody, listing, load_table

TABLE = load_table()
STATUS = {
    code: int(status)
    for code, status in re.findall(
        r"^\| `(\w+)` \| (\d{3}) \|",
        (Path(__file__).parents[2] / "docs" / "http-api.md").read_text("utf-8"),
        re.MULTILINE,
    )
}
SENT = [name for name in CASES if not name.startswith("bombs/") and "limits" not in TABLE[name]]


class Sender:
    """One connection that puts bundle files."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        self._headers = {"authorization": f"Bearer {token}"}

    def put(self, upload: Upload) -> tuple[int, dict[str, object]]:
        target = f"/v1/config-bundles/{upload.digest}?workspace=team"
        self._connection.request("PUT", target, upload.raw, self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def runtime(house):
    return house.runtime()


@pytest.fixture
def served(house, runtime):
    """A Runtime that holds the setup, and a connection to it."""
    url, token = house.serve_runtime(runtime)
    sender, world = Sender(url, token), World()
    for upload in world.setup():
        status, _ = sender.put(upload)
        assert status == 201
    yield house.root / "eu-1" / "bundles", sender, world
    sender.close()


def test_every_case_is_refused_by_the_documented_status_and_leaves_nothing(served):
    directory, sender, world = served
    before = listing(directory)
    wrong = []
    for name in (one for one in SENT if not is_for_nobody(one)):
        status, body = sender.put(build(name, world))
        code = TABLE[name]["code"]
        if (status, body["code"]) != (STATUS[code], code) or not body["hint"]:
            wrong.append((name, status, body))
    assert wrong == []
    assert len(SENT) > 500
    assert listing(directory) == before
    for name, make in CONTROLS.items():
        status, body = sender.put(make(world))
        assert status == (200 if name in HELD else 201), (name, body)


def test_a_runtime_that_holds_nothing_refuses_every_tip_without_a_past_that_is_wrong(house):
    url, token = house.serve_runtime(house.runtime())
    sender, world = Sender(url, token), World()
    for name in filter(is_for_nobody, SENT):
        status, body = sender.put(build(name, world))
        assert (status, body["code"]) == (STATUS[TABLE[name]["code"]], TABLE[name]["code"]), name
    for name, make in FRESH_CONTROLS.items():
        status, body = sender.put(make(world))
        assert status == (200 if name in HELD else 201), (name, body)
    sender.close()


def test_limits_of_the_host_policy_are_those_that_count(house, runtime, served):
    """One host, whose operator sets one limit after the other below what is sent."""
    directory, sender, world = served
    path = house.policy()
    text = path.read_text()
    before = listing(directory)
    for name in (name for name in CASES if "limits" in TABLE[name]):
        ((key, value),) = TABLE[name]["limits"].items()
        path.write_text(f"{text}\n[limits.receive]\n{key} = {value}\n")
        runtime.policy.reload()
        assert runtime.policy.last_error is None
        status, body = sender.put(build(name, world))
        code = TABLE[name]["code"]
        assert (status, body["code"]) == (STATUS[code], code), (name, body)
        assert body.get("limit_name", key) == key
    assert listing(directory) == before
