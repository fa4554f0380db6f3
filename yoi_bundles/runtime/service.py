"""The Runtime as a library: embedded in a process, or behind the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles.errors import BundleError, StoreError
from yoi_bundles.ledger.credentials import Credentials
from yoi_bundles.model.clock import Clock, utc_now
from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostPolicy
from yoi_bundles.model.ids import Digest, RuntimeId, WorkerId, WorkspaceId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.revision import SCHEMA_NUMBER, Revision
from yoi_bundles.runtime.held.bundles import PAGE as BUNDLES_PAGE
from yoi_bundles.runtime.held.bundles import HeldBundles
from yoi_bundles.runtime.held.catalog import Catalog
from yoi_bundles.runtime.held.trust import verify_fresh
from yoi_bundles.runtime.host.facts import Origin
from yoi_bundles.runtime.host.policy_file import PolicyHolder
from yoi_bundles.runtime.host.signatures import digest_trust
from yoi_bundles.runtime.workers.launch import LaunchPlan
from yoi_bundles.runtime.workers.workers import PAGE as WORKERS_PAGE
from yoi_bundles.runtime.workers.workers import Workers
from yoi_bundles.store import create_side_directory
from yoi_bundles.version import VERSION
from yoi_bundles.wire.errands import share_heap
from yoi_bundles.wire.messages.runtimes import (
    BundleList,
    BundleStatus,
    FollowStatus,
    PutResult,
    RuntimeInfo,
    StatusReport,
)
from yoi_bundles.wire.messages.workers import CreatedWorker, ResolveReport, WorkerList, WorkerView


class Runtime:
    """Holds bundles and makes Workers from them under a host policy.

    Use `Runtime.open`; close it or use it as a context manager.
    """

    def __init__(
        self,
        data: Path,
        policy: PolicyHolder,
        *,
        runtime_id: RuntimeId,
        clock: Clock,
    ) -> None:
        create_side_directory(data, "runtime")
        self._catalog = Catalog(data / "catalog.sqlite3")
        self.policy = policy
        """The host policy in force, and what is wrong with its file."""
        self.held = HeldBundles(data, self._catalog, policy, clock)
        """Bundles: received piece by piece, listed, mended."""
        self._workers = Workers(self.held, self._catalog, policy, clock)
        self.runtime_id = runtime_id
        self.clock = clock

    @classmethod
    def open(
        cls,
        data: Path | str,
        *,
        policy: Path | str,
        runtime_id: RuntimeId | str = "local",
        clock: Clock = utc_now,
    ) -> Runtime:
        """Open the Runtime kept in a directory, or make it.

        Args:
            data: Its directory; all it keeps lies below.
            policy: The host policy file; it must lie outside ``data``.
            runtime_id: Its name at the Backend.
            clock: Now, with a time zone.

        Raises:
            InvalidHostPolicyError: The policy file is unsafe or wrong: the Runtime does not start.
            InvalidInputError: The runtime id is none, or the directory is a Backend's.
            StoreError: The directory cannot be used.
        """
        data = Path(data)
        holder = PolicyHolder(Path(policy), state_directory=data)
        return cls(data, holder, runtime_id=RuntimeId.coerce(runtime_id), clock=clock)

    def close(self) -> None:
        """Close repositories and the catalog."""
        self.held.close()
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def work_behind(self) -> None:
        """Do behind each receive from now on what its sender need not wait for."""
        share_heap()
        self.held.tidy_behind()

    @property
    def credentials(self) -> Credentials:
        """Who may sign in at this Runtime."""
        return self._catalog.credentials

    # --- bundles ---

    def put_bundle(
        self, workspace: WorkspaceId | str, digest: Digest | str | None, chunks: Iterable[bytes]
    ) -> PutResult:
        """Receive a bundle file: all ten steps; durable when it returns.

        Args:
            digest: The digest it is announced as; None takes whatever its tip carries.
            chunks: The file's bytes, in order; an open binary file will do.

        Raises:
            BundleError: Why it was refused; nothing of it is kept.
        """
        workspace = WorkspaceId.coerce(workspace)
        digest = None if digest is None else Digest.coerce(digest)
        with self.held.begin(workspace) as upload:
            for chunk in chunks:
                upload.write(chunk)
            return self.held.accept(workspace, digest, upload)

    def on_accepted(
        self, workspace: WorkspaceId | str, callback: Callable[[Revision], object]
    ) -> Callable[[], None]:
        """Have a callback called with each revision of a workspace that is newly accepted.

        It is called after the revision is durable, in the thread that received it, whichever way
        it came; the next receive of the workspace may wait for it. What it raises is logged.

        Returns:
            Ends it.

        Raises:
            InvalidInputError: This is no workspace's name.
        """
        return self.held.listeners.add(WorkspaceId.coerce(workspace), callback)

    def bundle_status(
        self, digest: Digest | str, workspace: WorkspaceId | str | None = None
    ) -> BundleStatus:
        """State of one bundle.

        Raises:
            InvalidInputError: This is no digest, or no workspace's name.
            BundleMissingError: Never seen here.
        """
        return self.held.status(
            Digest.coerce(digest), None if workspace is None else WorkspaceId.coerce(workspace)
        )

    def bundles(
        self,
        workspace: WorkspaceId | str | None = None,
        *,
        after: str | None = None,
        limit: int = BUNDLES_PAGE,
    ) -> BundleList:
        """A page of held bundles.

        Args:
            after: ``next`` of the page before.

        Raises:
            InvalidInputError: This is no workspace's name.
        """
        only = None if workspace is None else WorkspaceId.coerce(workspace)
        return self.held.list(only, after=after, limit=limit)

    # --- Workers ---

    def create_worker(
        self, request: CreateWorkerRequest, *, origin: Origin = "embedded"
    ) -> CreatedWorker:
        """Make a Worker; see `Workers.create`.

        Raises:
            BundleError: Why it was refused.
        """
        return self._workers.create(request, origin=origin)

    def resolve(
        self, request: CreateWorkerRequest, *, origin: Origin = "embedded"
    ) -> ResolveReport:
        """Dry run with explanation; see `Workers.resolve`.

        Raises:
            BundleError: Why it would be refused.
        """
        return self._workers.resolve(request, origin=origin)

    def plan_launch(self, worker_id: WorkerId | str) -> LaunchPlan:
        """Everything a launcher needs, real paths and secret handles included. Stays on the host.

        The policy in force now is asked again; a secret's value is read when the plan is asked for
        it, and never before.

        Raises:
            InvalidInputError: This is no Worker's id.
            BundleMissingError: No such Worker, or its bundle is no longer held.
            PolicyDeniedError: The policy in force no longer grants what the spec carries.
            UntrustedSignatureError: It wants a signature that the Worker's revision lacks.
        """
        return self._workers.plan_launch(WorkerId.coerce(worker_id))

    def worker(self, worker_id: WorkerId | str) -> WorkerView:
        """One Worker.

        Raises:
            InvalidInputError: This is no Worker's id.
            BundleMissingError: There is none of this id.
        """
        return self._workers.get(WorkerId.coerce(worker_id))

    def workers(self, *, after: str | None = None, limit: int = WORKERS_PAGE) -> WorkerList:
        """A page of Workers, oldest first.

        Args:
            after: ``next`` of the page before.

        Raises:
            InvalidInputError: ``after`` is no position.
        """
        return self._workers.list(after=after, limit=limit)

    # --- about itself ---

    def info(self) -> RuntimeInfo:
        """Identity and capability summary; no path, no secret."""
        loaded, error = self.policy.current, self.policy.last_error
        rules = loaded.policy.bundles
        return RuntimeInfo(
            runtime_id=self.runtime_id,
            version=VERSION,
            bundle_schemas=(SCHEMA_NUMBER,),
            features=tuple(sorted(RUNTIME_FEATURES)),
            policy_digest=loaded.digest,
            trust_digest=digest_trust(loaded.policy.trust),
            policy_error=None if error is None else error.message,
            builtin_digest=self._workers.builtin.digest,
            builtin_fallback=rules.builtin_fallback,
            bundle_required_for=rules.required_for,
            capability_summary=summarise(loaded.policy),
            following=tuple(self._follow_status(name) for name in self._heard_of()),
        )

    def _heard_of(self) -> list[WorkspaceId]:
        """Workspaces of which something is held, or that a Backend was asked about in vain."""
        return sorted({*self.held.workspaces(), *self._catalog.contacts()})

    def _follow_status(self, workspace: WorkspaceId) -> FollowStatus:
        last_contact, last_error = self._catalog.contact(workspace)
        try:
            staleness = verify_fresh(last_contact, self.clock(), self.policy.current.policy.bundles)
        except BundleError as error:
            staleness = error.message
        return FollowStatus(
            workspace=workspace,
            last_contact=last_contact,
            last_error=last_error,
            staleness=staleness,
            distrust=self.held.find_distrust(workspace),
        )

    def is_ready(self) -> bool:
        """Whether requests can be served now: the catalog answers."""
        try:
            self._catalog.credentials.list()
        except StoreError:
            return False
        return True

    def report(self) -> StatusReport:
        """What the Backend is told: identity, and the state of every bundle."""
        held = self.held.list(limit=1_000).bundles[:1_000]
        return StatusReport(
            info=self.info(),
            # The Backend knows its own revisions; a thousand of them are megabytes.
            bundles=tuple(one.model_copy(update={"revision": None}) for one in held),
        )

    def note_contact(self, workspace: WorkspaceId | str, failure: str | None = None) -> None:
        """Remember that the Backend was heard of a workspace, or could not be asked.

        Raises:
            InvalidInputError: This is no workspace's name.
        """
        workspace = WorkspaceId.coerce(workspace)
        if failure is None:
            self._catalog.note_contact(workspace, self.clock())
        else:
            self._catalog.note_contact_failure(workspace, failure)


def summarise(policy: HostPolicy) -> tuple[str, ...]:
    """Kinds and names of what a policy grants to anybody; no scope, no path, no source."""
    found = {f"secret:{rule.name}" for rule in policy.secret}
    found |= {f"mount:{rule.name}" for rule in policy.mount}
    found |= {f"plugin:{rule.package}" for rule in policy.plugin}
    found |= {f"capability:{name}" for name, rule in policy.capabilities.items() if rule.allow}
    found |= {
        f"tool:{glob}" for rule in policy.tool if rule.action != "deny" for glob in rule.tools
    }
    if policy.network:
        found.add("network")
    return tuple(sorted(found))
