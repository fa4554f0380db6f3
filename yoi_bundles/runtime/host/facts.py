"""Facts: what a resolution needs to know about this host, seen once and handed to pure code.

Source: docs/policy.md, "Facts of the host".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostFacts, HostPolicy
from yoi_bundles.model.ids import Name
from yoi_bundles.runtime.host.packages import (
    PackageFact,
    PackageInspector,
    PackageKey,
    inspect_packages,
)
from yoi_bundles.runtime.host.secrets import SecretStore
from yoi_bundles.runtime.host.trusted_files import is_directory

Origin: TypeAlias = Literal["embedded", "remote"]
"""Whether a request came from this process or over the network."""


class HostObserver:
    """`observe_host` again and again: what looks the same is the same object.

    Args:
        packages: Keeps hashes of package files from one look to the next.
    """

    def __init__(self, packages: PackageInspector) -> None:
        self._packages = packages
        self._last: dict[Origin, tuple[HostPolicy, SecretStore, _Seen, HostFacts]] = {}

    def observe(self, policy: HostPolicy, origin: Origin) -> HostFacts:
        """As `observe_host`, with the process's own environment."""
        last = self._last.get(origin)
        is_same = last is not None and last[0] is policy
        secrets = last[1] if last is not None and is_same else SecretStore(policy.secret)
        seen = _look(policy, secrets, self._packages, origin)
        if last is not None and is_same and last[2] == seen:
            return last[3]
        facts = _make_facts(policy, seen, RUNTIME_FEATURES)
        self._last[origin] = (policy, secrets, seen, facts)
        return facts


def observe_host(
    policy: HostPolicy,
    secrets: SecretStore,
    packages: PackageInspector | None = None,
    origin: Origin = "embedded",
    *,
    features: frozenset[Name] = RUNTIME_FEATURES,
) -> HostFacts:
    """Look at every source, directory and package that the policy names; no secret is read.

    Args:
        policy: The rules in force.
        secrets: The store over the rules of the same policy.
        packages: Keeps hashes of package files from one look to the next.
        origin: Whether the request came over the network.
        features: What this Runtime supports.
    """
    return _make_facts(policy, _look(policy, secrets, packages, origin), features)


class _Seen(NamedTuple):
    """What was looked at, in the order of the rules."""

    sources: tuple[bool, ...]
    directories: tuple[bool, ...]
    packages: Mapping[PackageKey, PackageFact]
    origin: Origin


def _look(
    policy: HostPolicy,
    secrets: SecretStore,
    packages: PackageInspector | None,
    origin: Origin,
) -> _Seen:
    return _Seen(
        secrets.list_sources(),
        tuple([is_directory(rule.path) for rule in policy.mount]),
        inspect_packages(policy.plugin, packages),
        origin,
    )


def _make_facts(policy: HostPolicy, seen: _Seen, features: frozenset[Name]) -> HostFacts:
    sources, directories = seen.sources, seen.directories
    return HostFacts(
        present_secrets=_list_names([rule.name for rule in policy.secret], sources),
        present_mounts=_list_names([rule.name for rule in policy.mount], directories),
        absent_rules=_list_absent("secret", sources) | _list_absent("mount", directories),
        packages=seen.packages,
        features=features,
        origin=seen.origin,
    )


def _list_names(names: Sequence[Name], seen: Sequence[bool]) -> frozenset[Name]:
    return frozenset(name for name, is_there in zip(names, seen, strict=True) if is_there)


def _list_absent(section: str, seen: Sequence[bool]) -> frozenset[str]:
    return frozenset(f"{section}[{index}]" for index, is_there in enumerate(seen) if not is_there)
