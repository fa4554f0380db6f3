"""Signing with SSH keys: real keys, a real agent, and everything that may be wrong."""

import os
import re
import shutil
import subprocess

import pytest
from signing_keys import Keys, needs_ssh

from yoi_bundles.author.signing import AGENT, SshCommitSigner
from yoi_bundles.errors import InvalidInputError

pytestmark = needs_ssh
PAYLOAD = b"tree 0\n\nwhat is signed\n"


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    return Keys(tmp_path)


@pytest.fixture
def agent(keys, monkeypatch):
    """A running ssh-agent; gives a function that adds a key to it and drops its file."""
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])

    def add(name):
        path = keys.private(name)
        public = keys.public_file(name)
        subprocess.run(["ssh-add", "-q", str(path)], check=True, capture_output=True)
        path.rename(path.with_name(f"{name}.gone"))
        return public

    yield add
    os.kill(int(found["SSH_AGENT_PID"]), 15)


def is_signed_by(keys, name, signature, payload=PAYLOAD):
    signers = keys.directory / "check"
    public = (keys.directory / f"{name}.pub").read_text()
    signers.write_text(f"me {public}\n")
    (keys.directory / "check.sig").write_bytes(signature)
    return (
        subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-n", "git", "-I", "me", "-f", str(signers), "-s",
             str(keys.directory / "check.sig")],
            input=payload, capture_output=True, check=False,
        ).returncode == 0
    )  # fmt: skip


def refuse(signer, match, hint=""):
    with pytest.raises(InvalidInputError, match=match) as caught:
        signer(PAYLOAD)
    assert hint in (caught.value.hint or "")
    assert "/" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_private_key_signs_for_git(keys, kind):
    keys.private(kind, kind)
    signature = keys.signer(kind)(PAYLOAD)
    assert is_signed_by(keys, kind, signature)
    assert not is_signed_by(keys, kind, signature, PAYLOAD + b"x")


def test_a_public_key_stands_for_the_private_one_beside_it(keys):
    signer = SshCommitSigner(keys.public_file("dev"))
    assert is_signed_by(keys, "dev", signer(PAYLOAD))


def test_a_public_key_stands_for_the_one_the_agent_holds(keys, agent):
    public = agent("dev")
    assert is_signed_by(keys, "dev", SshCommitSigner(public)(PAYLOAD))


def test_the_only_key_of_the_agent_signs(keys, agent):
    agent("dev")
    assert is_signed_by(keys, "dev", SshCommitSigner(AGENT)(PAYLOAD))


@pytest.mark.parametrize("spelling", ["key::{key}", "{key}", "{file}"])
def test_of_several_keys_that_of_gits_configuration_signs(keys, agent, spelling):
    agent("one")
    public = agent("two")
    refuse(SshCommitSigner(AGENT), "holds 2 keys", "user.signingKey")
    value = spelling.format(key=public.read_text().strip(), file=public)
    subprocess.run(["git", "config", "--global", "user.signingKey", value], check=True)
    assert is_signed_by(keys, "two", SshCommitSigner(AGENT)(PAYLOAD))


@pytest.mark.parametrize("value", ["~nobody-of-this-name/x", "/nowhere/key", "key::", "0xABCD"])
def test_a_configured_key_that_the_agent_lacks_chooses_nothing(keys, agent, value):
    agent("one")
    agent("two")
    subprocess.run(["git", "config", "--global", "user.signingKey", value], check=True)
    refuse(SshCommitSigner(AGENT), "holds 2 keys")


def test_without_an_agent_or_a_key_in_it_there_is_no_signature(keys):
    refuse(SshCommitSigner(AGENT), "holds no key", "ssh-add")


def test_an_agent_without_keys_signs_nothing(agent):
    refuse(SshCommitSigner(AGENT), "holds no key", "ssh-add")


def test_a_passphrase_is_never_asked_for_where_nobody_sits(keys, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SSH_ASKPASS", keys.program("echo secret", "askpass"))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    keys.private("locked", passphrase="secret")
    refuse(keys.signer("locked"), "could not sign", "ssh-add")
    assert keys.calls == []


def test_where_somebody_sits_the_passphrase_is_asked_for(keys, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SSH_ASKPASS", keys.program("echo secret", "askpass"))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    keys.private("locked", passphrase="secret")
    signature = keys.signer("locked", is_interactive=True)(PAYLOAD)
    assert is_signed_by(keys, "locked", signature)
    monkeypatch.setenv("SSH_ASKPASS", keys.program("echo wrong", "askpass"))
    refuse(keys.signer("locked", is_interactive=True), "could not sign", "SSH key")


def test_a_key_that_is_missing_or_no_key_is_refused(keys, tmp_path):
    refuse(SshCommitSigner(tmp_path / "nowhere"), "no such signing key", "agent")
    refuse(SshCommitSigner(tmp_path), "no such signing key")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    refuse(SshCommitSigner(tmp_path / "text"), "could not sign")


def test_a_private_key_others_may_read_is_refused_by_the_program(keys):
    keys.private("dev").chmod(0o644)
    refuse(keys.signer("dev"), "could not sign")


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("exit 1", "could not sign"),
        ("exit 0", "is no signature"),
        ("echo hello", "is no signature"),
        ("printf -- '-----BEGIN SSH SIGNATURE-----\\n'; head -c 20000 /dev/zero | tr '\\0' A; "
         "printf -- '\\n-----END SSH SIGNATURE-----\\n'", "is no signature"),
        ("printf -- '-----BEGIN SSH SIGNATURE-----\\nAAAA\\n-----END SSH SIGNATURE-----\\n'; "
         'test "$2" = sign', "does not verify"),
        ("exec sleep 20", "took too long"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_signature_is_none(keys, body, match):
    limit = 0.5 if "sleep" in body else 20.0
    refuse(keys.signer("dev", program=keys.program(body), timeout_seconds=limit), match)


def test_a_signature_of_other_bytes_is_not_given_out(keys):
    real = shutil.which("ssh-keygen")
    program = keys.program(
        f'if [ "$2" = sign ]; then cat > /dev/null; echo other | {real} "$@"; '
        f'else exec {real} "$@"; fi'
    )
    refuse(keys.signer("dev", program=program), "does not verify")


def test_without_the_programs_nothing_is_signed(keys):
    refuse(keys.signer("dev", program="/nowhere/ssh-keygen"), "ssh-keygen cannot be started", "8.2")
    refuse(SshCommitSigner(AGENT, agent_program="/nowhere/ssh-add"), "ssh-add cannot be started")


def test_nothing_is_left_behind(keys, tmp_path, monkeypatch):
    own = tmp_path / "tmp"
    own.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(own))
    keys.signer("dev")(PAYLOAD)
    refuse(keys.signer("dev", program=keys.program("exit 1")), "could not sign")
    assert list(own.iterdir()) == []


def test_without_a_place_to_sign_in_nothing_is_signed(keys, tmp_path, monkeypatch):
    signer = keys.signer("dev")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert refuse(signer, "no place to sign in .ENOENT.").__context__ is None
