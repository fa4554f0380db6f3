"""Acceptance: whether the host takes configuration from this bundle, or from none, at all.

Source: docs/policy.md, "[bundles]".
"""

from __future__ import annotations

from yoi_bundles.errors import (
    BundleRequiredError,
    DigestMismatchError,
    PolicyDeniedError,
    UnsupportedDeclarationError,
)
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.globs import has_match
from yoi_bundles.model.host_policy import HostFacts, HostPolicy
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Mode
from yoi_bundles.resolve.asks import AskSheet
from yoi_bundles.resolve.places import invalid_manifest, make_place


def verify_bundle(
    bundle: Bundle, *, mode: Mode, request: CreateWorkerRequest, policy: HostPolicy
) -> None:
    """Check that bundle, mode and request belong together and the host accepts the workspace.

    Args:
        bundle: The tree that was loaded for the request.
        mode: ``synced`` if the request names a bundle, else ``builtin``.
        request: What was asked for.
        policy: The host's rules; only ``[bundles]`` counts here.

    Raises:
        BundleRequiredError: The request names no bundle where the mode or the host needs one.
        DigestMismatchError: Another bundle was loaded than the one the request names.
        InvalidManifestError: The bundle says it is another workspace's than the request does.
        PolicyDeniedError: The host does not accept this workspace's bundles.
    """
    if mode == "builtin":
        if request.bundle is not None:
            raise DigestMismatchError(
                "the request names a bundle, the builtin profiles were loaded",
                expected=str(request.bundle.digest),
                actual=str(bundle.digest),
            )
        return
    if request.bundle is None:
        raise _bundle_required("synced mode needs a bundle in the request", "request")
    if request.bundle.digest != bundle.digest:
        raise DigestMismatchError(
            "another bundle was loaded than the request names",
            expected=str(request.bundle.digest),
            actual=str(bundle.digest),
        )
    # A workspace may not borrow the grants of another one by claiming its name.
    workspace = bundle.manifest.value.workspace.id
    if workspace != request.bundle.workspace:
        raise invalid_manifest(
            f"the bundle says it is of {workspace}, the request of {request.bundle.workspace}",
            make_place(bundle.manifest.source, ("workspace", "id")),
        )
    if not has_match(policy.bundles.workspaces, str(workspace)):
        raise PolicyDeniedError(
            f"this host does not accept bundles of the workspace {workspace}",
            hint=f'what would accept it: [bundles] workspaces = ["{workspace}"]',
            rule="bundles.workspaces",
            workspace=str(workspace),
        )


def verify_builtin_allowed(policy: HostPolicy, facts: HostFacts) -> None:
    """Check that the host lets Workers be made without a bundle.

    Raises:
        BundleRequiredError: It does not, for any request or for one over the network.
    """
    required_for = policy.bundles.required_for
    if "always" in required_for:
        raise _bundle_required("this host wants a bundle for every Worker", "bundles.required_for")
    if "remote" in required_for and facts.origin == "remote":
        raise _bundle_required(
            "this host wants a bundle for requests over the network", "bundles.required_for"
        )
    if not policy.bundles.builtin_fallback:
        raise _bundle_required(
            "this host makes no Worker from builtin profiles", "bundles.builtin_fallback"
        )


def verify_plugins_allowed(sheet: AskSheet, policy: HostPolicy) -> None:
    """Check that a builtin profile uses no plugin where the host wants a bundle for that.

    Raises:
        BundleRequiredError: It uses one, required or optional.
    """
    if "plugins" not in policy.bundles.required_for:
        return
    used: list[PowerRef] = [power for power in sheet.places if power.kind == "plugin"]
    if used:
        raise _bundle_required(
            f"this host wants a bundle for profiles with plugins ({min(used)})",
            "bundles.required_for",
        )


def verify_features(bundle: Bundle, facts: HostFacts) -> None:
    """Check that this Runtime supports every feature the manifest requires.

    Raises:
        UnsupportedDeclarationError: It does not; the error names file and line.
    """
    for index, feature in enumerate(bundle.manifest.value.requires):
        if feature not in facts.features:
            place = make_place(bundle.manifest.source, ("requires", index))
            raise UnsupportedDeclarationError(
                f"the bundle requires {feature}, which this Runtime does not support",
                hint="update the Runtime, or take the feature out of requires",
                file=str(place.file),
                line=place.line,
                feature=str(feature),
            )


def _bundle_required(message: str, rule: str) -> BundleRequiredError:
    return BundleRequiredError(
        message, hint="name a workspace and a digest in the request's bundle", rule=rule
    )
