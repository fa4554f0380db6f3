"""From a request to a Worker: find the bundle, resolve it under host policy, remember it."""

from __future__ import annotations

import re
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.check import check_files, raise_if_refused
from yoi_bundles.content.check_tree import load_bundle
from yoi_bundles.content.memory import MemoryTree
from yoi_bundles.errors import InvalidInputError, StoreCorruptError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.clock import Clock
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.ids import Digest, WorkerId, WorkspaceId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Mode, Resolution
from yoi_bundles.model.tree import TreeReader
from yoi_bundles.resolve import ResolutionCache
from yoi_bundles.runtime.held.bundles import HeldBundles
from yoi_bundles.runtime.held.catalog import Catalog
from yoi_bundles.runtime.held.trust import verify_fresh
from yoi_bundles.runtime.host.facts import HostObserver, Origin
from yoi_bundles.runtime.host.packages import PackageInspector, PluginRegistry
from yoi_bundles.runtime.host.policy_file import PolicyHolder
from yoi_bundles.runtime.host.secrets import SecretStore
from yoi_bundles.runtime.workers.answer_cache import AnswerCache, Circumstances
from yoi_bundles.runtime.workers.launch import LaunchPlan, prepare_launch
from yoi_bundles.store import compute_digest
from yoi_bundles.wire.messages.workers import CreatedWorker, ResolveReport, WorkerList, WorkerView

PAGE = 100
CACHED_BUNDLES = 64


class Workers:
    """Makes Workers on one Runtime.

    Args:
        clock: Now, with a time zone.
    """

    def __init__(
        self,
        held: HeldBundles,
        catalog: Catalog,
        policy: PolicyHolder,
        clock: Clock,
    ) -> None:
        self._held = held
        self._catalog = catalog
        self._policy = policy
        self._clock = clock
        self._observer = HostObserver(PackageInspector())
        self._bundles: LRUCache[Digest, Bundle] = LRUCache(CACHED_BUNDLES)
        self._resolutions = ResolutionCache()
        self._answers = AnswerCache()
        # The cache reorders itself also when it is read, and requests come in many threads.
        self._lock = Lock()
        files = load_builtin_files()
        digest = compute_digest(files)
        self._builtin_tree = MemoryTree(files, digest)
        self.builtin: Bundle = raise_if_refused(check_files(files, digest=digest))
        self.plugins = PluginRegistry()

    def resolve(
        self, request: CreateWorkerRequest, *, origin: Origin = "embedded"
    ) -> ResolveReport:
        """Dry run: what would be made, and why; nothing is kept.

        Raises:
            BundleError: Why it would be refused, with all refusals at once.
        """
        seen = self._look(request, origin)
        known = self._answers.find(request, seen)
        if known is None:
            known = ResolveReport.of(self._resolve(request, seen))
            self._answers.keep(request, seen, known)
        return known

    def _look(self, request: CreateWorkerRequest, origin: Origin) -> Circumstances:
        """All that counts beside the request: seen anew for each one.

        Raises:
            BundleError: The bundle may not be used.
        """
        # Taken once: a reload in between must not mix two policies in one resolution.
        loaded = self._policy.current
        revision = warning = None
        if request.bundle is not None:
            wanted = request.bundle
            revision = self._held.usable_revision(
                wanted.workspace, wanted.digest, wanted.commit, loaded.policy
            )
            warning = self._verify_fresh(wanted.workspace, loaded.policy)
        facts = self._observer.observe(loaded.policy, origin)
        return Circumstances(loaded, revision, facts, warning)

    def _resolve(self, request: CreateWorkerRequest, seen: Circumstances) -> Resolution:
        revision, bundle = seen.revision, self.builtin
        mode: Mode = "builtin"
        if revision is not None:
            mode, bundle = "synced", self._bundle(revision.workspace, revision.digest)
        resolution = self._resolutions.resolve(
            bundle,
            mode=mode,
            commit=None if revision is None else revision.commit,
            request=request,
            policy=seen.policy.policy,
            policy_digest=seen.policy.digest,
            facts=seen.facts,
        )
        if seen.warning is None:
            return resolution
        return replace(resolution, warnings=(*resolution.warnings, seen.warning))

    def _verify_fresh(self, workspace: WorkspaceId, policy: HostPolicy) -> str | None:
        """See `verify_fresh`; the catalog is asked only if the policy has a rule about it."""
        rules = policy.bundles
        if rules.stale_warn_seconds is None and rules.stale_refuse_seconds is None:
            return None
        last_contact, _ = self._catalog.contact(workspace)
        return verify_fresh(last_contact, self._clock(), rules)

    def _bundle(self, workspace: WorkspaceId, digest: Digest) -> Bundle:
        """The parsed bundle; whether the caller may use it has been decided before."""
        with self._lock:
            known = self._bundles.get(digest)
        if known is not None:
            return known
        loaded = self._load(workspace, digest)
        with self._lock:
            self._bundles[digest] = loaded
        return loaded

    def _load(self, workspace: WorkspaceId, digest: Digest) -> Bundle:
        known = self._held.checked.find_bundle(digest)
        if known is not None:
            return known
        try:
            return self._check(self._held.trees.get(workspace, digest), workspace)
        except StoreCorruptError:
            return self._check(self._held.trees.repair(workspace, digest), workspace)

    def _check(self, tree: TreeReader, workspace: WorkspaceId) -> Bundle:
        return load_bundle(tree, workspace=workspace, cache=self._held.checked)

    def create(self, request: CreateWorkerRequest, *, origin: Origin = "embedded") -> CreatedWorker:
        """Make a Worker; it is remembered durably when this returns.

        The same request under the same worker id gives the same Worker, whatever has changed
        since.

        Raises:
            RevisionConflictError: The worker id belongs to another request.
            BundleError: Why it was refused, with all refusals at once.
        """
        known = self._catalog.find_worker(request.worker_id, canonical_hash(request))
        if known is not None:
            return CreatedWorker(worker=known, is_new=False)
        resolution = self._resolve(request, self._look(request, origin))
        if request.bundle is not None:
            # The Worker's files are there before it is: a launch must not be the first to find out.
            self._held.trees.ensure(request.bundle.workspace, request.bundle.digest)
        view = WorkerView(
            worker_id=request.worker_id,
            created_at=self._clock(),
            mode=resolution.receipt.mode,
            profile=resolution.spec.profile,
            receipt=resolution.receipt,
            spec=resolution.spec,
            decisions=resolution.decisions,
            warnings=resolution.warnings,
        )
        kept, is_new = self._catalog.add_worker(view, lambda: self._verify_held(view))
        return CreatedWorker(worker=kept, is_new=is_new)

    def _verify_held(self, view: WorkerView) -> None:
        """A bundle may be dropped while a Worker is made from it: then there is no Worker."""
        if view.mode == "synced":
            self._held.revision(view.receipt.workspace, view.receipt.bundle, view.receipt.commit)

    def get(self, worker_id: WorkerId) -> WorkerView:
        """One Worker.

        Raises:
            BundleMissingError: There is none of this id.
        """
        return self._catalog.get_worker(worker_id)

    def list(self, *, after: str | None = None, limit: int = PAGE) -> WorkerList:
        """A page of Workers, oldest first.

        Args:
            after: ``next`` of the page before.

        Raises:
            InvalidInputError: ``after`` is no position.
        """
        start = 0 if after is None else _parse_position(after)
        rows = self._catalog.workers(after=start, limit=limit + 1)
        page = rows[:limit]
        return WorkerList(
            workers=tuple(view for _, view in page),
            next=str(page[-1][0]) if len(rows) > limit else None,
        )

    def plan_launch(self, worker_id: WorkerId) -> LaunchPlan:
        """Everything a launcher needs, real paths and secret handles included. Stays on the host.

        Raises:
            BundleMissingError: No such Worker, or its bundle is no longer held.
            PolicyDeniedError: The policy in force no longer grants what the spec carries.
            UntrustedSignatureError: It wants a signature that the Worker's revision lacks.
        """
        worker = self._catalog.get_worker(worker_id)
        policy = self._policy.current.policy
        return prepare_launch(
            worker.spec,
            policy=policy,
            secrets=SecretStore(policy.secret),
            tree=self._tree_of(worker, policy),
            registry=self.plugins,
        )

    def _tree_of(self, worker: WorkerView, policy: HostPolicy) -> TreeReader:
        if worker.mode == "builtin":
            return self._builtin_tree
        made = worker.receipt
        if policy.trust.signature_required:
            self._held.usable_revision(
                made.workspace, made.bundle, made.commit, policy, is_new=False
            )
        return self._held.trees.get(made.workspace, made.bundle)


def _parse_position(text: str) -> int:
    """A worker's number as `list` gave it out; more digits no database has."""
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise InvalidInputError("there is no such page", hint="use `next` of the page before")
    return int(text)
