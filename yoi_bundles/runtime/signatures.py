"""Signatures of commits, verified as git verifies them: by ``ssh-keygen``, in two steps.

Whatever is not understood (no program, no time left, an unknown answer) counts as a bad signature.

Source: git's ``verify_ssh_signed_buffer``; ssh-keygen(1), "ALLOWED SIGNERS"; OpenSSH
PROTOCOL.sshsig.
"""

from __future__ import annotations

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
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.revision import ReceivedCommit
from yoi_bundles.runtime.trusted_files import UntrustedFileError, open_trusted, read_capped

SIGNERS_BYTES = 1024 * 1024
"""A longer file of allowed signers is not read."""

_HEADER = b"gpgsig-sha256 "
_COMMITTER = re.compile(rb"^committer [^\n]*> ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)
_NAMESPACE = "git"
_Key: TypeAlias = tuple[CommitId, str, tuple[str, ...] | None]


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


class SshSignatureVerifier:
    """Verifies commits against a file of allowed signers; verdicts are kept.

    Args:
        allowed_signers: The file; it is read at every call, and must be the operator's or root's.
        program: ``ssh-keygen``, or where to find it.
        timeout_seconds: How long one call of the program may take.
        cache_entries: How many verdicts are kept, by commit, signers file and principals.
    """

    def __init__(
        self,
        allowed_signers: Path,
        *,
        program: str = "ssh-keygen",
        timeout_seconds: float = 10.0,
        cache_entries: int = 4096,
    ) -> None:
        self._allowed_signers = allowed_signers
        self._program = program
        self._timeout_seconds = timeout_seconds
        self._verdicts: LRUCache[_Key, str | None] = LRUCache(cache_entries)
        self._lock = Lock()

    def __call__(self, commit: ReceivedCommit, principals: tuple[str, ...] | None) -> None:
        """Return if the commit is signed by an allowed signer.

        Args:
            commit: The commit with its exact bytes.
            principals: Who may sign; None: any allowed signer.

        Raises:
            UntrustedSignatureError: The signature is missing, bad, by somebody else, or could not
                be verified.
        """
        signers = self._read_signers()
        named = commit.revision.commit
        if _commit_id(commit.raw) != named:
            raise _untrusted("its bytes are not those its id names", named)
        key = (named, hashlib.sha256(signers).hexdigest(), principals)
        with self._lock:
            is_known = key in self._verdicts
            fault = self._verdicts.get(key)
        if not is_known:
            fault = self._find_fault(split_signature(commit.raw), signers, principals)
            with self._lock:
                self._verdicts[key] = fault
        if fault is not None:
            raise _untrusted(fault, named)

    def _read_signers(self) -> bytes:
        fault, data = None, b""
        try:
            data = read_capped(open_trusted(self._allowed_signers), SIGNERS_BYTES)
        except UntrustedFileError as error:
            fault = str(error)
        if fault is not None:
            raise UntrustedSignatureError(
                f"the file of allowed signers cannot be used: {fault}",
                hint="look at allowed_signers_file in [trust] of the host policy",
            )
        return data

    def _find_fault(
        self, commit: SignedCommit, signers: bytes, principals: tuple[str, ...] | None
    ) -> str | None:
        """Why the signature is not good, or None."""
        with tempfile.TemporaryDirectory(prefix="yoi-bundles-") as directory:
            # The copy is what was hashed; the original may change in the meantime.
            signers_file = Path(directory, "signers")
            signature_file = Path(directory, "signature")
            signers_file.write_bytes(signers)
            signature_file.write_bytes(commit.signature)
            call = _Call(self._program, self._timeout_seconds, signers_file, signature_file)
            found = call.find_principals(commit)
            if not found:
                return "no allowed signer made its signature"
            candidates = _restrict(found, principals)
            if not candidates:
                return "its signer may not sign for this workspace"
            if not any(call.is_good(commit, identity) for identity in candidates):
                return "its signature is not good"
        return None


@dataclass(frozen=True, slots=True)
class _Call:
    """``ssh-keygen -Y`` over one signature."""

    program: str
    timeout_seconds: float
    signers_file: Path
    signature_file: Path

    def find_principals(self, commit: SignedCommit) -> list[str]:
        """Step 1: whose key the signature is of; patterns as they stand in the file."""
        status, output = self._run(["find-principals"], commit, b"")
        return [line.strip() for line in output.splitlines() if line.strip()] if status == 0 else []

    def is_good(self, commit: SignedCommit, identity: str) -> bool:
        """Step 2: whether it is this signer's, over these bytes, for git, valid at that time."""
        arguments = ["verify", "-n", _NAMESPACE, "-I", identity]
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
                    str(self.signers_file),
                    "-s",
                    str(self.signature_file),
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
