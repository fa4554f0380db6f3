"""Resolving a workspace that is not published yet under a host policy: for authors and CI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from yoi_bundles.content.check import check_files, raise_if_refused
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest
from yoi_bundles.resolve import resolve
from yoi_bundles.runtime.host.facts import observe_host
from yoi_bundles.runtime.host.packages import PackageInspector
from yoi_bundles.runtime.host.policy_file import load_host_policy
from yoi_bundles.runtime.host.secrets import SecretStore
from yoi_bundles.store import compute_digest
from yoi_bundles.wire.messages.workers import ResolveReport


def resolve_directory_files(
    files: Mapping[RelativePath, bytes],
    *,
    policy: Path,
    state_directory: Path,
    make_request: Callable[[BundleRef], CreateWorkerRequest],
) -> ResolveReport:
    """What a Worker would be made of if these files were published and synced here.

    Args:
        policy: Host policy file.
        state_directory: The Runtime's directory, which the policy must lie outside of.
        make_request: Makes the request for the bundle these files are.

    Raises:
        BundleError: The files are wrong, the policy is, or it refuses.
    """
    loaded = load_host_policy(policy, state_directory=state_directory)
    bundle = raise_if_refused(check_files(files, digest=compute_digest(files)))
    workspace = bundle.manifest.value.workspace.id
    facts = observe_host(
        loaded.policy, SecretStore(loaded.policy.secret), PackageInspector(), "embedded"
    )
    return ResolveReport.of(
        resolve(
            bundle,
            mode="synced",
            commit=None,
            request=make_request(BundleRef(workspace=workspace, digest=bundle.digest)),
            policy=loaded.policy,
            policy_digest=loaded.digest,
            facts=facts,
        )
    )
