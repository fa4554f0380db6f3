"""Resolutions that were made before: equal inputs give equal results, so they can be kept.

Source: docs/adr/0008-spec-determinism.md.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TypeAlias

from cachetools import LRUCache

from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.host_policy import HostFacts, HostPolicy
from yoi_bundles.model.ids import CommitId, ContentHash, Digest, Name, WorkerId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Mode, Resolution
from yoi_bundles.resolve.resolution import (
    Prepared,
    fingerprint_declarations,
    prepare_profile,
    resolve,
)

_Key: TypeAlias = tuple[object, ...]


class ResolutionCache:
    """`resolve` with a memory; safe to use from several threads. Refusals are not kept.

    Args:
        resolutions: How many results are kept.
        profiles: How many prepared profiles are kept. Bundles that declare the same share them:
            most revisions change a prompt.
    """

    def __init__(self, *, resolutions: int = 1024, profiles: int = 256) -> None:
        self._resolutions: LRUCache[_Key, tuple[WorkerId, Resolution]] = LRUCache(resolutions)
        self._profiles: LRUCache[tuple[bytes, Name], Prepared] = LRUCache(profiles)
        self._fingerprints: LRUCache[Digest, bytes] = LRUCache(profiles)
        self._lock = Lock()

    def resolve(
        self,
        bundle: Bundle,
        *,
        mode: Mode,
        commit: CommitId | None,
        request: CreateWorkerRequest,
        policy: HostPolicy,
        policy_digest: ContentHash,
        facts: HostFacts,
    ) -> Resolution:
        """As `yoi_bundles.resolve.resolve`, which is called at most once for equal inputs.

        A policy is known by its digest, a bundle by its own; the worker id counts in the receipt
        alone.

        Raises:
            BundleError: Whatever `yoi_bundles.resolve.resolve` raises.
        """
        asked = request.model_dump_json(exclude={"worker_id"})
        key = (bundle.digest, mode, commit, policy_digest, asked, _facts_key(facts))
        with self._lock:
            known = self._resolutions.get(key)
        if known is not None:
            worker_id, resolution = known
            return resolution if worker_id == request.worker_id else _rename(resolution, request)
        resolution = resolve(
            bundle,
            mode=mode,
            commit=commit,
            request=request,
            policy=policy,
            policy_digest=policy_digest,
            facts=facts,
            prepare=self._prepare,
        )
        with self._lock:
            self._resolutions[key] = (request.worker_id, resolution)
        return resolution

    def _prepare(self, bundle: Bundle, name: Name) -> Prepared:
        with self._lock:
            shared = self._fingerprints.get(bundle.digest)
        shared = shared or fingerprint_declarations(bundle)
        with self._lock:
            self._fingerprints[bundle.digest] = shared
            prepared = self._profiles.get((shared, name))
        if prepared is None:
            prepared = prepare_profile(bundle, name)
            with self._lock:
                self._profiles[shared, name] = prepared
        return prepared


def _facts_key(facts: HostFacts) -> _Key:
    return (
        facts.present_secrets,
        facts.present_mounts,
        facts.absent_rules,
        frozenset(facts.packages.items()),
        facts.features,
        facts.origin,
    )


def _rename(resolution: Resolution, request: CreateWorkerRequest) -> Resolution:
    """The same resolution with the receipt of another worker id."""
    receipt = resolution.receipt.model_copy(update={"request_digest": canonical_hash(request)})
    return replace(resolution, receipt=receipt)
