"""The Runtime's HTTP API from outside; the same verbs as the library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from yoi_bundles.model.ids import Digest, WorkerId, WorkspaceId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.wire.client.http import HttpClient, parse_answer
from yoi_bundles.wire.messages.runtimes import (
    BUNDLE_MEDIA_TYPE,
    BundleList,
    BundleStatus,
    PutResult,
    RuntimeInfo,
)
from yoi_bundles.wire.messages.workers import CreatedWorker, ResolveReport, WorkerList, WorkerView

CHUNK_BYTES = 256 * 1024


class RuntimeClient:
    """Calls a Runtime. Every method raises what the Runtime answers, or `TransportError`.

    Args:
        http: Connection and credential.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def info(self) -> RuntimeInfo:
        """Identity and capability summary.

        Raises:
            BundleError: See the class.
        """
        return self._http.get("/v1/runtime", RuntimeInfo)

    def put_bundle(self, workspace: WorkspaceId, digest: Digest, file: Path) -> PutResult:
        """Send a bundle file; repeating it is safe, so it is retried.

        Raises:
            BundleError: Why the Runtime refused it.
        """

        def send() -> PutResult:
            answer = self._http.request(
                "PUT",
                f"/v1/config-bundles/{digest}",
                query=[("workspace", str(workspace))],
                content=_chunks(file),
                headers={
                    "content-type": BUNDLE_MEDIA_TYPE,
                    "content-length": str(file.stat().st_size),
                },
            )
            return parse_answer(answer, PutResult)

        return self._http.retried(send)

    def bundle_status(self, digest: Digest, workspace: WorkspaceId | None = None) -> BundleStatus:
        """State of one bundle.

        Raises:
            BundleMissingError: Not held there.
            BundleError: See the class.
        """
        query = [] if workspace is None else [("workspace", str(workspace))]
        return self._http.get(f"/v1/config-bundles/{digest}", BundleStatus, query)

    def bundles(
        self, workspace: WorkspaceId | None = None, *, after: str | None = None
    ) -> BundleList:
        """One page of held bundles, and the haves for increments.

        Raises:
            BundleError: See the class.
        """
        query = [] if workspace is None else [("workspace", str(workspace))]
        query += [] if after is None else [("after", after)]
        return self._http.get("/v1/config-bundles", BundleList, query)

    def create_worker(self, request: CreateWorkerRequest) -> CreatedWorker:
        """Make a Worker; the worker id makes it idempotent, so it is retried.

        Raises:
            BundleError: Why it was refused.
        """
        return self._http.retried(lambda: self._http.post("/v1/workers", request, CreatedWorker))

    def resolve(self, request: CreateWorkerRequest) -> ResolveReport:
        """Dry run with explanation; nothing is made.

        Raises:
            BundleError: Why it would be refused.
        """
        return self._http.retried(lambda: self._http.post("/v1/resolve", request, ResolveReport))

    def worker(self, worker_id: WorkerId) -> WorkerView:
        """One Worker.

        Raises:
            BundleMissingError: There is none of this id.
            BundleError: See the class.
        """
        return self._http.get(f"/v1/workers/{worker_id}", WorkerView)

    def workers(self, *, after: str | None = None) -> WorkerList:
        """One page of Workers.

        Raises:
            BundleError: See the class.
        """
        return self._http.get(
            "/v1/workers", WorkerList, [] if after is None else [("after", after)]
        )


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
