"""Signatures: real keys, real commits of git, and everything that may be wrong with them."""

import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime

import pytest

from yoi_bundles.author.signing import SshCommitSigner
from yoi_bundles.errors import UntrustedSignatureError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.revision import Provenance, ReceivedCommit, Revision
from yoi_bundles.runtime.host.signatures import SshSignatureVerifier, digest_trust, split_signature

needs_ssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None or shutil.which("git") is None,
    reason="needs ssh-keygen and git",
)
WHEN = "1795300000 +0000"
DEV = "dev@example.com"


def run(*command, cwd=None, data=None):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd or "/nonexistent"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": WHEN,
        "GIT_COMMITTER_DATE": WHEN,
    }
    done = subprocess.run(
        command, cwd=cwd, input=data, env=environment, capture_output=True, check=True
    )
    return done.stdout


class Signing:
    """Keys, and a SHA-256 repository that signs with them."""

    def __init__(self, directory):
        self.directory = directory
        self.repository = directory / "repository"
        self.signers = directory / "signers"
        run("git", "init", "-q", "--object-format=sha256", str(self.repository), cwd=directory)
        self.keys = {}

    def key(self, name, kind="ed25519"):
        if name not in self.keys:
            path = self.directory / name
            run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path))
            self.keys[name] = path
        return self.keys[name]

    def public(self, name, kind="ed25519"):
        return self.key(name, kind).with_suffix(".pub").read_text().strip()

    def allow(self, *lines):
        self.signers.write_text("".join(f"{line}\n" for line in lines))
        self.signers.chmod(0o644)

    def commit(self, key=None, message="release"):
        options = ["-c", f"user.name=Dev <{DEV}>", "-c", f"user.email={DEV}"]
        if key:
            options += ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key(key)}"]
        arguments = ["commit", "-q", "--allow-empty", "-m", message]
        run("git", *options, *arguments, *(["-S"] if key else []), cwd=self.repository)
        return received(run("git", "cat-file", "commit", "HEAD", cwd=self.repository), self)


def received(raw, signing=None):
    name = run(
        "git", "hash-object", "-t", "commit", "--literally", "--stdin",
        cwd=signing.repository, data=raw,
    ).decode().strip() if signing else "0" * 64  # fmt: skip
    return ReceivedCommit(
        Revision(
            workspace=WorkspaceId("acme"),
            number=1,
            commit=CommitId(name),
            digest=Digest("d" * 64),
            parent=None,
            created_at=datetime(2026, 11, 22, tzinfo=UTC),
            provenance=Provenance(
                source_kind="git", source_uri="x", published_by="Dev", built_with="test"
            ),
            is_signed=b"gpgsig" in raw,
        ),
        raw,
    )


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    return Signing(tmp_path_factory.mktemp("signing"))


@pytest.fixture(scope="module")
def good(signing):
    return signing.commit("dev")


def verify(signing, commit, principals=None, **options):
    SshSignatureVerifier(signing.signers, **options)(commit, principals)


def refuse(signing, commit, match, principals=None, **options):
    with pytest.raises(UntrustedSignatureError, match=match) as caught:
        verify(signing, commit, principals, **options)
    assert caught.value.code == "untrusted_signature"
    assert str(signing.directory) not in str(caught.value) + str(caught.value.facts)


@needs_ssh
@pytest.mark.parametrize(
    "line",
    [
        "dev@example.com {key}",
        'dev@example.com namespaces="git" {key}',
        'dev@example.com namespaces="file,git" {key}',
        "*@example.com {key}",
        "other@example.com,dev@example.com {key}",
        'dev@example.com valid-after="20260101",valid-before="20270101" {key}',
    ],
)
def test_a_commit_by_an_allowed_signer_is_believed(signing, good, line):
    signing.allow(line.format(key=signing.public("dev")))
    verify(signing, good)
    verify(signing, good, (DEV,))


@needs_ssh
@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("", "no allowed signer"),
        ("dev@example.com {other}", "no allowed signer"),
        ('dev@example.com namespaces="file" {key}', "no allowed signer|not good"),
        ('dev@example.com valid-before="20260101" {key}', "no allowed signer|not good"),
        ('dev@example.com valid-after="20270101" {key}', "no allowed signer|not good"),
        ("not a line of signers", "no allowed signer"),
    ],
)
def test_a_commit_by_anybody_else_is_not(signing, good, line, match):
    signing.allow(line.format(key=signing.public("dev"), other=signing.public("other")))
    refuse(signing, good, match)


@needs_ssh
def test_an_expired_line_does_not_hide_a_good_one(signing, good):
    key = signing.public("dev")
    signing.allow(f'old@example.com valid-before="20200101" {key}', f"dev@example.com {key}")
    verify(signing, good)


@needs_ssh
def test_ecdsa_keys_work(signing):
    signing.key("curve", "ecdsa")
    signing.allow(f"dev@example.com {signing.public('curve')}")
    verify(signing, signing.commit("curve"))


@needs_ssh
@pytest.mark.parametrize(
    ("line", "principals", "is_believed"),
    [
        ("dev@example.com {key}", (DEV,), True),
        ("dev@example.com {key}", ("other@example.com", DEV), True),
        ("dev@example.com {key}", ("other@example.com",), False),
        ("dev@example.com {key}", (), False),
        ("dev@example.com {key}", ("*@example.com",), False),
        ("*@example.com {key}", (DEV,), True),
        ("*@example.com,!dev@example.com {key}", (DEV,), False),
        ("*@example.org {key}", (DEV,), False),
    ],
)
def test_policy_may_limit_who_signs_for_a_workspace(signing, good, line, principals, is_believed):
    signing.allow(line.format(key=signing.public("dev")))
    if is_believed:
        verify(signing, good, principals)
    else:
        refuse(signing, good, "may not sign|not good", principals)


@needs_ssh
@pytest.mark.parametrize(
    ("old", "new"), [(b"release", b"rElease"), (b"tree ", b"tree  "), (WHEN.encode(), b"1 +0000")]
)
def test_changed_bytes_are_not_believed(signing, good, old, new):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    raw = good.raw.replace(old, new)
    refuse(signing, received(raw, signing), "not good")
    changed = ReceivedCommit(good.revision, raw)
    refuse(signing, changed, "not those its id names")


@needs_ssh
def test_a_signature_of_another_commit_is_not_believed(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    other = signing.commit("dev", "another")
    signature = other.raw[other.raw.index(b"gpgsig-sha256") : other.raw.index(b"\n\n")]
    own = good.raw[good.raw.index(b"gpgsig-sha256") : good.raw.index(b"\n\n")]
    refuse(signing, received(good.raw.replace(own, signature), signing), "not good")


@needs_ssh
def test_an_unsigned_commit_is_not_believed(signing):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    refuse(signing, signing.commit(), "exactly one SSH signature")


@needs_ssh
def test_a_file_signature_in_place_of_a_commits_is_not_believed(signing, good, tmp_path):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    payload = tmp_path / "payload"
    payload.write_bytes(split_signature(good.raw).payload)
    run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(signing.key("dev")), str(payload))
    armour = payload.with_name("payload.sig").read_bytes().strip().replace(b"\n", b"\n ")
    head, _, rest = payload.read_bytes().partition(b"\n\n")
    raw = head + b"\ngpgsig-sha256 " + armour + b"\n\n" + rest
    refuse(signing, received(raw, signing), "not good")


@needs_ssh
def test_git_agrees(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    run(
        "git", "-c", f"gpg.ssh.allowedSignersFile={signing.signers}", "verify-commit",
        str(good.revision.commit), cwd=signing.repository,
    )  # fmt: skip
    verify(signing, good)


# --- the program and the file ---


def fake_program(tmp_path, body):
    path = tmp_path / "ssh-keygen"
    path.write_text(f"#!/bin/sh\necho x >> {tmp_path}/calls\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@needs_ssh
def test_a_verdict_is_kept_until_signers_or_principals_change(signing, good, tmp_path):
    key = signing.public("dev")
    signing.allow(f"dev@example.com {key}")
    program = fake_program(tmp_path, f'exec {shutil.which("ssh-keygen")} "$@"')
    calls = tmp_path / "calls"
    verifier = SshSignatureVerifier(signing.signers, program=program)

    def count():
        return len(calls.read_text().splitlines())

    for _ in range(3):
        verifier(good, None)
    assert count() == 2
    verifier(good, (DEV,))
    assert count() == 4
    signing.allow(f"other@example.com {key}")
    for _ in range(2):
        with pytest.raises(UntrustedSignatureError):
            verifier(good, (DEV,))
    assert count() == 5


@needs_ssh
@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("exit 0", "no allowed signer"),
        ("echo dev@example.com", "not good"),
        ("echo dev@example.com; exit 1", "no allowed signer"),
        (
            "printf 'dev@example.com\\nGood \"file\" signature for dev@example.com with x'",
            "not good",
        ),
        ("exec sleep 20", "took too long"),
    ],
)
def test_an_answer_that_is_not_understood_is_no(signing, good, tmp_path, body, match):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    program = fake_program(tmp_path, body)
    refuse(signing, good, match, program=program, timeout_seconds=0.5 if "sleep" in body else 20.0)


@needs_ssh
def test_without_the_program_nothing_is_believed_and_nothing_kept(signing, good, tmp_path):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    program = tmp_path / "later"
    verifier = SshSignatureVerifier(signing.signers, program=str(program))
    with pytest.raises(UntrustedSignatureError, match="cannot be started"):
        verifier(good, None)
    program.symlink_to(shutil.which("ssh-keygen"))
    verifier(good, None)


@needs_ssh
def test_trouble_of_this_machine_is_no_and_no_verdict_is_kept(signing, good, tmp_path, monkeypatch):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    program = tmp_path / "later"
    program.symlink_to(fake_program(tmp_path, "kill -9 $$"))
    verifier = SshSignatureVerifier(signing.signers, program=str(program))
    with pytest.raises(UntrustedSignatureError, match="ended by the system"):
        verifier(good, None)
    program.unlink()
    program.symlink_to(shutil.which("ssh-keygen"))
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(UntrustedSignatureError, match="no place to verify it") as no:
            verifier(good, None)
        assert no.value.__context__ is None
    verifier(good, None)


@needs_ssh
def test_a_signers_file_others_may_write_is_not_used(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    signing.signers.chmod(0o666)
    refuse(signing, good, "file of allowed signers cannot be used: it may be written by others")
    signing.signers.unlink()
    refuse(signing, good, "does not exist")


@needs_ssh
def test_who_signed_is_told(signing, good):
    verifier = SshSignatureVerifier(signing.signers)
    signing.allow(f"*@example.com {signing.public('dev')}")
    assert verifier.verify_signer(good, (DEV,)) == DEV
    assert verifier.verify_signer(good, None) == "*@example.com"


# --- keys that are believed no longer ---


def revoke(signing, *names, as_list=True):
    path = signing.directory / "revoked"
    if as_list:
        path.write_text("".join(signing.public(name) + "\n" for name in names))
    else:
        files = [str(signing.key(name).with_suffix(".pub")) for name in names]
        run("ssh-keygen", "-q", "-k", "-f", str(path), *files)
    path.chmod(0o644)
    return path


@needs_ssh
@pytest.mark.parametrize("as_list", [True, False])
def test_a_revoked_key_is_not_believed_whenever_it_signed(signing, good, as_list):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    verify(signing, good, revoked_keys=revoke(signing, "other", as_list=as_list))
    refuse(signing, good, "not good", revoked_keys=revoke(signing, "dev", as_list=as_list))
    refuse(signing, good, "not good", revoked_keys=revoke(signing, "other", "dev", as_list=as_list))


@needs_ssh
def test_an_empty_list_revokes_nothing(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    verify(signing, good, revoked_keys=revoke(signing))


@needs_ssh
def test_a_list_of_revoked_keys_that_cannot_be_used_is_believed_to_hold_them_all(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    path = revoke(signing, "other")
    path.chmod(0o666)
    refuse(signing, good, "file of revoked keys cannot be used", revoked_keys=path)
    path.unlink()
    refuse(signing, good, "does not exist", revoked_keys=path)
    path.write_bytes(b"SSHKRL\n\0 but not one")
    refuse(signing, good, "not good", revoked_keys=path)


@needs_ssh
def test_a_revocation_overtakes_a_kept_verdict(signing, good):
    signing.allow(f"dev@example.com {signing.public('dev')}")
    verifier = SshSignatureVerifier(signing.signers, revoke(signing, "other"))
    verifier(good, None)
    revoke(signing, "dev")
    with pytest.raises(UntrustedSignatureError, match="not good"):
        verifier(good, None)


# --- authorities ---


@pytest.fixture(scope="module")
def certified(signing):
    """A commit signed with a certificate that `authority` issued to the key `holder`."""
    signing.key("authority")
    holder = signing.key("holder")
    run(
        "ssh-keygen", "-q", "-s", str(signing.key("authority")), "-I", "holder", "-n", DEV,
        "-V", "20200101:20400101", str(holder.with_suffix(".pub")),
    )  # fmt: skip
    certificate = holder.with_name("holder-cert.pub")
    raw = signing.commit().raw
    signer = SshCommitSigner(certificate)
    return received(insert_signature(raw, signer(raw)), signing)


def insert_signature(raw, signature):
    head, gap, message = raw.partition(b"\n\n")
    armour = signature.removesuffix(b"\n").replace(b"\n", b"\n ")
    return head + b"\ngpgsig-sha256 " + armour + gap + message


@needs_ssh
def test_a_certificate_of_an_authority_is_believed_for_its_principals(signing, certified):
    signing.allow(f"*@example.com cert-authority {signing.public('authority')}")
    verify(signing, certified)
    verify(signing, certified, (DEV,))
    refuse(signing, certified, "may not sign|not good", ("eve@example.com",))


@needs_ssh
@pytest.mark.parametrize(
    "line",
    [
        "dev@example.com {authority}",
        "*@example.com cert-authority {other}",
        'dev@example.com cert-authority,namespaces="file" {authority}',
        'dev@example.com cert-authority,valid-before="20260101" {authority}',
        "*@example.org cert-authority {authority}",
    ],
)
def test_a_certificate_of_anybody_else_is_not(signing, certified, line):
    keys = {name: signing.public(name) for name in ("authority", "other")}
    signing.allow(line.format(**keys))
    refuse(signing, certified, "no allowed signer|not good")


@needs_ssh
@pytest.mark.parametrize("name", ["authority", "holder"])
def test_a_certificate_is_not_believed_once_its_authority_or_key_is_revoked(
    signing, certified, name
):
    signing.allow(f"*@example.com cert-authority {signing.public('authority')}")
    krl = revoke(signing, name, as_list=False)
    refuse(signing, certified, "no allowed signer|not good", revoked_keys=krl)


# --- splitting ---

PLAIN = b"tree 0\nauthor A <a> 1 +0000\ncommitter C <c> 86400 +0100\n"
ARMOUR = b"gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n"


def test_the_signature_is_taken_out_as_git_does():
    split = split_signature(PLAIN + ARMOUR + b"encoding x\n\nhi\n\ngpgsig-sha256 in text\n")
    assert split.payload == PLAIN + b"encoding x\n\nhi\n\ngpgsig-sha256 in text\n"
    assert split.signature == (b"-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n")
    assert split.committed_at == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (PLAIN + b"\nhi", "exactly one"),
        (PLAIN + ARMOUR + ARMOUR + b"\nhi", "exactly one"),
        (PLAIN + b"gpgsig-sha256 -----BEGIN PGP SIGNATURE-----\n x\n\nhi", "exactly one"),
        (PLAIN + ARMOUR.replace(b"gpgsig-sha256", b"gpgsig") + b"\nhi", "of another kind"),
        (PLAIN + ARMOUR + b"gpgsig x\n\nhi", "of another kind"),
        (ARMOUR + b"tree 0\n\ncommitter C <c> 1 +0000\n", "no committer time"),
        (PLAIN.replace(b"86400", b"soon") + ARMOUR + b"\nhi", "no committer time"),
        (b"", "exactly one"),
    ],
)
def test_commits_that_git_would_read_otherwise_are_refused(raw, match):
    with pytest.raises(UntrustedSignatureError, match=match):
        split_signature(raw)


def test_the_digest_of_trust_changes_with_each_file_and_with_its_readability(tmp_path):
    signers, revoked = tmp_path / "signers", tmp_path / "revoked"
    for file in (signers, revoked):
        file.write_text("one\n")
        file.chmod(0o644)
    trust = TrustRules(allowed_signers_file=str(signers), revoked_keys_file=str(revoked))
    seen = [digest_trust(trust)]
    assert digest_trust(trust) == seen[0]
    for file in (signers, revoked):
        file.write_text("another\n")
        seen.append(digest_trust(trust))
        file.chmod(0o666)  # anybody may have written it: it is not used
        seen.append(digest_trust(trust))
        assert digest_trust(trust) == seen[-1]
        file.chmod(0o644)

    assert len(set(seen)) == 5
    assert digest_trust(TrustRules()) is None
