"""Facts: what a resolution needs to know about this host, seen once and handed to pure code.

Source: docs/policy.md, "Facts of the host".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostFacts, HostPolicy
from yoi_bundles.model.ids import Name
from yoi_bundles.runtime.packages import PackageInspector, inspect_packages
from yoi_bundles.runtime.secrets import SecretStore
from yoi_bundles.runtime.trusted_files import is_directory


def observe_host(
    policy: HostPolicy,
    secrets: SecretStore,
    packages: PackageInspector | None = None,
    origin: Literal["embedded", "remote"] = "embedded",
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
    sources = secrets.list_sources()
    directories = [is_directory(Path(rule.path)) for rule in policy.mount]
    return HostFacts(
        present_secrets=_list_names([rule.name for rule in policy.secret], sources),
        present_mounts=_list_names([rule.name for rule in policy.mount], directories),
        absent_rules=_list_absent("secret", sources) | _list_absent("mount", directories),
        packages=inspect_packages(policy.plugin, packages),
        features=features,
        origin=origin,
    )


def _list_names(names: Sequence[Name], seen: Sequence[bool]) -> frozenset[Name]:
    return frozenset(name for name, is_there in zip(names, seen, strict=True) if is_there)


def _list_absent(section: str, seen: Sequence[bool]) -> frozenset[str]:
    return frozenset(f"{section}[{index}]" for index, is_there in enumerate(seen) if not is_there)
