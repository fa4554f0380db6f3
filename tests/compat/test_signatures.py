"""Signatures: git and we say the same, of everything we sign and of everything that is wrong."""

from __future__ import annotations

import os
import subprocess

import pytest
from signing_keys import DEV, Keys, needs_ssh, run
from store_factories import EPOCH, make_draft, make_files

from yoi_bundles.errors import UntrustedSignatureError, VerificationError
from yoi_bundles.model.ids import CommitId
from yoi_bundles.runtime.host.signatures import SshSignatureVerifier
from yoi_bundles.store import parse_commit

pytestmark = [pytest.mark.needs_git, needs_ssh]
ALLOWED = [
    "{line} {{dev}}",
    '{line} namespaces="git" {{dev}}',
    '{line} valid-after="20200101",valid-before="20300101" {{dev}}',
    'old@example.com valid-before="20200101" {{dev}}\n{line} {{dev}}',
]
NOT_ALLOWED = [
    "{line} {{other}}",
    '{line} namespaces="file" {{dev}}',
    '{line} valid-before="20200101" {{dev}}',
    '{line} valid-after="20300101" {{dev}}',
    "",
]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("keys"))
    for name, kind in (
        ("dev", "ed25519"),
        ("other", "ed25519"),
        ("curve", "ecdsa"),
        ("rsa", "rsa"),
    ):
        made.private(name, kind)
    return made


def publish(repository, signer, seconds=EPOCH, **changes):
    return repository.publish(
        make_files(**changes), make_draft("Say it", seconds), sign=signer
    ).revision


def git(repository, keys, *arguments, revoked=None):
    options = ["-c", f"gpg.ssh.allowedSignersFile={keys.signers}"]
    if revoked is not None:
        options += ["-c", f"gpg.ssh.revocationFile={revoked}"]
    return subprocess.run(
        ["git", "--git-dir", repository.path, *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )


def git_believes(repository, keys, commit, revoked=None):
    """What ``verify-commit`` says, after ``log --show-signature`` said the same."""
    done = git(repository, keys, "verify-commit", str(commit), revoked=revoked)
    shown = git(repository, keys, "log", "-1", "--format=%G?", str(commit), revoked=revoked)
    assert (done.returncode == 0) == (shown.stdout.strip() == "G"), (done.stderr, shown.stdout)
    return done.returncode == 0


def we_believe(repository, keys, revision, revoked=None):
    try:
        SshSignatureVerifier(keys.signers, revoked)(repository.read_commit(revision), None)
    except UntrustedSignatureError:
        return False
    return True


@pytest.mark.parametrize("kind", ["dev", "curve", "rsa"])
def test_git_believes_every_kind_of_key_we_sign_with(repository, keys, kind):
    keys.allow(f"{DEV} {{{kind}}}")
    line = [publish(repository, keys.signer(kind), EPOCH + n, n=f"{n}\n") for n in range(3)]
    for revision in line:
        assert git_believes(repository, keys, revision.commit)
        assert we_believe(repository, keys, revision)
    shown = git(repository, keys, "log", "--show-signature", "main")
    assert shown.stdout.count(f'Good "git" signature for {DEV} with') == 3
    assert run("git", "--git-dir", repository.path, "fsck", "--full", "--strict") == b""


@pytest.mark.parametrize(
    ("lines", "is_good"),
    [(lines, True) for lines in ALLOWED] + [(lines, False) for lines in NOT_ALLOWED],
)
def test_git_and_we_read_the_file_of_signers_alike(repository, keys, lines, is_good):
    revision = publish(repository, keys.signer("dev"))
    keys.allow(*lines.format(line=DEV).split("\n"))
    assert git_believes(repository, keys, revision.commit) is is_good
    assert we_believe(repository, keys, revision) is is_good


@pytest.mark.parametrize("name", ["dev", "other"])
@pytest.mark.parametrize("as_list", [True, False])
def test_git_and_we_read_revoked_keys_alike(repository, keys, tmp_path, name, as_list):
    revision = publish(repository, keys.signer("dev"))
    keys.allow(f"{DEV} {{dev}}")
    revoked = tmp_path / "revoked"
    if as_list:
        revoked.write_text(keys.public(name) + "\n")
    else:
        run("ssh-keygen", "-q", "-k", "-f", revoked, keys.public_file(name))
    revoked.chmod(0o644)
    assert git_believes(repository, keys, revision.commit, revoked) is (name == "other")
    assert we_believe(repository, keys, revision, revoked) is (name == "other")


def test_git_and_we_refuse_an_unsigned_revision(repository, keys):
    keys.allow(f"{DEV} {{dev}}")
    revision = publish(repository, None)
    assert not git_believes(repository, keys, revision.commit)
    assert not we_believe(repository, keys, revision)


@pytest.mark.parametrize(
    ("old", "new"), [(b"Say it", b"Say no"), (b"Bundle-Revision: 1", b"Bundle-Revision: 9")]
)
def test_git_and_we_refuse_a_signature_over_other_bytes(repository, keys, old, new):
    keys.allow(f"{DEV} {{dev}}")
    revision = publish(repository, keys.signer("dev"))
    raw = repository.read_commit(revision).raw.replace(old, new)
    write = ("hash-object", "-t", "commit", "-w", "--stdin")
    made = run("git", "--git-dir", repository.path, *write, data=raw).decode().strip()
    forged = parse_commit(raw).revision
    assert forged.commit == CommitId(made)
    assert not git_believes(repository, keys, made)
    assert not we_believe(repository, keys, forged)


def test_a_commit_that_git_signs_and_that_is_spelt_as_ours_is_believed(repository, keys):
    """Another tool's signature of our bytes: git's own, of the same payload."""
    keys.allow(f"{DEV} {{dev}}")
    plain = publish(repository, None)
    payload = repository.read_commit(plain).raw
    config = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={keys.private('dev')}"]
    person = ["-c", "user.name=Ann Example", "-c", "user.email=ann@example.org"]
    when = f"{EPOCH} +0000"
    message = payload.partition(b"\n\n")[2]
    made = subprocess.run(
        ["git", "--git-dir", repository.path, *config, *person, "commit-tree", "-S", "-F", "-",
         str(plain.digest)],
        input=message, capture_output=True, check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
             "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when},
    ).stdout.decode().strip()  # fmt: skip
    raw = run("git", "--git-dir", repository.path, "cat-file", "commit", made)
    parsed = parse_commit(raw)
    assert parsed.payload == payload
    assert git_believes(repository, keys, made)
    assert we_believe(repository, keys, parsed.revision)


def test_a_pgp_header_is_no_signature_for_us(repository, keys):
    revision = publish(repository, keys.signer("dev"))
    raw = repository.read_commit(revision).raw.replace(b"gpgsig-sha256 ", b"gpgsig ")
    with pytest.raises(VerificationError):
        parse_commit(raw)
