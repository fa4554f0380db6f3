"""The same commands over HTTP say the same as in the data directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from house import serving

from yoi_bundles.backend.app import create_app as backend_app
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.exit_codes import CONFLICT, NEGATIVE, NOT_FOUND, OK, USAGE
from yoi_bundles.model.clock import utc_now
from yoi_bundles.runtime.app import create_app as runtime_app
from yoi_bundles.runtime.service import Runtime

CODER = Path("team/prompts/role/coder.md")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def keep_token(server, role: str) -> str:
    name = f"{role}.token"
    Path(name).write_text(server.credentials.create(f"a-{role}", role, now=utc_now()).token)
    Path(name).chmod(0o600)
    return name


@pytest.fixture
def backend(team, tmp_path, data):
    """Options that reach a served Backend over the very data directory of the local commands."""
    visibility = tmp_path / "visibility.toml"
    visibility.write_text('schema = 1\n[[rule]]\nworkspaces = ["*"]\n')
    with (
        Backend.open(data / "backend", visibility=visibility) as opened,
        serving(backend_app(opened)) as url,
    ):
        yield ("--backend", url, "--token-file", keep_token(opened, "operator"))


@pytest.fixture
def runtime(team, policy, data):
    """Options that reach a served Runtime, which holds a revision of `team`."""
    with (
        Runtime.open(data / "runtime", policy=policy) as opened,
        serving(runtime_app(opened)) as url,
    ):
        team("publish", "team", "-m", "First")
        team("bundle", "create", "team", "-o", "first.bundle")
        assert team("bundle", "import", "first.bundle", "-w", "team").code == OK
        yield ("--runtime", url, "--token-file", keep_token(opened, "backend"))


def edit(text: str = "\nBe exact.\n") -> None:
    CODER.write_text(CODER.read_text() + text)


def both(yoi, remote, *arguments: str):
    """A command here and over HTTP; the one result of both."""
    here, there = yoi(*arguments), yoi(*arguments, *remote)
    assert (there.code, there.out) == (here.code, here.out), arguments
    assert there.err == here.err, arguments
    return here


def test_publish_over_http_makes_the_revision_that_is_then_here(team, backend):
    made = team("publish", "team", "-m", "First", "--json", *backend).json
    again = both(team, backend, "publish", "team", "-m", "Other words")
    edit()
    refused = both(team, backend, "publish", "team", "--expected", "0" * 64)

    assert made["is_new"] is True
    assert "same tree, no commit" in again.out
    assert made["revision"]["digest"] in again.out
    assert refused.code == CONFLICT


def test_the_history_reads_the_same(team, backend):
    team("publish", "team", "-m", "First profiles")
    edit()
    second = team("publish", "team", "-m", "Be exact", "--json", *backend).json["revision"]

    for arguments in (
        ("log", "team"), ("log", "team", "--oneline"), ("log", "team", "--json", "-n", "1"),
        ("log",),
        ("show", "team"), ("show", "team", "1", "--json"), ("show", "team", second["digest"]),
        ("show", "team", second["commit"][:9]),
        ("diff", "team", "1"), ("diff", "team", "1", "2", "--json"),
        ("diff", "team", "1", "--name-only"),
    ):  # fmt: skip
        assert both(team, backend, *arguments).code == OK
    assert both(team, backend, "diff", "team", "1", "--exit-code").code == NEGATIVE


def test_what_is_not_there_reads_the_same(team, backend):
    team("publish", "team")

    for spelled in ("99", "no-such", "main?x=1", "1#2", "100%", "a b", "f" * 64):
        ran = both(team, backend, "show", "team", spelled)
        assert ran.code == NOT_FOUND, spelled
    # No route has a slash in a revision, so this one is not found one step earlier.
    assert team("show", "team", "../r1", *backend).code == NOT_FOUND
    assert both(team, backend, "diff", "team", "1", "9").code == NOT_FOUND
    here, there = team("log", "nobody"), team("log", "nobody", *backend)
    assert (here.code, there.code) == (NOT_FOUND, NOT_FOUND)
    assert "(bundle_missing)" in there.err


def test_runtimes_are_registered_listed_and_synced_the_same(team, backend, tmp_path, monkeypatch):
    monkeypatch.setenv("YOI_BUNDLES_VISIBILITY", str(tmp_path / "visibility.toml"))
    team("publish", "team")
    made = team("runtime", "register", "eu-1", "--label", "region=eu", "--json", *backend).json
    team("runtime", "register", "us-1", "-o", "us.token", *backend)
    taken = both(team, backend, "runtime", "register", "eu-1")

    assert made["token"].startswith("yoi_")
    assert Path("us.token").read_text().startswith("yoi_")
    assert taken.code == CONFLICT
    for arguments in (
        ("runtime", "list"), ("runtime", "list", "--json"), ("runtime", "status", "eu-1"),
        ("runtime", "list", "--label", "region=eu"), ("runtime", "status", "us-1", "--json"),
        ("sync", "team"), ("sync", "team", "--to", "us-1", "--json"), ("sync",),
    ):  # fmt: skip
        assert both(team, backend, *arguments).code == OK
    assert "us-1" not in both(team, backend, "runtime", "list", "-l", "region=eu").out
    assert both(team, backend, "sync", "team", "--to", "nobody").code == NOT_FOUND
    assert team("runtime", "unregister", "us-1", *backend).out == "forgot us-1\n"
    assert both(team, backend, "runtime", "status", "us-1").code == NOT_FOUND


def test_workers_and_resolutions_are_the_same(team, runtime):
    made = team("worker", "create", "w-1", "-w", "team", *runtime)
    shown = both(team, runtime, "worker", "show", "w-1")

    assert made.out.partition("\n")[0] == "created"
    assert shown.out in made.out
    for arguments in (
        ("worker", "list"), ("worker", "list", "--json"), ("worker", "show", "w-1", "--json"),
        ("worker", "create", "w-1", "-w", "team"),
        ("resolve", "-w", "team", "--explain"), ("resolve", "-w", "team"),
    ):  # fmt: skip
        ran = both(team, runtime, *arguments)
        assert ran.code == OK, ran.err


def test_refusals_are_the_same(team, runtime):
    team("worker", "create", "w-1", "-w", "team")
    for arguments, code in (
        (("worker", "create", "w-2", "project:operator", "-w", "team"), NEGATIVE),
        (("worker", "create", "w-1", "project:reviewer", "-w", "team"), CONFLICT),
        (("resolve", "project:reviewer", "-w", "team"), NEGATIVE),
        (("resolve", "-w", "team", "--only", "git:author", "--json"), NEGATIVE),
        (("worker", "create", "w-2", "-w", "nobody"), NOT_FOUND),
        (("worker", "create", "w-2", "-w", "team", "--digest", "0" * 64), NOT_FOUND),
        (("worker", "create", "w-2", "builtin:coder"), NEGATIVE),
        (("worker", "show", "w-2"), NOT_FOUND),
        (("resolve", "project:nobody", "-w", "team"), USAGE),
        (("resolve", "project:operator", "-w", "team", "--json"), NEGATIVE),
    ):
        assert both(team, runtime, *arguments).code == code, arguments


def test_many_workers_are_listed_over_several_pages(team, runtime, monkeypatch):
    from yoi_bundles.runtime.workers import workers

    for number in range(5):
        team("worker", "create", f"w-{number}", "-w", "team")
    pages = []
    real = workers.Workers.list

    def small(self, *, after=None, limit=100):
        pages.append(after)
        return real(self, after=after, limit=2)

    monkeypatch.setattr(workers.Workers, "list", small)
    listed = both(team, runtime, "worker", "list").out

    assert re.findall(r"^w-\d", listed, re.MULTILINE) == [f"w-{n}" for n in range(5)]
    assert pages == [None, "2", "4"] * 2


def test_a_token_in_the_environment_is_used_and_the_file_wins(team, backend, monkeypatch):
    team("publish", "team")
    _, url, _, file = backend
    monkeypatch.setenv("YOI_BUNDLES_TOKEN", Path(file).read_text())
    from_environment = team("log", "team", "--backend", url)
    monkeypatch.setenv("YOI_BUNDLES_TOKEN", "x" * 43)

    assert from_environment.code == OK
    assert team("log", "team", "--backend", url).code == 3
    assert team("log", "team", *backend).code == OK
