"""Commands of operators and hosts: tokens, bundle files, Workers, resolve, doctor."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from yoi_bundles.cli.exit_codes import (
    CONFLICT,
    INTEGRITY,
    MACHINE,
    NEGATIVE,
    NETWORK,
    NOT_FOUND,
    OK,
    USAGE,
)


@pytest.fixture
def host(team, policy):
    """The workspace `team` published, carried by file to this host's Runtime."""
    team("publish", "team", "-m", "First")
    assert team("bundle", "create", "team", "-o", "first.bundle").code == OK
    assert team("bundle", "import", "first.bundle", "-w", "team").code == OK
    return team


def test_a_bundle_file_is_one_that_git_verifies_and_fetches(host):
    subprocess.run(["git", "init", "-q", "--object-format=sha256", "other"], check=True)

    verify = subprocess.run(
        ["git", "-C", "other", "bundle", "verify", "../first.bundle"],
        capture_output=True,
        check=False,
    )
    fetch = subprocess.run(
        ["git", "-C", "other", "fetch", "-q", "../first.bundle", "main"], check=False
    )

    assert (verify.returncode, fetch.returncode) == (0, 0)


def test_a_worker_is_created_listed_and_shown(host):
    created = host("worker", "create", "w-1", "-w", "team", "--json").json
    again = host("worker", "create", "w-1", "-w", "team").out
    listed = host("worker", "list").out
    shown = host("worker", "show", "w-1", "--json").json

    assert created["is_new"] is True
    assert created["worker"] == shown
    assert "exists already" in again
    assert "w-1" in listed
    assert "coder" in listed


def test_a_worker_id_used_for_something_else_is_a_conflict(host):
    host("worker", "create", "w-1", "-w", "team")

    ran = host("worker", "create", "w-1", "project:reviewer", "-w", "team")

    assert ran.code == CONFLICT


def test_a_refusal_lists_every_power_with_its_place_and_exits_with_1(host):
    ran = host("worker", "create", "w-2", "project:operator", "-w", "team")

    assert ran.code == NEGATIVE
    assert "refused shell:operate  profiles/operator.toml:" in ran.err
    assert "refused tool:operate" in ran.err
    assert "(policy_denied)" in ran.err


def test_resolve_explains_which_layer_set_what(host):
    ran = host("resolve", "project:coder", "-w", "team", "--explain")

    assert ran.code == OK
    assert "profiles/base.toml:" in ran.out
    assert "canary" not in ran.out


def test_resolve_of_a_directory_needs_no_runtime(team, policy):
    ran = team("resolve", "--dir", "team", "--json")

    assert ran.code == OK
    assert ran.json["spec"]["workspace"] == "team"
    assert ran.json["spec"]["mode"] == "synced"


@pytest.mark.parametrize(
    ("selector", "code", "exit_code"),
    [
        ("coder", "invalid_profile_selector", USAGE),
        ("project:codr", "invalid_profile_selector", USAGE),
        ("project:base", "invalid_profile_selector", USAGE),
        ("builtin:coder", "invalid_profile_selector", USAGE),
    ],
)
def test_a_selector_that_names_no_profile_is_told_with_a_hint(host, selector, code, exit_code):
    ran = host("resolve", selector, "-w", "team")

    assert ran.code == exit_code
    assert f"({code})" in ran.err
    assert "hint:" in ran.err


def test_without_a_bundle_the_policy_may_demand_one(host):
    ran = host("worker", "create", "w-3", "builtin:coder")

    assert ran.code == NEGATIVE
    assert "(bundle_required)" in ran.err


def test_builtin_mode_where_the_policy_allows_it(team, policy):
    policy.write_text(
        policy.read_text().replace(
            'required_for = ["always"]', "required_for = []\nbuiltin_fallback = true"
        )
    )

    ran = team("worker", "create", "w-1", "builtin:coder", "--json")

    assert ran.code == OK
    assert ran.json["worker"]["mode"] == "builtin"


def test_a_bundle_that_is_not_held_is_not_found(host):
    ran = host("worker", "create", "w-4", "-w", "team", "--digest", "0" * 64)

    assert ran.code == NOT_FOUND
    assert "(bundle_missing)" in ran.err


def test_an_import_under_a_wrong_digest_is_refused(host, tmp_path):
    ran = host("bundle", "import", "first.bundle", "-w", "team", "--digest", "0" * 64)

    assert ran.code == INTEGRITY
    assert "(digest_mismatch)" in ran.err


def test_an_import_of_a_file_that_is_no_bundle_is_refused(host):
    Path("noise.bundle").write_bytes(b"# v2 git bundle\n" + bytes(range(256)))

    ran = host("bundle", "import", "noise.bundle", "-w", "team")

    assert ran.code == INTEGRITY
    assert "(malformed_bundle)" in ran.err


def test_an_increment_needs_its_base(team, policy):
    base = team("publish", "team", "--json").json["revision"]["commit"]
    coder = Path("team/prompts/role/coder.md")
    coder.write_text(coder.read_text() + "\nBe exact.\n")
    team("publish", "team")
    made = team("bundle", "create", "team", "--have", base, "-o", "inc.bundle", "--json").json

    ran = team("bundle", "import", "inc.bundle", "-w", "team")

    assert made["base"] == base
    assert ran.code == CONFLICT
    assert "(missing_prerequisite)" in ran.err


def test_a_shallow_file_brings_the_revision_alone(team, policy):
    team("publish", "team")
    coder = Path("team/prompts/role/coder.md")
    coder.write_text(coder.read_text() + "\nBe exact.\n")
    newest = team("publish", "team", "--json").json["revision"]
    made = team("bundle", "create", "team", "--shallow", "-o", "tip.bundle", "--json").json

    ran = team("bundle", "import", "tip.bundle", "-w", "team", "--json")

    assert (made["is_shallow"], made["base"]) == (True, None)
    assert ran.json["status"]["revision"]["number"] == newest["number"] == 2
    assert "shallow" in team("bundle", "create", "team", "--shallow", "-o", "again.bundle").out


def test_bundle_create_does_not_replace_a_file_unasked(host):
    Path("mine.bundle").write_text("mine")

    assert host("bundle", "create", "team", "-o", "mine.bundle").code == USAGE
    assert Path("mine.bundle").read_text() == "mine"
    assert host("bundle", "create", "team", "-o", "mine.bundle", "--force").code == OK


def test_a_tampered_checkout_is_found_by_verify_and_repaired_at_the_next_use(host, tmp_path):
    host("worker", "create", "w-1", "-w", "team")
    checkouts = tmp_path / "data" / "runtime" / "checkouts"
    prompt = next(checkouts.rglob("bundle.toml"))
    prompt.parent.chmod(0o700)
    prompt.chmod(0o600)
    prompt.write_bytes(prompt.read_bytes().replace(b"team", b"evil"))

    found = host("verify")
    created = host("worker", "create", "w-2", "-w", "team")
    after = host("verify")

    assert found.code == INTEGRITY
    assert "store_corrupt" in found.out
    assert created.code == OK
    assert after.code == OK


def test_a_token_is_printed_once_and_kept_as_a_hash(yoi, tmp_path):
    made = yoi("backend", "token", "create", "ada", "--role", "publisher", "--json").json
    listed = yoi("backend", "token", "list").out
    stored = (tmp_path / "data" / "backend" / "registry.sqlite3").read_bytes()

    assert made["token"].startswith("yoi_")
    assert "ada" in listed
    assert made["token"] not in listed
    assert made["token"].encode() not in stored


def test_a_token_file_is_readable_by_its_owner_only(yoi):
    ran = yoi("runtime", "token", "create", "be", "--role", "backend", "-o", "be.token")

    assert ran.code == OK
    assert stat.S_IMODE(Path("be.token").stat().st_mode) == 0o600
    assert Path("be.token").read_text().strip() not in ran.out + ran.err


def test_a_token_file_that_cannot_be_made_leaves_no_credential(yoi):
    Path("be.token").write_text("taken")

    assert (
        yoi("runtime", "token", "create", "be", "--role", "backend", "-o", "be.token").code == USAGE
    )
    assert yoi("runtime", "token", "list", "--json").json == []


def test_a_name_has_one_token_until_it_is_revoked(yoi):
    yoi("backend", "token", "create", "ada", "--role", "publisher")

    assert yoi("backend", "token", "create", "ada", "--role", "operator").code == CONFLICT
    assert yoi("backend", "token", "revoke", "ada").code == OK
    assert yoi("backend", "token", "revoke", "ada").code == NOT_FOUND
    assert yoi("backend", "token", "create", "ada", "--role", "operator").code == OK


def test_a_role_of_the_other_server_cannot_be_given(yoi):
    assert yoi("backend", "token", "create", "x", "--role", "backend").code == USAGE


def test_a_token_file_others_can_read_is_refused(yoi):
    Path("loose.token").write_text("x" * 43)
    Path("loose.token").chmod(0o644)

    ran = yoi("log", "team", "--backend", "http://127.0.0.1:9", "--token-file", "loose.token")

    assert ran.code == USAGE
    assert "chmod 600" in ran.err


def test_a_backend_that_is_not_there_is_a_network_error(yoi):
    ran = yoi("log", "team", "--backend", "http://127.0.0.1:9")

    assert ran.code == NETWORK
    assert "(transport_failed)" in ran.err


@pytest.mark.parametrize("server", ["backend", "runtime"])
def test_a_server_does_not_listen_in_the_clear_beyond_loopback(yoi, policy, server):
    ran = yoi(server, "serve", "--host", "0.0.0.0")

    assert ran.code == USAGE
    assert "--tls-cert" in ran.err


def test_a_runtime_without_a_host_policy_does_not_start(yoi):
    ran = yoi("worker", "list")

    assert ran.code == USAGE
    assert "--policy" in ran.err


def test_a_runtime_with_a_policy_others_may_write_does_not_start(team, policy):
    policy.chmod(0o666)

    ran = team("worker", "list")

    assert ran.code == MACHINE
    assert "(invalid_host_policy)" in ran.err


def test_registering_listing_and_unregistering_runtimes(yoi):
    made = yoi("runtime", "register", "eu-1", "--label", "region=eu", "--json").json
    listed = yoi("runtime", "list").out
    none = yoi("runtime", "list", "--label", "region=us", "--json").json
    status = yoi("runtime", "status", "eu-1").out
    gone = yoi("runtime", "unregister", "eu-1").code

    assert made["token"].startswith("yoi_")
    assert "region=eu" in listed
    assert none == {"runtimes": [], "next": None}
    assert "never seen" in status
    assert gone == OK
    assert yoi("runtime", "status", "eu-1").code == NOT_FOUND


def test_sync_tells_what_pulls_by_itself_and_what_fails(team, tmp_path):
    visibility = tmp_path / "visibility.toml"
    visibility.write_text('schema = 1\n[[rule]]\nworkspaces = ["team"]\n')
    team("publish", "team")
    team("runtime", "register", "puller")
    pulls = team("sync", "team", "--visibility", str(visibility))
    team("runtime", "register", "away", "--endpoint", "http://127.0.0.1:9")
    fails = team("sync", "team", "--visibility", str(visibility))

    assert (pulls.code, fails.code) == (OK, NETWORK)
    assert "pulls" in pulls.out
    assert "transport_failed" in fails.out


def test_sync_without_any_runtime_says_so(team):
    team("publish", "team")

    ran = team("sync", "team")

    assert ran.code == OK
    assert "no Runtimes are registered" in ran.out


def test_a_broken_visibility_policy_is_told_with_its_line(yoi):
    Path("visibility.toml").write_text("schema = 1\n\n[[rule]]\nworkspace = ['a']\n")

    ran = yoi("runtime", "list", "--visibility", "visibility.toml")

    assert ran.code == USAGE
    assert "visibility.toml:4" in ran.err


def test_doctor_finds_a_well_machine_well(host):
    ran = host("doctor", "--json")

    assert ran.code == OK
    assert {check["name"] for check in ran.json["checks"]} >= {
        "python", "git", "data", "host policy", "backend team", "runtime team",
    }  # fmt: skip


def test_doctor_says_what_is_wrong(host, policy, tmp_path):
    policy.chmod(0o666)
    pack = next((tmp_path / "data" / "backend").rglob("*.pack"))
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-40])

    ran = host("doctor")

    assert ran.code == NEGATIVE
    assert "error    host policy" in ran.out
    assert "error    backend team" in ran.out
