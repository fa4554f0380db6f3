"""Signatures of commits, verified as git verifies them: by ``ssh-keygen``, in two steps.

Whatever is not understood (no program, no time left, an unknown answer) counts as a bad signature.

Source: git's ``verify_ssh_signed_buffer``; ssh-keygen(1), "ALLOWED SIGNERS"; OpenSSH
PROTOCOL.sshsig.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from cachetools import LRUCache

from yoi_bundles.errors import UntrustedSignatureError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import CommitId, ContentHash
from yoi_bundles.model.revision import ReceivedCommit
from yoi_bundles.runtime.host.trusted_files import UntrustedFileError, open_trusted, read_capped

SIGNERS_BYTES = 1024 * 1024
"""A longer file of allowed signers, or of revoked keys, is not read."""

_HEADER = b"gpgsig-sha256 "
_COMMITTER = re.compile(rb"^committer [^\n]*> ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)
_NAMESPACE = "git"
_Key: TypeAlias = tuple[CommitId, bytes, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """A commit's bytes, split as git splits them.

    Args:
        payload: What was signed: the commit without its ``gpgsig-sha256`` header.
        signature: The armoured SSH signature.
        committed_at: The committer's time, at which a key's validity is looked at.
    """

    payload: bytes
    signature: bytes
    committed_at: datetime


def split_signature(raw: bytes) -> SignedCommit:
    """Take the signature out of a commit's bytes.

    Raises:
        UntrustedSignatureError: There is not exactly one SSH signature, or no committer time.
    """
    head, separator, message = raw.partition(b"\n\n")
    payload: list[bytes] = []
    signature: list[bytes] = []
    is_in_signature = False
    count = 0
    for line in head.split(b"\n"):
        if line.startswith(_HEADER):
            is_in_signature, count = True, count + 1
            signature.append(line.removeprefix(_HEADER))
        elif is_in_signature and line.startswith(b" "):
            signature.append(line[1:])
        elif line.startswith(b"gpgsig"):
            raise _untrusted("it carries a signature of another kind")
        else:
            is_in_signature = False
            payload.append(line)
    if count != 1 or signature[0] != b"-----BEGIN SSH SIGNATURE-----":
        raise _untrusted("it does not carry exactly one SSH signature")
    stamp = _COMMITTER.search(b"\n".join(payload))
    if stamp is None:
        raise _untrusted("it has no committer time")
    return SignedCommit(
        payload=b"\n".join(payload) + separator + message,
        signature=b"\n".join(signature).rstrip(b"\n") + b"\n",
        committed_at=datetime.fromtimestamp(int(stamp.group(1)), UTC),
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Who signed, or why nobody is believed to have."""

    signer: str = ""
    fault: str | None = None


class SshSignatureVerifier:
    """Verifies commits against a file of allowed signers; verdicts are kept.

    Args:
        allowed_signers: The file; it is read at every call, and must be the operator's or root's.
        revoked_keys: A list of public keys or a key revocation list, read likewise; None: none.
        program: ``ssh-keygen``, or where to find it.
        timeout_seconds: How long one call of the program may take.
        cache_entries: How many verdicts are kept, by commit, signers file and principals.
    """

    def __init__(
        self,
        allowed_signers: Path,
        revoked_keys: Path | None = None,
        *,
        program: str = "ssh-keygen",
        timeout_seconds: float = 10.0,
        cache_entries: int = 4096,
    ) -> None:
        self._allowed_signers = allowed_signers
        self._revoked_keys = revoked_keys
        self._program = program
        self._timeout_seconds = timeout_seconds
        self._verdicts: LRUCache[_Key, _Verdict] = LRUCache(cache_entries)
        self._lock = Lock()

    def __call__(self, commit: ReceivedCommit, principals: tuple[str, ...] | None) -> None:
        """Return if the commit is signed by an allowed signer.

        Raises:
            UntrustedSignatureError: As for `verify_signer`.
        """
        self.verify_signer(commit, principals)

    def verify_signer(self, commit: ReceivedCommit, principals: tuple[str, ...] | None) -> str:
        """Who of the allowed signers signed a commit.

        Args:
            commit: The commit with its exact bytes.
            principals: Who may sign; None: any allowed signer.

        Returns:
            The principal as it stands in the file, or in ``principals``.

        Raises:
            UntrustedSignatureError: The signature is missing, bad, by somebody else or with a
                revoked key, or could not be verified.
        """
        files = self._read_files()
        named = commit.revision.commit
        if _commit_id(commit.raw) != named:
            raise _untrusted("its bytes are not those its id names", named)
        key = (named, files.fingerprint, principals)
        with self._lock:
            verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._try_to_judge(split_signature(commit.raw), files, principals)
            with self._lock:
                self._verdicts[key] = verdict
        if verdict.fault is not None:
            raise _untrusted(verdict.fault, named)
        return verdict.signer

    def _read_files(self) -> _Files:
        signers = _read_file(self._allowed_signers, "allowed_signers_file", "allowed signers")
        if self._revoked_keys is None:
            return _Files(signers, None)
        return _Files(signers, _read_file(self._revoked_keys, "revoked_keys_file", "revoked keys"))

    def _try_to_judge(
        self, commit: SignedCommit, files: _Files, principals: tuple[str, ...] | None
    ) -> _Verdict:
        fault = None
        try:
            return self._judge(commit, files, principals)
        except OSError as error:
            fault = errno.errorcode.get(error.errno or 0, "unknown error")
        # Raised outside the handler: the system's own error carries a path. No verdict is kept.
        raise _untrusted(f"there is no place to verify it ({fault})")

    def _judge(
        self, commit: SignedCommit, files: _Files, principals: tuple[str, ...] | None
    ) -> _Verdict:
        with tempfile.TemporaryDirectory(prefix="yoi-bundles-") as directory:
            # The copies are what was hashed; the originals may change in the meantime.
            place = Path(directory)
            (place / "signers").write_bytes(files.signers)
            (place / "signature").write_bytes(commit.signature)
            if files.revoked is not None:
                (place / "revoked").write_bytes(files.revoked)
            call = _Call(self._program, self._timeout_seconds, place, files.revoked is not None)
            found = call.find_principals(commit)
            if not found:
                return _Verdict(fault="no allowed signer made its signature")
            candidates = _restrict(found, principals)
            if not candidates:
                return _Verdict(fault="its signer may not sign for this workspace")
            for identity in candidates:
                if call.is_good(commit, identity):
                    return _Verdict(signer=identity)
        return _Verdict(fault="its signature is not good")


@dataclass(frozen=True, slots=True)
class _Files:
    """What the operator wrote: whose keys are believed, and which no longer."""

    signers: bytes
    revoked: bytes | None

    @property
    def fingerprint(self) -> bytes:
        parts = [self.signers] if self.revoked is None else [self.signers, self.revoked]
        return b"".join(hashlib.sha256(part).digest() for part in parts)


def _read_file(path: Path, key: str, what: str) -> bytes:
    fault, data = None, b""
    try:
        data = read_capped(open_trusted(path), SIGNERS_BYTES)
    except UntrustedFileError as error:
        fault = str(error)
    if fault is not None:
        raise UntrustedSignatureError(
            f"the file of {what} cannot be used: {fault}",
            hint=f"look at {key} in [trust] of the host policy",
        )
    return data


def digest_trust(trust: TrustRules) -> ContentHash | None:
    """What the files that ``[trust]`` names hold now: a refusal made under it may end with it.

    Returns:
        The same for the same bytes; a file that cannot be used counts as one that says so. None
        if no file is named.
    """
    if trust.allowed_signers_file is None:
        return None
    parts = []
    for path in (trust.allowed_signers_file, trust.revoked_keys_file):
        try:
            data = b"" if path is None else read_capped(open_trusted(Path(path)), SIGNERS_BYTES)
        except UntrustedFileError:
            parts.append(b"unusable")
        else:
            parts.append(hashlib.sha256(data).digest())
    return ContentHash("sha256:" + hashlib.sha256(b"".join(parts)).hexdigest())


class Verifiers:
    """One verifier for each pair of files, as each remembers its verdicts."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str | None], SshSignatureVerifier] = {}

    def find(self, trust: TrustRules) -> SshSignatureVerifier | None:
        """The verifier of ``[trust]``, or None if it names no allowed signers."""
        signers, revoked = trust.allowed_signers_file, trust.revoked_keys_file
        if signers is None:
            return None
        made = SshSignatureVerifier(Path(signers), None if revoked is None else Path(revoked))
        return self._made.setdefault((signers, revoked), made)


@dataclass(frozen=True, slots=True)
class _Call:
    """``ssh-keygen -Y`` over one signature."""

    program: str
    timeout_seconds: float
    place: Path
    has_revoked: bool

    def find_principals(self, commit: SignedCommit) -> list[str]:
        """Step 1: whose key the signature is of; patterns as they stand in the file."""
        status, output = self._run(["find-principals"], commit, b"")
        return [line.strip() for line in output.splitlines() if line.strip()] if status == 0 else []

    def is_good(self, commit: SignedCommit, identity: str) -> bool:
        """Step 2: whether it is this signer's, over these bytes, for git, valid at that time."""
        arguments = ["verify", "-n", _NAMESPACE, "-I", identity]
        if self.has_revoked:
            arguments += ["-r", str(self.place / "revoked")]
        status, output = self._run(arguments, commit, commit.payload)
        return status == 0 and output.startswith(f'Good "{_NAMESPACE}" signature for {identity} ')

    def _run(
        self, arguments: Sequence[str], commit: SignedCommit, payload: bytes
    ) -> tuple[int, str]:
        """Exit status and standard output.

        Raises:
            UntrustedSignatureError: The program is missing or takes too long; no verdict is kept.
        """
        fault = None
        try:
            done = subprocess.run(
                [
                    self.program,
                    "-Y",
                    *arguments,
                    "-f",
                    str(self.place / "signers"),
                    "-s",
                    str(self.place / "signature"),
                    f"-Overify-time={commit.committed_at:%Y%m%d%H%M%S}",
                ],
                input=payload,
                capture_output=True,
                timeout=self.timeout_seconds,
                check=False,
                # Older programs read the time in the local zone and know no suffix.
                env={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC", "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            fault = "ssh-keygen took too long"
        except OSError:
            fault = "ssh-keygen cannot be started"
        if fault is None and done.returncode < 0:
            fault = "ssh-keygen was ended by the system"
        if fault is not None:
            raise _untrusted(fault)
        return done.returncode, done.stdout.decode("utf-8", "replace")


def _restrict(found: Sequence[str], principals: tuple[str, ...] | None) -> list[str]:
    """Identities to verify as: what was found, or those of policy that what was found covers."""
    if principals is None:
        return list(found)
    return [name for name in principals if any(fnmatchcase(name, glob) for glob in found)]


def _commit_id(raw: bytes) -> CommitId:
    return CommitId(hashlib.sha256(b"commit %d\0" % len(raw) + raw).hexdigest())


def _untrusted(fault: str, commit: CommitId | None = None) -> UntrustedSignatureError:
    return UntrustedSignatureError(
        f"the commit cannot be trusted: {fault}",
        hint="have it signed by an allowed signer, or look at [trust] of the host policy",
        commit=str(commit) if commit else None,
    )
