"""Resolution: bundle, selector, request and host policy to a spec, and why it is so.

Source: docs/policy.md, "How a Worker's powers are decided".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.host_policy import HostFacts, HostPolicy
from yoi_bundles.model.ids import CommitId, ContentHash, Name
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Decision, Mode, Receipt, Resolution, ResolvedWorkerSpec
from yoi_bundles.resolve.acceptance import (
    verify_builtin_allowed,
    verify_bundle,
    verify_features,
    verify_plugins_allowed,
)
from yoi_bundles.resolve.asks import AskSheet, collect_asks
from yoi_bundles.resolve.assembly import Profiled, build_spec
from yoi_bundles.resolve.decisions import Rulings, rule_powers, verify_required
from yoi_bundles.resolve.matching import Subject
from yoi_bundles.resolve.profiles import MergedProfile, merge_profile
from yoi_bundles.resolve.selectors import parse_selector, select_profile
from yoi_bundles.resolve.verdicts import HostView, has_mount_directory, has_secret_source


@dataclass(frozen=True, slots=True)
class Prepared:
    """A profile of a bundle, whole, with all it asks for; the same for every request and host."""

    merged: MergedProfile
    sheet: AskSheet


Preparer: TypeAlias = Callable[[Bundle, Name], Prepared]


def prepare_profile(bundle: Bundle, name: Name) -> Prepared:
    """Merge a profile and list what it asks for.

    Raises:
        InvalidManifestError: The profile does not come out whole after inheritance.
    """
    merged = merge_profile(bundle, name)
    return Prepared(merged, collect_asks(bundle, merged))


def fingerprint_declarations(bundle: Bundle) -> bytes:
    """Stands for all that `prepare_profile` reads of a bundle; prompts and their like do not count.

    A declaration is known by its blob id and its path, which gives it its name.
    """
    tables = (bundle.profiles, bundle.tools, bundle.plugins, bundle.providers, bundle.grants)
    sources = [declared.source for table in tables for declared in table.values()]
    return sha256("\n".join([f"{it.blob} {it.file}" for it in sources]).encode()).digest()


def resolve(
    bundle: Bundle,
    *,
    mode: Mode,
    commit: CommitId | None,
    request: CreateWorkerRequest,
    policy: HostPolicy,
    policy_digest: ContentHash,
    facts: HostFacts,
    prepare: Preparer = prepare_profile,
) -> Resolution:
    """Decide what Worker a request gives on this host; equal inputs give an equal spec digest.

    Args:
        bundle: The parsed and closed tree: the one the request names, or the builtin one.
        mode: ``synced`` if the request names a bundle, else ``builtin``.
        commit: The revision's commit, for the receipt.
        request: Selector, intent and the powers it covers.
        policy: The host's rules; they only ever narrow.
        policy_digest: Hash of the policy file's bytes.
        facts: What the shell saw on this host.
        prepare: Gives a profile of the bundle; `ResolutionCache` passes one that remembers.

    Raises:
        InvalidProfileSelectorError: The selector picks no profile of this bundle.
        BundleRequiredError: The host wants a bundle and the request names none.
        PolicyDeniedError: The workspace is not accepted, or required powers are refused; every
            refusal is in ``refusals``.
        UnsupportedDeclarationError: The bundle requires a feature this Runtime does not have.
        InvalidManifestError: The profile does not come out whole after inheritance.
        DigestMismatchError: The bundle is not the one the request names.
    """
    name = _select(bundle, mode, request, policy, facts)
    # (2) The profile, whole, and everything it asks for.
    prepared = prepare(bundle, name)
    merged, sheet = prepared.merged, prepared.sheet
    if mode == "builtin":
        verify_plugins_allowed(sheet, policy)
    # (3) The host decides; a refused required power ends it.
    subject = Subject(bundle.manifest.value.workspace.id, merged.name)
    view = HostView(policy, facts, subject)
    rulings = rule_powers(bundle, sheet, request, view)
    verify_required(rulings)
    # (4) What was granted becomes the spec.
    spec = build_spec(
        Profiled(bundle, merged),
        mode=mode,
        request=request,
        rulings=rulings,
        host_limits=policy.limits.worker,
    )
    receipt = _make_receipt(spec, request, commit, policy_digest)
    return Resolution(
        spec=spec,
        spec_digest=receipt.spec_digest,
        decisions=rulings.decisions,
        explanation=merged.origins,
        warnings=_list_warnings(sheet, rulings, facts),
        receipt=receipt,
    )


def _select(
    bundle: Bundle, mode: Mode, request: CreateWorkerRequest, policy: HostPolicy, facts: HostFacts
) -> Name:
    """(1) The request is well formed, and the host takes this bundle, or none, at all."""
    selector = parse_selector(request.selector)
    verify_bundle(bundle, mode=mode, request=request, policy=policy)
    if mode == "builtin":
        verify_builtin_allowed(policy, facts)
    name = select_profile(bundle, selector, mode)
    verify_features(bundle, facts)
    return name


def _make_receipt(
    spec: ResolvedWorkerSpec,
    request: CreateWorkerRequest,
    commit: CommitId | None,
    policy_digest: ContentHash,
) -> Receipt:
    return Receipt(
        mode=spec.mode,
        workspace=spec.workspace,
        bundle=spec.bundle,
        commit=commit,
        policy_digest=policy_digest,
        request_digest=canonical_hash(request),
        spec_digest=canonical_hash(spec),
    )


def _list_warnings(sheet: AskSheet, rulings: Rulings, facts: HostFacts) -> tuple[str, ...]:
    """What an operator should know and the spec does not say."""
    dropped = [ref for ref in sheet.fallbacks if ref not in rulings.fallbacks]
    warnings = [
        f"the fallback model {ref} was dropped: a power it needs is refused" for ref in dropped
    ]
    warnings += [
        f"{decision.power} is granted by {decision.rule}, but its source is missing on this host"
        for decision in rulings.decisions
        if _is_source_missing(decision, facts)
    ]
    return tuple(warnings)


def _is_source_missing(decision: Decision, facts: HostFacts) -> bool:
    if decision.outcome == "refused":
        return False
    if decision.power.kind == "secret":
        return not has_secret_source(facts, decision.power.name, decision.rule)
    if decision.power.kind == "mount":
        return not has_mount_directory(facts, decision.power.name, decision.rule)
    return False
