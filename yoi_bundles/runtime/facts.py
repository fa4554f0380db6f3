"""Facts: what a resolution needs to know about this host, seen once and handed to pure code.

Source: docs/policy.md, "Facts of the host".
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostFacts, HostPolicy
from yoi_bundles.model.ids import Name
from yoi_bundles.runtime.packages import PackageInspector, inspect_packages
from yoi_bundles.runtime.secrets import SecretStore


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
        secrets: The store over the same rules.
        packages: Keeps hashes of package files from one look to the next.
        origin: Whether the request came over the network.
        features: What this Runtime supports.
    """
    directories = [Path(rule.path).is_dir() for rule in policy.mount]
    absent_mounts = {f"mount[{index}]" for index, seen in enumerate(directories) if not seen}
    return HostFacts(
        present_secrets=secrets.find_present(),
        present_mounts=frozenset(
            rule.name for rule, seen in zip(policy.mount, directories, strict=True) if seen
        ),
        absent_rules=secrets.find_absent() | absent_mounts,
        packages=inspect_packages(policy.plugin, packages),
        features=features,
        origin=origin,
    )
