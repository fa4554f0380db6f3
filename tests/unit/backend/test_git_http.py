"""Read-only smart HTTP: what git may ask, and what is refused before git is started."""

from __future__ import annotations

import gzip
import subprocess

import pytest
from house import TEAM

from yoi_bundles.backend import git_http
from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    StoreError,
    TooLargeError,
)

REFS, PACK = "/git/team.git/info/refs", "/git/team.git/git-upload-pack"
SERVICE = [("service", "git-upload-pack")]


@pytest.fixture
def backend(house):
    opened = house.backend()
    house.publish(opened)
    return opened


@pytest.fixture
def token(house, backend):
    return backend.credentials.create("olu", "operator", now=house.clock()).token


@pytest.fixture
def client(house, backend, token):
    return house.client(house.serve_backend(backend), token)


def packet(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()


@pytest.fixture
def wants(backend):
    """What a clone of the newest revision sends."""
    head = backend.publishing.workspace(TEAM).head.commit
    first = packet(f"want {head} agent=tests object-format=sha256\n")
    return first + b"0000" + packet("done\n")


def test_refs_are_listed_in_both_protocols(backend, client):
    head = str(backend.publishing.workspace(TEAM).head.commit)

    old = client.request("GET", REFS, query=SERVICE)
    new = client.request("GET", REFS, query=SERVICE, headers={"git-protocol": "version=2"})

    assert old.headers["content-type"] == "application/x-git-upload-pack-advertisement"
    assert old.body.startswith(b"001e# service=git-upload-pack\n0000")
    assert f"{head} refs/heads/main".encode() in old.body
    assert b"version 2" in new.body
    assert b"# service" not in new.body
    assert "no-cache" in old.headers["cache-control"]


@pytest.mark.parametrize("query", [(), [("service", "git-receive-pack")], [("service", "")]])
def test_no_other_service_is_spoken(client, query):
    with pytest.raises(InvalidInputError, match="git-upload-pack"):
        client.request("GET", REFS, query=query)


def test_there_is_no_way_to_push(client):
    with pytest.raises(BundleMissingError):
        client.request("POST", "/git/team.git/git-receive-pack", content=b"0000")


@pytest.mark.parametrize("workspace", ["nobody", "no.such"])
def test_a_repository_that_is_not_there_is_missing(client, workspace):
    with pytest.raises(BundleMissingError):
        client.request("GET", f"/git/{workspace}.git/info/refs", query=SERVICE)


def test_a_name_that_is_no_workspace_is_refused(client):
    with pytest.raises(InvalidInputError):
        client.request("GET", "/git/TEAM.git/info/refs", query=SERVICE)


@pytest.mark.parametrize("encoding", [None, "identity", "gzip", "x-gzip"])
def test_a_pack_is_sent_however_the_request_is_encoded(client, wants, encoding):
    headers = {} if encoding is None else {"content-encoding": encoding}
    body = gzip.compress(wants) if encoding in {"gzip", "x-gzip"} else wants

    answer = client.request("POST", PACK, content=body, headers=headers)

    assert answer.headers["content-type"] == "application/x-git-upload-pack-result"
    assert b"PACK" in answer.body


@pytest.mark.parametrize(
    ("encoding", "make"),
    [
        ("br", lambda wants: wants),
        ("gzip", lambda wants: wants),
        ("gzip", lambda wants: gzip.compress(wants)[:-9]),
        ("gzip", lambda wants: b""),
    ],
    ids=["brotli", "not-gzip", "cut", "empty"],
)
def test_an_encoding_that_is_not_what_it_says_is_refused(client, wants, encoding, make):
    with pytest.raises(InvalidInputError):
        client.request("POST", PACK, content=make(wants), headers={"content-encoding": encoding})


def test_a_request_is_never_cut_to_its_limit(client, wants, monkeypatch):
    monkeypatch.setattr(git_http, "REQUEST_BYTES", 1000)
    large = wants + b"\0" * 5000

    for body, headers in ((large, {}), (gzip.compress(large), {"content-encoding": "gzip"})):
        with pytest.raises(TooLargeError) as raised:
            client.request("POST", PACK, content=body, headers=headers)
        assert raised.value.facts["limit"] == 1000


def test_without_git_the_backend_says_so(client, wants, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    for method, path, query, body in (
        ("GET", REFS, SERVICE, None),
        ("POST", PACK, (), wants),
    ):
        with pytest.raises(StoreError, match="not installed"):
            client.request(method, path, query=query, content=body)


def test_a_git_that_fails_is_a_store_error(client, monkeypatch, tmp_path):
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(StoreError, match="list the refs"):
        client.request("GET", REFS, query=SERVICE)


def test_a_clone_with_the_token_as_password_and_a_shallow_one(house, backend, token, tmp_path):
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    url = house.serve_backend(backend).replace("http://", f"http://any:{token}@")

    for name, flags in (("full", ()), ("shallow", ("--depth=1",))):
        done = subprocess.run(
            ["git", "clone", "-q", *flags, f"{url}/git/team.git", str(tmp_path / name)],
            capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    count = subprocess.run(
        ["git", "-C", str(tmp_path / "full"), "rev-list", "--count", "HEAD"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert count.stdout == "2\n"
