"""Plugin packages on this host: what they hash to, and the only way to register a surface.

Source: docs/policy.md, "[[plugin]]".
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from yoi_bundles.errors import PolicyDeniedError
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.host_policy import HostPolicy, PluginRule
from yoi_bundles.model.ids import ContentHash, Name
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.spec import ResolvedWorkerSpec, SpecPlugin
from yoi_bundles.model.texts import Surface
from yoi_bundles.resolve.matching import Subject, find_plugin_rule
from yoi_bundles.resolve.verdicts import is_permitted
from yoi_bundles.runtime.host.trusted_files import UntrustedFileError, open_trusted

PackageKey: TypeAlias = tuple[str, str]
"""Package and version."""

PackageFact: TypeAlias = tuple[ContentHash, int]
"""Hash and size in bytes of a package file."""

_CHUNK_BYTES = 1024 * 1024
_FileState: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class RegisteredPlugin:
    """A plugin of one Worker after its package was verified.

    Args:
        path: The package file; stays on this host.
    """

    name: Name
    package: str
    version: str
    digest: ContentHash
    surfaces: tuple[Surface, ...]
    permissions: tuple[PowerRef, ...]
    path: Path = field(repr=False)


class PackageInspector:
    """Hashes package files, each once as long as its size, time and inode stay the same."""

    def __init__(self) -> None:
        self._known: dict[_FileState, ContentHash] = {}
        self._lock = threading.Lock()

    def inspect(self, rules: Sequence[PluginRule]) -> Mapping[PackageKey, PackageFact]:
        """What the package files of these rules are; a missing or unsafe file is left out.

        Of two rules for one version, the file that is the pinned one counts.
        """
        seen: dict[PackageKey, PackageFact] = {}
        for rule in rules:
            fact = self._find_fact(Path(rule.path))
            key = (rule.package, rule.version)
            if fact is not None and (key not in seen or fact[0] == rule.digest):
                seen[key] = fact
        return seen

    def _find_fact(self, path: Path) -> PackageFact | None:
        try:
            descriptor = open_trusted(path)
        except UntrustedFileError:
            return None
        try:
            status = os.fstat(descriptor)
            state = (
                str(path),
                status.st_size,
                status.st_mtime_ns,
                status.st_ino,
                status.st_dev,
            )
            digest = self._known.get(state) or hash_file(descriptor)[0]
        except OSError:
            return None
        finally:
            os.close(descriptor)
        with self._lock:
            self._known = {known: v for known, v in self._known.items() if known[0] != str(path)}
            self._known[state] = digest
        return digest, status.st_size


def inspect_packages(
    rules: Sequence[PluginRule], inspector: PackageInspector | None = None
) -> Mapping[PackageKey, PackageFact]:
    """(package, version) → (hash, size) of the package files on this host, hashed streaming.

    Args:
        rules: The ``[[plugin]]`` rules.
        inspector: Keeps what was hashed before; every file is hashed again without one.
    """
    return (inspector or PackageInspector()).inspect(rules)


def hash_file(descriptor: int) -> PackageFact:
    """Hash and size of an open file, from where it stands to its end.

    Raises:
        OSError: Reading failed.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return ContentHash("sha256:" + digest.hexdigest()), size


def verify_package(plugin: SpecPlugin, rule: PluginRule) -> None:
    """Check that the package file is, byte for byte, what spec and rule pin.

    Every byte is read again: what an inspector remembers does not count here.

    Raises:
        PolicyDeniedError: The file is missing, could have been written by others, or is another
            one; the error has no path.
    """
    fault = None
    fact: PackageFact | None = None
    try:
        descriptor = open_trusted(Path(rule.path))
    except UntrustedFileError as error:
        fault = str(error)
    else:
        try:
            fact = hash_file(descriptor)
        except OSError:
            fault = "it cannot be read"
        finally:
            os.close(descriptor)
    if fact is not None and fact != (plugin.digest, plugin.size_bytes):
        fault = "it is not the one that is pinned"
    if fault is None and rule.digest != plugin.digest:
        fault = "the host policy pins another one"
    if fault is not None:
        raise _denied(plugin, f"the package of plugin:{plugin.name} is refused: {fault}")


class PluginRegistry:
    """Which plugin surfaces Workers may use; `register` is the only way in."""

    def __init__(self) -> None:
        self._registered: dict[ContentHash, tuple[RegisteredPlugin, ...]] = {}

    def register(
        self, spec: ResolvedWorkerSpec, policy: HostPolicy
    ) -> tuple[RegisteredPlugin, ...]:
        """Register the surfaces of a spec, all or none, after verifying every package again.

        Args:
            spec: Only its plugins and their surfaces are registered.
            policy: The rules in force now, which may be stricter than those of the resolution.

        Raises:
            PolicyDeniedError: A package is not the pinned one, or the policy in force does not
                grant what the spec carries; nothing is registered.
        """
        subject = Subject(spec.workspace, spec.profile)
        verified = tuple(_verify_plugin(plugin, policy, subject) for plugin in spec.plugins)
        if verified:
            self._registered[canonical_hash(spec)] = verified
        return verified

    def find_plugins(self, spec_digest: ContentHash) -> tuple[RegisteredPlugin, ...]:
        """What is registered for the Workers of a spec."""
        return self._registered.get(spec_digest, ())

    def forget(self, spec_digest: ContentHash) -> None:
        """Take back what was registered for a spec; it is no error if nothing was."""
        self._registered.pop(spec_digest, None)


def _verify_plugin(plugin: SpecPlugin, policy: HostPolicy, subject: Subject) -> RegisteredPlugin:
    found = find_plugin_rule(policy.plugin, plugin.package, plugin.version, plugin.digest, subject)
    if found is None:
        raise _denied(plugin, f"no [[plugin]] rule in force pins plugin:{plugin.name}")
    rule = found[1]
    if not set(plugin.surfaces) <= set(rule.surfaces):
        raise _denied(plugin, f"the policy in force allows fewer surfaces of plugin:{plugin.name}")
    if not all(is_permitted(rule, str(power)) for power in plugin.permissions):
        raise _denied(plugin, f"the policy in force permits plugin:{plugin.name} fewer powers")
    verify_package(plugin, rule)
    return RegisteredPlugin(
        name=plugin.name,
        package=plugin.package,
        version=plugin.version,
        digest=plugin.digest,
        surfaces=plugin.surfaces,
        permissions=plugin.permissions,
        path=Path(rule.path),
    )


def _denied(plugin: SpecPlugin, message: str) -> PolicyDeniedError:
    return PolicyDeniedError(
        message,
        hint="resolve again under the policy in force, and look at the package on this host",
        power=f"plugin:{plugin.name}",
        expected=str(plugin.digest),
    )
