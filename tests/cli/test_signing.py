"""Signed revisions from the command line: publish and verify, here and on a Backend."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import serving
from signing_keys import DEV, Keys, needs_ssh

from yoi_bundles.backend.app import create_app as backend_app
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.exit_codes import CONFLICT, INTEGRITY, MACHINE, NOT_FOUND, OK, USAGE
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.runtime.host.signatures import SshSignatureVerifier

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
    assert "signed          yes (not verified here)" in team("show", "team").out


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


# --- verify ---


@pytest.fixture
def policy(tmp_path, keys):
    """Writes a host policy; ``trust`` is its section."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "policy.toml"

    def write(trust):
        path.write_text(f"schema = 1\n[trust]\n{trust}\n")
        path.chmod(0o600)
        return str(path)

    return write


@pytest.fixture
def signed(team, keys):
    """Two revisions, the second by another key."""
    keys.private("eve")
    assert team("publish", "team", "--sign", str(keys.private("dev"))).code == OK
    change()
    assert team("publish", "team", "--sign", str(keys.private("eve"))).code == OK
    return team


def test_verify_says_who_signed(signed, keys):
    signers = str(keys.allow(f"{DEV} {{dev}}", "eve@example.com {eve}"))
    done = signed("verify", "--allowed-signers", signers)
    assert done.code == OK
    assert "signed  backend team r2 by eve@example.com" in done.out
    assert f"signed  backend team r1 by {DEV}" in done.out
    document = signed("verify", "--allowed-signers", signers, "--json").json
    assert document["ok"]
    assert [one["signer"] for one in document["signatures"]] == ["eve@example.com", DEV]


def test_verify_ends_with_6_if_one_is_not_believed(signed, keys):
    signers = str(keys.allow(f"{DEV} {{dev}}"))
    done = signed("verify", "--allowed-signers", signers)
    assert done.code == INTEGRITY
    assert "refused  backend team r2: the commit cannot be trusted: no allowed signer" in done.out
    assert f"signed  backend team r1 by {DEV}" in done.out
    document = signed("verify", "--allowed-signers", signers, "--json").json
    assert (document["ok"], document["signatures"][0]["signer"]) == (False, None)
    # One revision alone is judged alone.
    assert signed("verify", "team", "1", "--allowed-signers", signers).code == OK
    assert signed("verify", "team", "2", "--allowed-signers", signers).code == INTEGRITY
    assert signed("verify", "team", "9", "--allowed-signers", signers).code == NOT_FOUND


def test_verify_asks_the_host_policy(signed, keys, policy, tmp_path):
    keys.allow(f"{DEV} {{dev}}", "eve@example.com {eve}")
    base = f'allowed_signers_file = "{keys.signers}"\n'
    required = "signature_required = true\n"

    def verify(trust):
        return signed("verify", "--signatures", "--policy", policy(trust))

    assert verify(base + required).code == OK
    limited = base + f'[trust.principals]\nteam = ["{DEV}"]\n'
    assert verify(required + limited).code == INTEGRITY
    relaxed = verify(limited)
    assert (relaxed.code, "not believed  backend team r2" in relaxed.out) == (OK, True)
    revoked = tmp_path / "etc" / "revoked"
    revoked.write_text(keys.public("dev") + "\n")
    revoked.chmod(0o644)
    done = verify(base + required + f'revoked_keys_file = "{revoked}"\n')
    assert done.code == INTEGRITY
    assert "refused  backend team r1" in done.out
    assert "signed  backend team r2" in done.out


def test_verify_finds_unsigned_revisions(team, keys):
    assert team("publish", "team").code == OK
    done = team("verify", "--allowed-signers", str(keys.allow(f"{DEV} {{dev}}")))
    assert (done.code, "r1: it is not signed" in done.out) == (INTEGRITY, True)


def test_verify_without_anybody_to_believe_says_what_is_missing(signed, policy):
    done = signed("verify", "--signatures")
    assert (done.code, "--allowed-signers" in done.err) == (USAGE, True)
    done = signed("verify", "--signatures", "--policy", policy(""))
    assert (done.code, "names no allowed signers" in done.err) == (USAGE, True)
    assert signed("verify", "--signatures", "--policy", "nowhere.toml").code == MACHINE
    done = signed("verify", "--allowed-signers", "nowhere")
    assert (done.code, "does not exist" in done.out) == (INTEGRITY, True)
