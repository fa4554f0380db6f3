"""Corners of commands: who publishes, what doctor sees, what schemas and help need."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from yoi_bundles.cli.exit_codes import NEGATIVE, OK, USAGE


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No author in the environment, and a git without any configuration."""
    monkeypatch.delenv("YOI_BUNDLES_AUTHOR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("USER", "login-name")


def published_by(yoi) -> str:
    return yoi("publish", "team", "--json").json["revision"]["provenance"]["published_by"]


def test_the_author_is_gits_user(yoi, nobody):
    yoi("init", "team")
    git = ["git", "-C", "team"]
    subprocess.run([*git, "init", "-q"], check=True)
    for key, value in (("user.name", "Ada Lovelace"), ("user.email", "ada@example.org")):
        subprocess.run([*git, "config", key, value], check=True)

    assert published_by(yoi) == "Ada Lovelace <ada@example.org>"


def test_without_a_user_of_git_it_is_the_login_name(yoi, nobody):
    yoi("init", "team")

    assert published_by(yoi) == "login-name"


@pytest.mark.parametrize("key", ["user.name", "user.email"])
def test_half_a_user_of_git_is_none(yoi, nobody, key):
    yoi("init", "team")
    subprocess.run(["git", "-C", "team", "init", "-q"], check=True)
    subprocess.run(["git", "-C", "team", "config", key, "Ada"], check=True)

    assert published_by(yoi) == "login-name"


def test_the_last_user_that_git_is_told_of_counts(yoi, nobody, monkeypatch):
    yoi("init", "team")
    for place, (key, value) in enumerate(
        [("user.name", "A"), ("user.email", "a@x"), ("user.name", "Ada")]
    ):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{place}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{place}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "3")

    assert published_by(yoi) == "Ada <a@x>"


def test_without_git_it_is_the_login_name_too(yoi, nobody, monkeypatch, tmp_path):
    yoi("init", "team")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert published_by(yoi) == "login-name"


@pytest.mark.parametrize("arguments", [(), ("--author", "<")])
def test_a_publish_leaves_the_collector_of_garbage_as_it_was(yoi, arguments):
    yoi("init", "team")
    yoi("publish", "team", *arguments)

    assert gc.isenabled()


def test_warnings_are_printed_and_do_not_stop_a_publish(yoi):
    yoi("init", "team")
    Path("team/prompts/role/lonely.md").write_text("Nobody uses me.\n")

    ran = yoi("publish", "team")

    assert ran.code == OK
    assert "prompts/role/lonely.md" in ran.out
    assert "published team r1" in ran.out


def test_a_dry_run_prints_the_digest(yoi):
    yoi("init", "team")

    assert "would be published as digest" in yoi("publish", "team", "--dry-run").out


def test_init_tells_machines_what_it_wrote(yoi):
    made = yoi("init", "Some_Dir!", "--json").json

    assert made["workspace"] == "some_dir"
    assert "bundle.toml" in made["files"]


def test_openapi_documents_of_both_servers_are_written(yoi):
    assert yoi("schema", "--openapi", "api").code == OK

    for name in ("backend.json", "runtime.json"):
        assert json.loads(Path("api", name).read_text())["openapi"].startswith("3.1")


def test_doctor_tells_what_is_missing(yoi, policy, monkeypatch, tmp_path):
    Path("visibility.toml").write_text("schema = 7\n")
    monkeypatch.delenv("YOI_BUNDLES_POLICY")
    monkeypatch.setenv("PATH", str(tmp_path))

    ran = yoi("doctor", "--visibility", "visibility.toml", "--json")
    checks = {one["name"]: one for one in ran.json["checks"]}

    assert ran.code == NEGATIVE
    assert checks["git"]["verdict"] == "warning"
    assert checks["host policy"]["verdict"] == "warning"
    assert checks["visibility"]["verdict"] == "error"
    assert "visibility.toml:1" in checks["visibility"]["detail"]


def test_doctor_counts_the_rules_of_a_good_visibility_policy(yoi, policy):
    Path("visibility.toml").write_text('schema = 1\n[[rule]]\nworkspaces = ["team"]\n')

    ran = yoi("doctor", "--visibility", "visibility.toml")

    assert ran.code == OK
    assert "visibility.toml, 1 rules" in ran.out


def test_verify_of_a_workspace_nobody_keeps_and_of_nothing(yoi):
    assert yoi("verify").out == "nothing is held here\n"
    assert yoi("verify", "team").code == 4


def test_resolve_of_a_directory_wants_a_policy(yoi):
    yoi("init", "team")

    ran = yoi("resolve", "--dir", "team")

    assert ran.code == USAGE
    assert "--policy" in ran.err


def test_lists_of_nothing_say_so(yoi, policy):
    assert yoi("worker", "list").out == "no Workers\n"
    assert yoi("backend", "token", "list").out == "no credentials\n"
    assert yoi("runtime", "list").out == "no Runtimes are registered\n"


@pytest.mark.parametrize(
    "options", [("--follow", "team"), ("--backend", "http://127.0.0.1:9")], ids=["alone", "idle"]
)
def test_following_needs_both_a_backend_and_a_workspace(yoi, policy, options):
    ran = yoi("runtime", "serve", *options)

    assert ran.code == USAGE
    assert "needs --" in ran.err


def test_control_characters_of_a_message_do_not_reach_the_terminal(yoi):
    yoi("init", "team")
    yoi("runtime", "register", "eu-1", "--label", "region=eu")

    ran = yoi("show", "team", "\x1b]0;title\x07")

    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c",
         "import os, sys\n"
         "from yoi_bundles.cli.main import main\n"
         "read, write = os.pipe()\n"
         "os.close(read)\n"
         "os.dup2(write, 1)\n"
         "main(['schema'])\n"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("more", [(), ("fails",)])
def test_the_process_looks_for_no_garbage_at_its_end(tmp_path, more):
    done = subprocess.run(
        [sys.executable, "-c",
         "import atexit, gc, sys\n"
         "from yoi_bundles.cli.main import main\n"
         "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
         "main(['schema', '--no-such-option'] if sys.argv[1:] else ['--version'])\n", *more],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert done.stdout.endswith("True\n")


@pytest.mark.parametrize(("name", "has_colour"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colour_follows_the_environment(yoi, monkeypatch, name, has_colour):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv(name, "1")

    assert ("\x1b[" in yoi("init", "team").out) is has_colour
