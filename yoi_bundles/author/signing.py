"""Signs commits with an SSH key, as git signs them: by ``ssh-keygen``, for the namespace ``git``.

Whatever goes wrong (no program, no key, no answer in time, an answer that is no signature) is an
error: a revision that was to be signed is never published without its signature.

Source: git's ``sign_buffer_ssh``; ssh-keygen(1), "-Y sign"; OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yoi_bundles.errors import InvalidInputError

AGENT = "agent"
"""In place of a key's file: the key that ``ssh-agent`` holds."""

_NAMESPACE = "git"
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_SIGNATURE_BYTES = 16 * 1024
_ASKING = ("DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE")


@dataclass(frozen=True, slots=True)
class SshCommitSigner:
    """Signs a commit's bytes with one key; it is a `yoi_bundles.model.revision.CommitSigner`.

    Args:
        key: A private key's file; a public key's file, whose private key the agent holds or which
            lies beside it; or `AGENT` for the one key that the agent holds, or git's
            ``user.signingKey`` if it holds several.
        is_interactive: Whether a passphrase, a PIN or a touch may be asked for at the terminal.
        program: ``ssh-keygen``, or where to find it.
        agent_program: ``ssh-add``, or where to find it.
        timeout_seconds: How long one call of a program may take.
    """

    key: Path | str
    is_interactive: bool = False
    program: str = "ssh-keygen"
    agent_program: str = "ssh-add"
    timeout_seconds: float = 60.0

    def __call__(self, payload: bytes) -> bytes:
        """The armoured signature of a commit's bytes, verified to be one.

        Raises:
            InvalidInputError: The key cannot be used, or ``ssh-keygen`` is missing, takes too long
                or gives no signature of these bytes.
        """
        fault = None
        try:
            return self._sign(payload)
        except OSError as error:
            fault = errno.errorcode.get(error.errno or 0, "unknown error")
        # Raised outside the handler: the system's own error carries a path.
        raise InvalidInputError(f"there is no place to sign in ({fault})")

    def _sign(self, payload: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="yoi-bundles-") as directory:
            options = ["-f", str(self._key_file(Path(directory)))]
            if self.key == AGENT:
                options.append("-U")
            signed = self._run(self.program, ["-Y", "sign", "-n", _NAMESPACE, *options], payload)
            signature = signed.stdout
            if signed.returncode != 0:
                raise self._refused()
            if not (
                signature.startswith(_BEGIN)
                and signature.endswith(_END)
                and len(signature) <= _SIGNATURE_BYTES
            ):
                raise InvalidInputError("what ssh-keygen made is no signature")
            self._verify(signature, payload, Path(directory, "signature"))
        return signature

    def _verify(self, signature: bytes, payload: bytes, file: Path) -> None:
        """A history with one bad signature is refused for ever: so look before it is made."""
        file.write_bytes(signature)
        arguments = ["-Y", "check-novalidate", "-n", _NAMESPACE, "-s", str(file)]
        if self._run(self.program, arguments, payload).returncode != 0:
            raise InvalidInputError("the signature that ssh-keygen made does not verify")

    def _key_file(self, directory: Path) -> Path:
        if self.key != AGENT:
            if not Path(self.key).is_file():
                raise InvalidInputError(
                    "there is no such signing key",
                    hint=f"name a key's file, or `{AGENT}` for the key of ssh-agent",
                )
            return Path(self.key)
        file = directory / "key.pub"
        file.write_bytes(self._choose_of_agent() + b"\n")
        return file

    def _choose_of_agent(self) -> bytes:
        """The public key to sign with, of those that the agent holds."""
        listed = self._run(self.agent_program, ["-L"], b"")
        keys = [line for line in listed.stdout.splitlines() if line.strip()]
        if listed.returncode != 0 or not keys:
            raise InvalidInputError(
                "ssh-agent holds no key, or there is none",
                hint="start one and `ssh-add` the key, or name the key's file",
            )
        if len(keys) == 1:
            return keys[0]
        wanted = _blob(self._configured())
        chosen = [line for line in keys if _blob(line) == wanted is not None]
        if not chosen:
            raise InvalidInputError(
                f"ssh-agent holds {len(keys)} keys",
                hint="name the file of a public key, or set git's user.signingKey to one of them",
            )
        return chosen[0]

    def _configured(self) -> bytes:
        """Git's ``user.signingKey`` as a public key; empty if there is none."""
        try:
            found = self._run("git", ["config", "user.signingKey"], b"").stdout.strip()
        except InvalidInputError:
            return b""
        if found.startswith((b"key::", b"ssh-", b"ecdsa-", b"sk-")):
            return found.removeprefix(b"key::")
        file = Path(os.path.expanduser(os.fsdecode(found)))  # noqa: PTH111 - no such user is fine
        try:
            text = file.with_name(file.name.removesuffix(".pub") + ".pub").read_bytes()
        except (OSError, ValueError):
            return b""
        return text[:_SIGNATURE_BYTES]

    def _run(
        self, program: str, arguments: Sequence[str], data: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        hidden = () if self.is_interactive else _ASKING
        environment = {name: text for name, text in os.environ.items() if name not in hidden}
        if not self.is_interactive:
            environment["SSH_ASKPASS_REQUIRE"] = "never"
        fault = None
        try:
            return subprocess.run(
                [program, *arguments],
                input=data,
                capture_output=True,
                timeout=self.timeout_seconds,
                check=False,
                env=environment | {"LC_ALL": "C"},
                # Without a session's terminal there is nobody to ask for a passphrase.
                start_new_session=not self.is_interactive,
            )
        except subprocess.TimeoutExpired:
            fault = "took too long"
        except (OSError, ValueError):
            fault = "cannot be started"
        raise InvalidInputError(
            f"{Path(program).name} {fault}", hint="signing needs OpenSSH, version 8.2 or newer"
        )

    def _refused(self) -> InvalidInputError:
        hint = "is it an SSH key, and readable by its owner alone?"
        if not self.is_interactive:
            hint = (
                "a key with a passphrase is not asked for it here: `ssh-add` it, and sign with its "
                f"public key or with `{AGENT}`"
            )
        return InvalidInputError("ssh-keygen could not sign with the key", hint=hint)


def _blob(line: bytes) -> bytes | None:
    """The key of a line ``type key comment``."""
    words = line.split()
    return words[1] if len(words) > 1 else None
