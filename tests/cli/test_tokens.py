"""Changing tokens on the command line, for both servers."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from yoi_bundles.backend.fleet.targets import PushTokens
from yoi_bundles.cli.exit_codes import CONFLICT, NOT_FOUND, OK, USAGE
from yoi_bundles.errors import UnauthenticatedError
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.client.token_files import read_token_file

ROLES = {"backend": "publisher", "runtime": "backend"}


@pytest.fixture(params=ROLES)
def server(request, yoi):
    """One server's name, with the credential `ada` and its token in `ada.token`."""
    made = yoi(
        request.param, "token", "create", "ada", "--role", ROLES[request.param], "-o", "ada.token"
    )
    assert made.code == OK
    return request.param


def listed(yoi, server):
    (one,) = yoi(server, "token", "list", "--json").json
    return one


def test_a_token_is_changed_in_two_steps(yoi, server):
    made = yoi(server, "token", "rotate", "ada", "-o", "new.token")
    new = Path("new.token").read_text().strip()
    during = listed(yoi, server)
    table = yoi(server, "token", "list").out
    third = yoi(server, "token", "rotate", "ada", "-o", "third.token")
    finished = yoi(server, "token", "rotate", "ada", "--finish")

    assert made.code == OK
    assert stat.S_IMODE(Path("new.token").stat().st_mode) == 0o600
    assert new not in made.out + made.err + table
    assert new != Path("ada.token").read_text().strip()
    assert during["old_created_at"] < during["created_at"]
    assert during["old_expires_at"] is None
    assert "OLDER TOKEN" in table
    assert (third.code, Path("third.token").exists()) == (CONFLICT, False)
    assert "--finish" in third.err
    assert finished.code == OK
    assert listed(yoi, server)["old_created_at"] is None
    assert yoi(server, "token", "rotate", "ada", "--finish").code == NOT_FOUND


def test_a_finished_rotation_says_so_to_machines(yoi, server):
    yoi(server, "token", "rotate", "ada", "-o", "new.token")

    finished = yoi(server, "token", "rotate", "ada", "--finish", "--json")

    assert finished.json == {"name": "ada", "token": None}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800)]
)
def test_the_older_one_can_end_by_itself(yoi, server, text, seconds):
    made = yoi(server, "token", "rotate", "ada", "--keep-old", text, "--json").json

    ends = datetime.fromisoformat(made["old_expires_at"])
    assert ends - datetime.fromisoformat(made["created_at"]) == timedelta(seconds=seconds)
    assert made["token"].startswith("yoi_")
    assert " until " in yoi(server, "token", "list").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--keep-old", "0s"],
        ["--keep-old", "1w"],
        ["--keep-old", "h"],
        ["--keep-old", "9999999d"],
        ["--keep-old", "-1h"],
        ["--finish", "--keep-old", "1h"],
        ["--finish", "-o", "x.token"],
    ],
)
def test_wrong_usage_changes_nothing(yoi, server, arguments):
    before = listed(yoi, server)

    assert yoi(server, "token", "rotate", "ada", *arguments).code == USAGE

    assert listed(yoi, server) == before
    assert not Path("x.token").exists()


def test_a_file_that_cannot_be_made_changes_no_token(yoi, server):
    before = listed(yoi, server)

    ran = yoi(server, "token", "rotate", "ada", "-o", "ada.token")

    assert (ran.code, "cannot be made" in ran.err) == (USAGE, True)
    assert listed(yoi, server) == before


def test_who_is_not_there_gets_no_file(yoi, server):
    assert yoi(server, "token", "rotate", "olu", "-o", "olu.token").code == NOT_FOUND

    assert not Path("olu.token").exists()
    ran = yoi(server, "token", "rotate", "olu")
    assert (ran.code, ran.out) == (NOT_FOUND, "")


def test_the_token_of_a_runtime_changes_at_the_backend_too(yoi, tmp_path):
    from yoi_bundles.backend.service import Backend

    yoi("runtime", "register", "eu-1", "-o", "eu-1.token")
    yoi("backend", "token", "rotate", "eu-1", "-o", "eu-1.new")

    with Backend.open(tmp_path / "data" / "backend") as backend:
        for file in ("eu-1.token", "eu-1.new"):
            token = Path(file).read_text().strip()
            assert backend.credentials.verify(token, now=utc_now()).role == "runtime"
        with pytest.raises(UnauthenticatedError):
            backend.credentials.verify("x" * 43, now=utc_now())


def test_the_token_for_pushing_is_replaced_and_kept_for_its_owner_alone(yoi, tmp_path):
    for name in ("old", "new"):
        yoi("runtime", "token", "create", name, "--role", "backend", "-o", f"{name}.token")
    yoi("runtime", "register", "eu-1", "--endpoint", "http://127.0.0.1:9", "--push-token-file",
        "old.token", "-o", "eu-1.token")  # fmt: skip
    kept = tmp_path / "data" / "backend" / "push-tokens" / "eu-1"

    ran = yoi("runtime", "push-token", "eu-1", "--push-token-file", "new.token")

    assert ran.code == OK
    assert read_token_file(kept) == read_token_file(Path("new.token"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [one.name for one in kept.parent.iterdir()] == ["eu-1"]
    assert yoi("runtime", "push-token", "eu-2", "--push-token-file", "new.token").code == NOT_FOUND


def test_what_a_killed_replacement_left_is_no_obstacle(tmp_path):
    tokens = PushTokens(tmp_path)
    tokens.keep(RuntimeId("eu-1"), "a" * 43)
    (tmp_path / ".eu-1.new").write_text("half")

    tokens.replace(RuntimeId("eu-1"), "b" * 43)

    assert read_token_file(tmp_path / "eu-1") == "b" * 43
    assert sorted(one.name for one in tmp_path.iterdir()) == ["eu-1"]
