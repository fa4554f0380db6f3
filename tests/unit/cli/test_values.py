"""Values of options: a wrong one is a usage error with its field, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from yoi_bundles.cli.exit_codes import MACHINE, NOT_FOUND, OK, USAGE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BAD ID"], "is not a runtime id"),
        (["eu-1", "--endpoint", "ftp://x"], "endpoint: "),
        (["eu-1", "--endpoint", "http://ada:pw@x"], "endpoint: "),
        (["eu-1", "--endpoint", "http://x/path"], "endpoint: "),
        (["eu-1", "--label", "Region=eu"], "is not a name"),
        (["eu-1", "--label", "region"], "is no label"),
        (["eu-1", "--push-token-file", "short.token"], "push_token: "),
    ],
)
def test_a_registration_with_a_wrong_value_is_refused(yoi, arguments, said):
    Path("short.token").write_text("hunter2")
    Path("short.token").chmod(0o600)

    ran = yoi("runtime", "register", *arguments)

    assert ran.code == USAGE
    assert said in ran.err
    assert "(invalid_input)" in ran.err
    assert "hunter2" not in ran.err
    assert ":pw@" not in ran.err
    assert yoi("runtime", "list", "--json").json == {"runtimes": [], "next": None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--message", "x" * 4_001], "message: "),
        (["--author", "a\nb"], "published_by: "),
        (["--author", "x" * 600], "published_by: "),
        (["--message", "Bundle-Revision: 7"], "looks like a trailer"),
        (["--expected", "abc"], "is not a commit id"),
    ],
)
def test_a_publish_with_a_wrong_value_is_refused(yoi, arguments, said):
    yoi("init", "team")

    ran = yoi("publish", "team", *arguments)

    assert ran.code == USAGE
    assert said in ran.err
    assert yoi("show", "team").code == NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--intent", ""], "summary: "),
        (["--require", "everything"], "is not a power"),
        (["-w", "../up"], "is not a workspace id"),
        (["-w", "team", "--digest", "12"], "is not a "),
        (["-w", "team", "--commit", "12"], "is not a commit id"),
        (["--digest", "0" * 64], "need --workspace"),
    ],
)
def test_a_request_with_a_wrong_value_is_refused(yoi, policy, arguments, said):
    ran = yoi("worker", "create", "w-1", *arguments)

    assert ran.code == USAGE
    assert said in ran.err


@pytest.mark.parametrize(
    ("worker", "selector", "said"),
    [("../w", "default", "is not a worker id"), ("w", "x" * 101, "selector: "), ("w", "", "selec")],
)
def test_a_worker_id_or_selector_that_is_none_is_refused(yoi, policy, worker, selector, said):
    ran = yoi("worker", "create", worker, selector)

    assert ran.code == USAGE
    assert said in ran.err


def test_a_label_finds_the_runtimes_that_carry_it(yoi):
    yoi("runtime", "register", "eu-1", "--label", "region=eu")
    yoi("runtime", "register", "us-1", "--label", "region=us")

    shown = yoi("runtime", "list", "--label", "region=eu")

    assert "eu-1" in shown.out
    assert "us-1" not in shown.out


def test_a_runtime_whose_token_was_revoked_can_be_unregistered(yoi):
    yoi("runtime", "register", "eu-1")
    yoi("backend", "token", "revoke", "eu-1")

    assert yoi("runtime", "unregister", "eu-1").code == OK
    assert "no Runtimes" in yoi("runtime", "list").out


def test_an_output_that_cannot_be_written_is_a_store_error(yoi):
    yoi("init", "team")
    yoi("publish", "team")
    Path("file").write_text("in the way")

    for output in ("file/x.bundle", "missing/x.bundle"):
        ran = yoi("bundle", "create", "team", "-o", output)
        assert ran.code == MACHINE
        assert "(store_error)" in ran.err


def test_a_data_directory_that_is_a_file_is_a_store_error(yoi, policy):
    Path("file").write_text("in the way")

    for command in (
        ("backend", "token", "list"),
        ("runtime", "token", "list"),
        ("worker", "list"),
        ("log", "team"),
        ("verify",),
    ):
        ran = yoi(*command, "--data", "file")
        assert ran.code in {MACHINE, OK, NOT_FOUND}, command
        assert "Traceback" not in ran.err
    assert yoi("runtime", "token", "list", "--data", "file").code == MACHINE


def test_tls_files_that_are_none_are_a_usage_error(yoi):
    ran = yoi("backend", "serve", "--tls-cert", "no.pem", "--tls-key", "no.pem")

    assert ran.code == USAGE
    assert "TLS" in ran.err


def test_an_import_of_a_file_that_is_not_there_is_a_usage_error(yoi, policy):
    ran = yoi("bundle", "import", "missing.bundle", "-w", "team")

    assert ran.code == USAGE
    assert "missing.bundle cannot be read" in ran.err


def test_a_digest_that_is_in_one_place_only_is_verified_there(yoi, policy):
    yoi("init", "team")
    yoi("publish", "team")
    yoi("bundle", "create", "team", "-o", "first.bundle")
    yoi("bundle", "import", "first.bundle", "-w", "team")
    coder = Path("team/prompts/role/coder.md")
    coder.write_text(coder.read_text() + "\nBe exact.\n")
    yoi("publish", "team")

    ran = yoi("verify", "team", "2", "--json")

    assert ran.code == OK
    assert [one["where"] for one in ran.json["reports"]] == ["backend"]
    assert yoi("verify", "team", "3").code == NOT_FOUND
