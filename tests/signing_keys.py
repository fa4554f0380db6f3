"""Real SSH keys for tests of signatures, made by the real ``ssh-keygen``."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from yoi_bundles.author.signing import SshCommitSigner

needs_ssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None or shutil.which("git") is None,
    reason="needs ssh-keygen and git",
)
DEV = "dev@example.com"


def run(*command: object, cwd: Path | None = None, data: bytes | None = None) -> bytes:
    """Output of a command that must succeed, without anybody's configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        input=data,
        env=environment,
        capture_output=True,
        check=True,
    )
    return done.stdout


class Keys:
    """Keys by name, made when first asked for, and a file of allowed signers.

    Args:
        directory: Where they are kept.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.signers = directory / "allowed_signers"

    def private(self, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        path = self.directory / name
        if not path.exists():
            run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", path)
        return path

    def public_file(self, name: str) -> Path:
        return self.private(name).with_name(f"{name}.pub")

    def public(self, name: str) -> str:
        """Type and key, without the comment."""
        return " ".join(self.public_file(name).read_text().split()[:2])

    def signer(self, name: str, **options: object) -> SshCommitSigner:
        return SshCommitSigner(self.private(name), **options)  # type: ignore[arg-type]

    def allow(self, *lines: str) -> Path:
        """Write the file of allowed signers; ``{name}`` in a line is a public key."""
        names = [one.name for one in self.directory.glob("*.pub")]
        public = {
            name.removesuffix(".pub"): self.public(name.removesuffix(".pub")) for name in names
        }
        self.signers.write_text("".join(f"{line.format(**public)}\n" for line in lines))
        self.signers.chmod(0o644)
        return self.signers

    def program(self, body: str, name: str = "ssh-keygen") -> str:
        """A program that does what a script says; its calls are counted in ``calls``."""
        path = self.directory / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$*" >> {self.directory}/calls\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    @property
    def calls(self) -> list[str]:
        file = self.directory / "calls"
        return file.read_text().splitlines() if file.exists() else []
