"""`gc`, `repair` and `verify` on real data that is damaged: what they say, mend and leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from yoi_bundles.cli import doctor
from yoi_bundles.cli.exit_codes import INTEGRITY, NEGATIVE, NOT_FOUND, OK, USAGE

CODER = Path("team/prompts/role/coder.md")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def publish(yoi, times):
    """The workspace in so many revisions; their digests, oldest first."""
    digests = []
    for number in range(times):
        CODER.write_text(f"You write code, for the {number + 1}. time.\n")
        digests.append(yoi("publish", "team", "--json").json["revision"]["digest"])
    return digests


def bring(yoi):
    """The newest revision as a full bundle file, carried to this host's Runtime."""
    assert yoi("bundle", "create", "team", "-o", "full.bundle", "--force").code == OK
    assert yoi("bundle", "import", "full.bundle", "-w", "team").code == OK


def packs(repository):
    return sorted((repository / "objects" / "pack").glob("*.pack"))


def damage(repository):
    """A wrong byte in the newest commit's place of every pack."""
    for pack in packs(repository):
        raw = bytearray(pack.read_bytes())
        raw[20] ^= 0x40
        pack.unlink()
        pack.write_bytes(raw)


def origin(data):
    return data / "backend" / "workspaces" / "team.git"


def held(data):
    return data / "runtime" / "bundles" / "team.git"


# --- gc ---


def test_a_backend_collects_and_every_revision_stays(team, data):
    publish(team, 3)

    ran = team("backend", "gc")
    again = team("backend", "gc", "-w", "team", "--json").json

    assert ran.code == OK
    assert "collected  team: 0 bundles dropped, 0 objects removed" in ran.out
    assert len(packs(origin(data))) == 1
    assert again["workspaces"]["team"]["removed"] == 0
    assert team("log", "team", "--oneline").out.count("\n") == 3
    assert team("verify").code == OK


def test_a_runtime_drops_all_but_the_newest_and_those_of_workers(team, policy, data):
    digests = publish(team, 1)
    bring(team)
    assert team("worker", "create", "w-1", "-w", "team").code == OK
    for text in ("again", "once more"):
        CODER.write_text(f"{text}\n")
        digests.append(team("publish", "team", "--json").json["revision"]["digest"])
        bring(team)

    rows = team("runtime", "gc", "--keep", "1", "--json").json["workspaces"]

    assert rows["team"]["dropped"] == [digests[1]]
    assert rows["team"]["objects"] > 0
    assert team("resolve", "-w", "team", "--digest", digests[1]).code == NOT_FOUND
    assert team("resolve", "-w", "team", "--digest", digests[0]).code == OK
    assert team("worker", "show", "w-1").code == OK
    assert team("verify").code == OK


@pytest.mark.parametrize("side", ["backend", "runtime"])
@pytest.mark.parametrize("what", ["gc", "repair"])
def test_a_workspace_of_which_nothing_is_held_is_not_found(team, side, what):
    ran = team(side, what, "-w", "nobody")

    assert ran.code == NOT_FOUND
    assert "nothing is held of the workspace nobody" in ran.err


def test_garbage_of_a_damaged_repository_is_not_collected(team, data):
    publish(team, 2)
    damage(origin(data))
    before = packs(origin(data))

    ran = team("backend", "gc")

    assert ran.code == INTEGRITY
    assert "(store_corrupt)" in ran.err
    assert packs(origin(data)) == before


# --- repair ---


def test_a_backend_says_what_is_lacking_and_a_copy_makes_it_whole(team, data):
    digests = publish(team, 2)
    team("bundle", "create", "team", "-o", "copy.bundle")
    damage(origin(data))

    looked = team("verify", "team")
    alone = team("backend", "repair")
    told = team("backend", "repair", "-w", "team", "--json")
    healed = team("backend", "repair", "--from", "copy.bundle")

    assert (looked.code, alone.code, told.code) == (INTEGRITY,) * 3
    assert "damaged  backend team" in looked.out
    assert "lacking  team: 4 files set aside, 0 made anew, 2 bundles lack objects" in alone.out
    assert told.json["ok"] is False
    assert told.json["workspaces"]["team"]["lacking"] == sorted(digests)
    assert healed.code == OK
    assert "whole  team:" in healed.out
    assert team("verify").code == OK
    assert team("log", "team", "--oneline").out.count("\n") == 2


@pytest.mark.parametrize("source", ["nothing", "part.bundle"])
def test_what_is_no_full_copy_is_a_usage_error(team, data, source):
    publish(team, 1)
    base = team("show", "team", "--json").json["commit"]
    publish(team, 2)
    team("bundle", "create", "team", "--have", base, "-o", "part.bundle")
    before = packs(origin(data))

    ran = team("backend", "repair", "--from", source)

    assert ran.code == USAGE
    assert packs(origin(data)) == before


def test_lost_refs_of_a_backend_are_made_anew(team, data):
    publish(team, 2)
    for ref in (origin(data) / "refs").rglob("*"):
        if ref.is_file():
            ref.unlink()

    ran = team("backend", "repair", "--json")

    assert ran.code == OK
    assert "refs/heads/main" in ran.json["workspaces"]["team"]["made"]
    assert team("log", "team", "--oneline").out.count("\n") == 2


def test_a_runtime_lacks_what_is_damaged_until_it_comes_again(team, policy, data):
    (digest,) = publish(team, 1)
    bring(team)
    damage(held(data))

    lacking = team("runtime", "repair", "--json")
    brought = team("bundle", "import", "full.bundle", "-w", "team")
    after = team("runtime", "repair")

    assert lacking.code == INTEGRITY
    assert lacking.json["workspaces"]["team"]["lacking"] == [digest]
    assert brought.code == OK
    assert after.code == OK
    assert "whole  team: 0 files set aside" in after.out
    assert team("verify").code == OK


def test_a_changed_checkout_is_made_anew(team, policy, data):
    publish(team, 1)
    bring(team)
    team("worker", "create", "w-1", "-w", "team")
    victim = next((data / "runtime" / "checkouts").rglob("coder.md"))
    good = victim.read_bytes()
    for path in (victim.parent, victim):
        path.chmod(0o700)
    victim.write_bytes(b"evil")

    ran = team("runtime", "repair")

    assert ran.code == OK
    assert next((data / "runtime" / "checkouts").rglob("coder.md")).read_bytes() == good
    assert team("verify").code == OK


def test_a_damaged_catalog_is_salvaged_only_when_told(team, policy, data):
    publish(team, 1)
    bring(team)
    team("worker", "create", "w-1", "-w", "team")
    catalog = data / "runtime" / "catalog.sqlite3"
    raw = bytearray(catalog.read_bytes())
    raw[:16] = b"\xff" * 16
    catalog.write_bytes(raw)

    unasked = team("runtime", "repair")
    sick = team("doctor", "--json")
    told = team("runtime", "repair", "--catalog")

    assert unasked.code != OK
    assert "error" in {
        one["verdict"] for one in sick.json["checks"] if one["name"] == "catalog.sqlite3"
    }
    assert sick.code == NEGATIVE
    assert told.code == OK
    assert "salvaged" in told.out
    assert list(catalog.parent.glob("catalog.sqlite3.corrupt-*"))
    salvaged = team("runtime", "repair", "--catalog", "--json")
    assert set(salvaged.json) == {"ok", "workspaces", "salvaged"}


# --- doctor ---


def test_doctor_tells_of_damaged_files_that_are_kept(team, data):
    publish(team, 2)
    team("bundle", "create", "team", "-o", "copy.bundle")
    damage(origin(data))
    team("backend", "repair", "--from", "copy.bundle")

    ran = team("doctor", "--json")
    kept = [one for one in ran.json["checks"] if "damaged files are kept" in one["detail"]]

    assert ran.code == OK
    assert [(one["name"], one["verdict"]) for one in kept] == [("backend team", "warning")]
    assert "4 damaged files" in kept[0]["detail"]


def test_doctor_warns_while_there_is_still_a_little_room(yoi, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_BYTES", 1 << 62)

    checks = {one["name"]: one for one in yoi("doctor", "--json").json["checks"]}

    assert checks["data"]["verdict"] == "warning"
    assert "MiB free" in checks["data"]["detail"]


def test_doctor_goes_on_where_checkouts_cannot_be_looked_at(yoi, data):
    (data / "runtime" / "checkouts").mkdir(parents=True)
    (data / "runtime" / "checkouts" / "yoi.lock").mkdir()

    ran = yoi("doctor")

    assert ran.code == NEGATIVE
    assert "error    repositories" in ran.out
    assert "python" in ran.out


@pytest.mark.parametrize("command", ["doctor", "verify"])
def test_who_looks_where_nothing_is_makes_nothing(yoi, data, command):
    assert yoi(command).code == OK
    assert not data.exists()
