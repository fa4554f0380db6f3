"""init, check, publish, log, show, diff, verify: what an author types and sees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from yoi_bundles.cli.exit_codes import CONFLICT, INTEGRITY, NEGATIVE, NOT_FOUND, OK, USAGE

pytestmark = pytest.mark.floors

CODER = Path("team/prompts/role/coder.md")


def edit(text: str = "\nBe exact.\n") -> None:
    CODER.write_text(CODER.read_text() + text)


def test_init_makes_a_workspace_that_check_accepts(team):
    ran = team("check", "team", "--json")

    assert ran.code == OK
    assert ran.json["ok"] is True
    assert ran.json["findings"] == []


def test_the_printed_digest_is_what_git_says_for_the_same_files(team, tmp_path):
    digest = team("check", "team", "--json").json["digest"]
    git = ["git", "-C", "team"]
    subprocess.run([*git, "init", "-q", "--object-format=sha256"], check=True)
    ignored = Path("team/.git/info/exclude")
    ignored.write_text(".yoi-schemas/\n.gitignore\n")
    subprocess.run([*git, "add", "-A"], check=True)
    tree = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True)

    assert tree.stdout.strip() == digest


def test_check_prints_every_finding_with_file_line_code_and_hint(team):
    path = Path("team/profiles/coder.toml")
    path.write_text(path.read_text().replace("[engine]", "colour = 1\n\n[engine]", 1))
    Path("team/notes.txt").write_text("hello\n")

    ran = team("check", "team")

    assert ran.code == NEGATIVE
    assert "profiles/coder.toml:" in ran.out
    assert "unsupported_declaration" in ran.out
    assert "notes.txt" in ran.out
    assert "not ok" in ran.out


def test_check_never_prints_the_secret_it_found(team):
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    edit(f"\nUse {token} to log in.\n")

    ran = team("check", "team")

    assert ran.code == NEGATIVE
    assert "forbidden_material" in ran.out
    assert token not in ran.out + ran.err


def test_publish_twice_is_one_revision(team):
    first = team("publish", "team", "-m", "First", "--json").json
    again = team("publish", "team", "--json").json

    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["revision"] == again["revision"]


def test_publish_refuses_what_check_refuses_and_makes_no_revision(team):
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n" * 3
    edit(f"\n-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n")

    ran = team("publish", "team")

    assert ran.code == NEGATIVE
    assert "(forbidden_material)" in ran.err
    assert "prompts/role/coder.md:" in ran.err
    assert team("log", "team").code == NOT_FOUND


def test_publish_with_another_expected_commit_is_a_conflict(team):
    first = team("publish", "team", "--json").json["revision"]["commit"]
    edit()
    team("publish", "team")
    edit("\nAnd kind.\n")

    ran = team("publish", "team", "--expected", first)

    assert ran.code == CONFLICT
    assert "(revision_conflict)" in ran.err


def test_publish_dry_run_changes_nothing(team):
    ran = team("publish", "team", "--dry-run", "--json")

    assert ran.json["digest"] == team("check", "team", "--json").json["digest"]
    assert team("log", "team").code == NOT_FOUND


def test_log_show_and_diff_tell_of_each_revision(team):
    team("publish", "team", "-m", "First profiles")
    edit()
    team("publish", "team", "-m", "Be exact\n\nBecause it matters.")

    log = team("log", "team").out
    short = team("log", "team", "--oneline").out.splitlines()
    shown = team("show", "team", "1").out
    newest = team("show", "team").out
    diff = team("diff", "team", "1", "2").out
    names = team("diff", "team", "1", "--name-only").out

    assert "r2 Be exact" in log
    assert "First profiles" in log
    assert [line.split()[0] for line in short] == ["r2", "r1"]
    assert "First profiles" in shown
    assert "Because it matters." in newest
    assert "+Be exact." in diff
    assert names == "C prompts/role/coder.md\n"


def test_a_diff_shows_what_went_and_what_came(team):
    team("publish", "team")
    CODER.write_text("All is another text now.\n")
    team("publish", "team")

    lines = team("diff", "team", "1").out.splitlines()

    assert "+All is another text now." in lines
    assert [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert [line[:3] for line in lines[:3]] == ["---", "+++", "@@ "]


def test_diff_exit_code_tells_whether_there_are_differences(team):
    team("publish", "team")

    assert team("diff", "team", "1", "1", "--exit-code").code == OK
    edit()
    team("publish", "team")
    assert team("diff", "team", "1", "--exit-code").code == NEGATIVE


@pytest.mark.parametrize("spelled", ["99", "abcdef0", "no-such", "f" * 64])
def test_a_revision_nobody_made_is_not_found(team, spelled):
    team("publish", "team")

    ran = team("show", "team", spelled)

    assert ran.code == NOT_FOUND
    assert "hint:" in ran.err


def test_a_revision_is_found_by_digest_commit_and_their_beginnings(team):
    revision = team("publish", "team", "--json").json["revision"]

    for spelled in (revision["digest"], revision["commit"], revision["digest"][:9], "r1", "main"):
        assert team("show", "team", spelled, "--json").json == revision


def test_the_workspace_of_the_current_directory_is_meant_if_none_is_named(team, monkeypatch):
    team("publish", "team", "-m", "First")
    monkeypatch.chdir("team")

    assert "First" in team("log").out


def test_without_any_hint_the_command_asks_which_workspace(team):
    team("publish", "team")
    team("init", "other")
    team("publish", "other")

    ran = team("log")

    assert ran.code == USAGE
    assert "other, team" in ran.err


def test_verify_finds_nothing_in_a_sound_repository(team):
    team("publish", "team")

    ran = team("verify", "--json")

    assert ran.code == OK
    assert ran.json["reports"][0]["objects"] > 90


def test_verify_all_is_everything_and_takes_no_workspace(team):
    assert team("verify", "--all", "--json").json == team("verify", "--json").json

    ran = team("verify", "team", "--all")

    assert ran.code == USAGE
    assert "--all is everything" in ran.err


def test_verify_finds_a_damaged_object(team, tmp_path):
    team("publish", "team")
    pack = next((tmp_path / "data").rglob("*.pack"))
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)

    ran = team("verify")

    assert ran.code == INTEGRITY
    assert "damaged" in ran.out


def test_an_error_as_json_has_code_message_and_hint(team):
    ran = team("show", "nobody", "--json")

    assert ran.code == NOT_FOUND
    assert '"code": "' in ran.err
    assert ran.out == ""


def test_init_into_a_directory_with_files_is_refused_without_force(yoi):
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine\n")

    ran = yoi("init", "full")

    assert ran.code == USAGE
    assert Path("full/notes.txt").read_text() == "mine\n"
    assert sorted(path.name for path in Path("full").iterdir()) == ["notes.txt"]


def test_init_minimal_is_valid_too(yoi):
    assert yoi("init", "small", "--minimal").code == OK
    assert yoi("check", "small", "--strict").code == OK


def test_schema_lists_prints_and_writes(yoi, tmp_path):
    names = yoi("schema").out.split()
    one = yoi("schema", names[0]).json
    yoi("schema", "--write", str(tmp_path / "schemas"))

    assert "$defs" in one or "properties" in one
    assert sorted(path.name for path in (tmp_path / "schemas").iterdir()) == sorted(names)
    assert yoi("schema", "nothing").code == USAGE
