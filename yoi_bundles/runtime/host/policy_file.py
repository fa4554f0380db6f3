"""The host policy file: read once, believed only if nobody but the operator can have written it.

Source: docs/policy.md, "The file".
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from yoi_bundles.errors import InvalidHostPolicyError
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.ids import ContentHash
from yoi_bundles.runtime.host.policy_text import parse_host_policy, receive_limits
from yoi_bundles.runtime.host.trusted_files import UntrustedFileError, open_trusted, read_capped

__all__ = [
    "POLICY_BYTES",
    "LoadedPolicy",
    "PolicyHolder",
    "load_host_policy",
    "parse_host_policy",
    "receive_limits",
]

POLICY_BYTES = 1024 * 1024
"""A longer policy file is not read."""


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A host policy as it was read.

    Args:
        policy: The rules.
        digest: SHA-256 of the file's bytes, what ``sha256sum`` prints.
        path: Where it was read; stays on this host.
    """

    policy: HostPolicy = field(repr=False)
    digest: ContentHash
    path: Path = field(repr=False)


def load_host_policy(path: Path, *, state_directory: Path) -> LoadedPolicy:
    """Read a host policy that only its operator can have written.

    Args:
        path: The file; a symbolic link at its end is refused.
        state_directory: Where this Runtime keeps what it received; the file must lie outside.

    Raises:
        InvalidHostPolicyError: The file is unsafe, unreadable, longer than `POLICY_BYTES` or
            wrong; ``problems`` lists line, key and message of each mistake. No value of the file
            and no directory is in it.
    """
    data = _read_safely(path, state_directory)
    policy = parse_host_policy(data, file=path.name)
    _verify_not_mounted(policy, path)
    digest = ContentHash("sha256:" + hashlib.sha256(data).hexdigest())
    return LoadedPolicy(policy, digest, path)


class PolicyHolder:
    """The policy in force, and how the last attempt to replace it went.

    Args:
        path: The policy file.
        state_directory: As for `load_host_policy`.

    Raises:
        InvalidHostPolicyError: The first reading fails: a Runtime does not start without rules.
    """

    def __init__(self, path: Path, *, state_directory: Path) -> None:
        self._path = path
        self._state_directory = state_directory
        # Reentrant: a second SIGHUP may come while the first one's handler is at work.
        self._lock = threading.RLock()
        self._current = load_host_policy(path, state_directory=state_directory)
        self._last_error: InvalidHostPolicyError | None = None

    @property
    def current(self) -> LoadedPolicy:
        """The rules in force; take it once per request."""
        return self._current

    @property
    def last_error(self) -> InvalidHostPolicyError | None:
        """Why the last reload left the old rules in force; None if it did not."""
        return self._last_error

    def reload(self) -> LoadedPolicy:
        """Read the file again; a broken one leaves the old rules in force.

        Returns:
            The rules in force afterwards; `last_error` tells which they are.
        """
        with self._lock:
            try:
                self._current = load_host_policy(self._path, state_directory=self._state_directory)
                self._last_error = None
            except InvalidHostPolicyError as error:
                self._last_error = error
            return self._current


def _read_safely(path: Path, state_directory: Path) -> bytes:
    """The file's bytes, if file, directories and place are safe."""
    fault, data = None, b""
    try:
        data = read_capped(open_trusted(path), POLICY_BYTES)
    except UntrustedFileError as error:
        fault = str(error)
    fault = fault or _find_place_fault(path, state_directory)
    if fault is not None:
        raise InvalidHostPolicyError(
            f"the host policy {path.name} is not safe: {fault}",
            hint="a file of the operator's or root's, mode 0644 or less, in directories only they "
            "may write to, outside the state directory and every workspace",
            file=path.name,
        )
    return data


def _find_place_fault(path: Path, state_directory: Path) -> str | None:
    real = _real(path)
    if real.is_relative_to(_real(state_directory)):
        return "it lies in the state directory"
    for parent in real.parents:
        if parent.name == ".git" or _is_bare_repository(parent):
            return "it lies in a git repository"
        if (parent / "bundle.toml").is_file():
            return "it lies in a workspace, and would be published with it"
    return None


def _real(path: Path) -> Path:
    """The path without links, as far as there is one; unlike `Path.resolve` it never raises."""
    return Path(os.path.realpath(path))


def _is_bare_repository(directory: Path) -> bool:
    return (
        (directory / "HEAD").is_file()
        and (directory / "objects").is_dir()
        and (directory / "refs").is_dir()
    )


def _verify_not_mounted(policy: HostPolicy, path: Path) -> None:
    """Check that no Worker is given the policy itself to write."""
    real = _real(path)
    for index, rule in enumerate(policy.mount):
        if rule.mode == "rw" and real.is_relative_to(_real(Path(rule.path))):
            raise InvalidHostPolicyError(
                f"mount[{index}] lets Workers write the directory of {path.name} itself",
                hint="keep the policy outside everything that is mounted for writing",
                file=path.name,
                rule=f"mount[{index}]",
            )
