"""Hashing again what is kept: in both places, in one, or one revision of it."""

from __future__ import annotations

import pytest
from house import OTHER, TEAM, Clock, publish_request, workspace_files

from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.upkeep.verification import verify_data


@pytest.fixture
def data(house):
    """A data directory with two revisions at the Backend, of which the Runtime holds the first."""
    root = house.root / "data"
    with (
        Backend.open(root / "backend", clock=Clock()) as backend,
        Runtime.open(root / "runtime", policy=house.policy(), clock=Clock()) as runtime,
    ):
        first = backend.publishing.publish(TEAM, publish_request(workspace_files())).revision
        raw = backend.bundle_file(first.digest, workspace=TEAM).path.read_bytes()
        runtime.put_bundle(TEAM, first.digest, [raw])
        runtime.held.trees.get(TEAM, first.digest)
        house.publish(backend, prompts__role__coder="\nBe exact.\n")
        house.publish(backend, OTHER)
    return root


def seen(reports):
    return [(one.where, str(one.workspace), one.problems) for one in reports]


def test_nothing_kept_is_nothing_to_report(tmp_path):
    assert verify_data(tmp_path / "data") == ()
    assert not list(tmp_path.iterdir()), "whoever looks makes nothing"


def test_both_places_are_looked_at(data):
    reports = verify_data(data)

    assert seen(reports) == [
        ("backend", "other", ()), ("backend", "team", ()), ("runtime", "team", ()),
    ]  # fmt: skip
    assert all(one.objects > 90 for one in reports)
    assert reports[0].as_json() == {
        "where": "backend", "workspace": "other", "objects": reports[0].objects, "problems": [],
        "set_aside": [],
    }  # fmt: skip


def test_one_workspace_alone(data):
    assert [one.where for one in verify_data(data, OTHER)] == ["backend"]


def test_a_revision_is_looked_at_where_it_is(data):
    both, one = verify_data(data, TEAM, "1"), verify_data(data, TEAM, "2")

    assert [report.where for report in both] == ["backend", "runtime"]
    assert [report.where for report in one] == ["backend"]
    with pytest.raises(BundleMissingError):
        verify_data(data, TEAM, "9")


@pytest.mark.parametrize("place", ["backend", "runtime"])
def test_a_damaged_pack_is_found_where_it_is(data, place):
    pack = next((data / place).rglob("team.git/**/*.pack"))
    raw = bytearray(pack.read_bytes())
    for at in range(200, len(raw) - 40, 97):
        raw[at] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(raw)

    reports = {(one.where, str(one.workspace)): one for one in verify_data(data)}

    assert reports[place, "team"].problems
    assert not reports["backend", "other"].problems


def test_a_checkout_that_was_tampered_with_is_found(data):
    file = next((data / "runtime" / "checkouts").rglob("bundle.toml"))
    for path in (file.parent, file):
        path.chmod(0o700)
    file.write_bytes(file.read_bytes().replace(b"team", b"evil"))

    (report,) = [one for one in verify_data(data) if one.where == "runtime"]

    assert report.problems[0].startswith("store_corrupt: ")


def test_an_extra_file_in_a_checkout_is_found(data):
    file = next((data / "runtime" / "checkouts").rglob("bundle.toml"))
    file.parent.chmod(0o700)
    file.with_name("extra.md").write_text("more")

    (report,) = [one for one in verify_data(data) if one.where == "runtime"]

    assert "extra files" in report.problems[0]
