"""What commands need of a Backend and a Runtime, wherever these are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from yoi_bundles.backend.publishing.publishing import Publishing
    from yoi_bundles.backend.service import Backend
    from yoi_bundles.model.ids import Digest, RuntimeId, WorkerId, WorkspaceId
    from yoi_bundles.model.request import CreateWorkerRequest
    from yoi_bundles.model.revision import Revision
    from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
    from yoi_bundles.wire.messages.revisions import (
        DiffReply,
        RevisionList,
        WorkspaceList,
        WorkspaceView,
    )
    from yoi_bundles.wire.messages.runtimes import (
        BundleList,
        BundleStatus,
        NewPushToken,
        RegisteredRuntime,
        RegisterRuntime,
        RuntimeInfo,
        RuntimeList,
        RuntimeView,
        SyncReply,
        SyncRequest,
    )
    from yoi_bundles.wire.messages.workers import (
        CreatedWorker,
        ResolveReport,
        WorkerList,
        WorkerView,
    )


class PublishingPort(Protocol):
    """The part of `BackendPort` that needs no registry, and so opens fast."""

    def close(self) -> None: ...
    def publish(self, workspace: WorkspaceId, request: PublishRequest) -> PublishReply: ...
    def workspaces(self) -> WorkspaceList: ...
    def workspace(self, workspace: WorkspaceId) -> WorkspaceView: ...
    def revisions(self, workspace: WorkspaceId, *, limit: int = 50) -> RevisionList: ...
    def revision(self, workspace: WorkspaceId, spelled: str) -> Revision: ...
    def diff(self, workspace: WorkspaceId, old: str, new: str) -> DiffReply: ...


class BackendPort(PublishingPort, Protocol):
    """`BackendClient`, or the library behind the same verbs."""

    def register_runtime(self, request: RegisterRuntime) -> RegisteredRuntime: ...
    def unregister_runtime(self, runtime_id: RuntimeId) -> None: ...
    def use_push_token(self, runtime_id: RuntimeId, new: NewPushToken) -> None: ...
    def runtimes(self, labels: Sequence[str] = ()) -> RuntimeList: ...
    def runtime(self, runtime_id: RuntimeId) -> RuntimeView: ...
    def sync(self, workspace: WorkspaceId, request: SyncRequest) -> SyncReply: ...


class RuntimePort(Protocol):
    """`RuntimeClient`, or the library behind the same verbs."""

    def close(self) -> None: ...
    def info(self) -> RuntimeInfo: ...
    def bundle_status(
        self, digest: Digest, workspace: WorkspaceId | None = None
    ) -> BundleStatus: ...
    def bundles(
        self, workspace: WorkspaceId | None = None, *, after: str | None = None
    ) -> BundleList: ...
    def create_worker(self, request: CreateWorkerRequest) -> CreatedWorker: ...
    def resolve(self, request: CreateWorkerRequest) -> ResolveReport: ...
    def worker(self, worker_id: WorkerId) -> WorkerView: ...
    def workers(self, *, after: str | None = None) -> WorkerList: ...


class LocalPublishing:
    """The workspaces of a data directory behind the verbs of `PublishingPort`.

    Args:
        publishing: What they are.
        close: Called when the port is closed.
    """

    def __init__(self, publishing: Publishing, close: Callable[[], None]) -> None:
        self._publishing = publishing
        self._close = close

    def close(self) -> None:
        """Close what is behind it."""
        self._close()

    def publish(self, workspace: WorkspaceId, request: PublishRequest) -> PublishReply:
        """See `Publishing.publish`."""
        return self._publishing.publish(workspace, request)

    def workspaces(self) -> WorkspaceList:
        """See `Publishing.list`."""
        return self._publishing.list()

    def workspace(self, workspace: WorkspaceId) -> WorkspaceView:
        """See `Publishing.workspace`."""
        return self._publishing.workspace(workspace)

    def revisions(self, workspace: WorkspaceId, *, limit: int = 50) -> RevisionList:
        """See `Publishing.revisions`."""
        return self._publishing.revisions(workspace, limit=limit)

    def revision(self, workspace: WorkspaceId, spelled: str) -> Revision:
        """See `Publishing.revision`."""
        return self._publishing.revision(workspace, spelled)

    def diff(self, workspace: WorkspaceId, old: str, new: str) -> DiffReply:
        """See `Publishing.diff`."""
        return self._publishing.diff(workspace, old, new)


class LocalBackend(LocalPublishing):
    """A Backend of this process behind the verbs of `BackendPort`.

    Args:
        backend: Closed with the port.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend.publishing, backend.close)
        self._backend = backend

    def register_runtime(self, request: RegisterRuntime) -> RegisteredRuntime:
        """See `Fleet.register`."""
        return self._backend.fleet.register(request)

    def unregister_runtime(self, runtime_id: RuntimeId) -> None:
        """See `Fleet.unregister`."""
        self._backend.fleet.unregister(runtime_id)

    def use_push_token(self, runtime_id: RuntimeId, new: NewPushToken) -> None:
        """See `Fleet.use_push_token`."""
        self._backend.fleet.use_push_token(runtime_id, new.push_token)

    def runtimes(self, labels: Sequence[str] = ()) -> RuntimeList:
        """See `Fleet.list`."""
        return self._backend.fleet.list(labels)

    def runtime(self, runtime_id: RuntimeId) -> RuntimeView:
        """See `Fleet.view`."""
        return self._backend.fleet.view(runtime_id)

    def sync(self, workspace: WorkspaceId, request: SyncRequest) -> SyncReply:
        """See `Backend.sync`."""
        return self._backend.sync(workspace, request)
