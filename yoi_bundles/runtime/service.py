"""The Runtime as a library: embedded in a process, or behind the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles import __version__
from yoi_bundles.errors import BundleError, StoreError
from yoi_bundles.ledger.credentials import Credentials
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostPolicy
from yoi_bundles.model.ids import Digest, RuntimeId, WorkerId, WorkspaceId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.revision import SCHEMA_NUMBER
from yoi_bundles.runtime.held.bundles import HeldBundles
from yoi_bundles.runtime.held.catalog import Catalog
from yoi_bundles.runtime.held.trust import verify_fresh
from yoi_bundles.runtime.host.facts import Origin
from yoi_bundles.runtime.host.policy_file import PolicyHolder
from yoi_bundles.runtime.host.signatures import digest_trust
from yoi_bundles.runtime.workers.workers import Workers
from yoi_bundles.store import create_data_directory
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
        clock: Callable[[], datetime],
    ) -> None:
        create_data_directory(data)
        self._catalog = Catalog(data / "catalog.sqlite3")
        self.policy = policy
        self.held = HeldBundles(data, self._catalog, policy, clock)
        self.work = Workers(self.held, self._catalog, policy, clock)
        self.runtime_id = runtime_id
        self.clock = clock

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        policy: Path,
        runtime_id: str = "local",
        clock: Callable[[], datetime] = utc_now,
    ) -> Runtime:
        """Open the Runtime kept in a directory, or make it.

        Args:
            data: Its directory; all it keeps lies below.
            policy: The host policy file; it must lie outside ``data``.
            runtime_id: Its name at the Backend.
            clock: Now, with a time zone.

        Raises:
            InvalidHostPolicyError: The policy file is unsafe or wrong: the Runtime does not start.
            InvalidInputError: The runtime id is none.
            StoreError: The directory cannot be used.
        """
        holder = PolicyHolder(policy, state_directory=data)
        return cls(data, holder, runtime_id=RuntimeId.parse(runtime_id), clock=clock)

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
        self, workspace: WorkspaceId, digest: Digest | None, chunks: Iterable[bytes]
    ) -> PutResult:
        """Receive a bundle file: all ten steps; durable when it returns.

        Args:
            digest: The digest it is announced as; None takes whatever its tip carries.
            chunks: The file's bytes, in order.

        Raises:
            BundleError: Why it was refused; nothing of it is kept.
        """
        with self.held.begin(workspace) as upload:
            for chunk in chunks:
                upload.write(chunk)
            return self.held.accept(workspace, digest, upload)

    def bundle_status(self, digest: Digest, workspace: WorkspaceId | None = None) -> BundleStatus:
        """State of one bundle.

        Raises:
            BundleMissingError: Never seen here.
        """
        return self.held.status(digest, workspace)

    def bundles(
        self, workspace: WorkspaceId | None = None, *, after: str | None = None
    ) -> BundleList:
        """A page of held bundles."""
        return self.held.list(workspace, after=after)

    # --- Workers ---

    def create_worker(
        self, request: CreateWorkerRequest, *, origin: Origin = "embedded"
    ) -> CreatedWorker:
        """Make a Worker; see `Workers.create`.

        Raises:
            BundleError: Why it was refused.
        """
        return self.work.create(request, origin=origin)

    def resolve(
        self, request: CreateWorkerRequest, *, origin: Origin = "embedded"
    ) -> ResolveReport:
        """Dry run with explanation; see `Workers.resolve`.

        Raises:
            BundleError: Why it would be refused.
        """
        return self.work.resolve(request, origin=origin)

    def worker(self, worker_id: WorkerId) -> WorkerView:
        """One Worker.

        Raises:
            BundleMissingError: There is none of this id.
        """
        return self.work.get(worker_id)

    def workers(self, *, after: str | None = None) -> WorkerList:
        """A page of Workers, oldest first."""
        return self.work.list(after=after)

    # --- about itself ---

    def info(self) -> RuntimeInfo:
        """Identity and capability summary; no path, no secret."""
        loaded, error = self.policy.current, self.policy.last_error
        rules = loaded.policy.bundles
        return RuntimeInfo(
            runtime_id=self.runtime_id,
            version=__version__,
            bundle_schemas=(SCHEMA_NUMBER,),
            features=tuple(sorted(RUNTIME_FEATURES)),
            policy_digest=loaded.digest,
            trust_digest=digest_trust(loaded.policy.trust),
            policy_error=None if error is None else error.message,
            builtin_digest=self.work.builtin.digest,
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

    def note_contact(self, workspace: WorkspaceId, failure: str | None = None) -> None:
        """Remember that the Backend was heard of a workspace, or could not be asked."""
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
