"""Signed revisions from the command line: publish and verify, here and on a Backend."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import serving
from signing_keys import DEV, Keys, needs_ssh

from yoi_bundles.backend.app import create_app as backend_app
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.exit_codes import CONFLICT, OK, USAGE
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.runtime.signatures import SshSignatureVerifier

pytestmark = needs_ssh
TEAM = WorkspaceId("team")
CODER = Path("team/prompts/role/coder.md")


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    directory = tmp_path / "keys"
    directory.mkdir()
    made = Keys(directory)
    made.private("dev")
    return made


@pytest.fixture
def backend(team, tmp_path):
    """Options that reach a served Backend over the data directory of the local commands."""
    with (
        Backend.open(tmp_path / "data" / "backend", visibility=None) as opened,
        serving(backend_app(opened)) as url,
    ):
        token = Path("publisher.token")
        token.write_text(opened.credentials.create("ada", "publisher", now=utc_now()).token)
        token.chmod(0o600)
        yield ("--backend", url, "--token-file", str(token))


def change(text="\nBe exact.\n"):
    CODER.write_text(CODER.read_text() + text)


def verify_head(tmp_path, keys):
    with Backend.open(tmp_path / "data" / "backend", visibility=None) as opened:
        store = opened.publishing.store(TEAM)
        keys.allow(f"{DEV} {{dev}}")
        verify = SshSignatureVerifier(keys.signers)
        for revision in store.revisions():
            verify(store.read_commit(revision), (DEV,))
        return store.find_head().number


def test_a_revision_is_signed_here(team, tmp_path, keys):
    key = str(keys.private("dev"))
    first = team("publish", "team", "--sign", key)
    assert (first.code, "(signed)" in first.out) == (OK, True), first.err
    again = team("publish", "team", "--sign", key)
    assert (again.code, "already" in again.out) == (OK, True)
    change()
    assert team("publish", "team", "--sign", key).code == OK
    assert verify_head(tmp_path, keys) == 2
    assert "signed          yes" in team("show", "team").out


def test_a_revision_for_a_backend_is_signed_by_the_publisher(team, backend, tmp_path, keys):
    key = str(keys.private("dev"))
    first = team("publish", "team", "--sign", key, *backend)
    assert (first.code, "(signed)" in first.out) == (OK, True), first.err
    assert "already" in team("publish", "team", "--sign", key, *backend).out
    change()
    assert team("publish", "team", "--sign", key, "--json", *backend).json["is_new"]
    assert verify_head(tmp_path, keys) == 2


@pytest.mark.parametrize("is_remote", [False, True])
def test_what_cannot_be_signed_is_not_published(team, backend, keys, is_remote):
    where = backend if is_remote else ()
    locked = str(keys.private("locked", passphrase="secret"))
    for key in (locked, "agent", "nowhere"):
        refused = team("publish", "team", "--sign", key, *where)
        assert refused.code == USAGE
        assert "hint:" in refused.err
        assert str(keys.directory) not in refused.err
    assert team("log", "team").code != OK


@pytest.mark.parametrize("is_remote", [False, True])
def test_an_unsigned_revision_is_not_passed_for_a_signed_one(team, backend, keys, is_remote):
    where = backend if is_remote else ()
    assert team("publish", "team", *where).code == OK
    refused = team("publish", "team", "--sign", str(keys.private("dev")), *where)
    assert (refused.code, "not signed" in refused.err) == (CONFLICT, True)
