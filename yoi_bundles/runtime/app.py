"""The Runtime's HTTP routes; what they do stands in the library."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from yoi_bundles.model.base import build_models
from yoi_bundles.model.ids import Digest, WorkerId, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.version import VERSION
from yoi_bundles.wire.messages.roles import CredentialView
from yoi_bundles.wire.messages.runtimes import (
    BUNDLE_MEDIA_TYPE,
    BundleList,
    BundleStatus,
    PutResult,
    RuntimeInfo,
)
from yoi_bundles.wire.messages.workers import CreatedWorker, ResolveReport, WorkerList, WorkerView
from yoi_bundles.wire.server.asgi import (
    BodyLimit,
    add_common,
    operation_id,
    require_role,
)
from yoi_bundles.wire.server.guard import DEFAULT_PACE, BodyPace
from yoi_bundles.wire.server.openapi import PROBLEM_RESPONSES, DocumentedAPI, problems

BACKEND = require_role("backend", "operator")


def create_app(runtime: Runtime, *, body_pace: BodyPace = DEFAULT_PACE) -> FastAPI:
    """The ASGI application of a Runtime.

    Args:
        runtime: Open; the caller closes it after the server has stopped.
        body_pace: How slowly a body may come before it is a 408.
    """
    build_models()
    app = DocumentedAPI(
        title="yoi_bundles Runtime",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
        generate_unique_id_function=operation_id,
    )
    add_common(
        app,
        authenticate=lambda token: runtime.credentials.verify(token, now=runtime.clock()),
        is_ready=runtime.is_ready,
        default_body_bytes=DEFAULT_LIMITS.request_bytes,
        body_limits=[BodyLimit(None, "/v1/config-bundles/")],
        body_pace=body_pace,
        request_limits=lambda: runtime.policy.current.policy.limits.requests,
    )
    _add_bundles(app, runtime)
    _add_upload(app, runtime)
    _add_workers(app, runtime)
    return app


def _add_bundles(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/v1/runtime", tags=["runtime"], dependencies=[BACKEND])
    def info() -> RuntimeInfo:
        """Identity, supported schema and features, capability summary, host policy digest."""
        return runtime.info()

    @app.get("/v1/config-bundles", tags=["bundles"], dependencies=[BACKEND])
    def list_bundles(
        workspace: WorkspaceId | None = None,
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> BundleList:
        """A page of held bundles, and the commits that increments may build on."""
        return runtime.held.list(workspace, after=after, limit=limit)

    @app.head(
        "/v1/config-bundles/{digest}",
        tags=["bundles"],
        response_model=BundleStatus,
        responses=problems(404),
        name="head_status",
    )
    @app.get(
        "/v1/config-bundles/{digest}",
        tags=["bundles"],
        response_model=BundleStatus,
        responses=problems(404),
    )
    def get_status(
        digest: Digest,
        caller: Annotated[CredentialView, BACKEND],
        workspace: WorkspaceId | None = None,
    ) -> Response:
        """State and summary of one bundle; asked by a Backend, it confirms the current one."""
        if caller.role == "backend" and workspace is not None:
            status = runtime.held.confirm(workspace, digest)
        else:
            status = runtime.bundle_status(digest, workspace)
        return JSONResponse(
            status.model_dump(mode="json", by_alias=True),
            headers={"cache-control": "private, no-cache"},
        )


def _add_upload(app: FastAPI, runtime: Runtime) -> None:
    @app.put(
        "/v1/config-bundles/{digest}",
        tags=["bundles"],
        dependencies=[BACKEND],
        status_code=201,
        response_model=PutResult,
        responses={200: {"description": "Held already.", "model": PutResult}, **problems(404, 409)},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {BUNDLE_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def put_bundle(digest: Digest, workspace: WorkspaceId, request: Request) -> Response:
        """Receive a bundle file; verified whole before anything of it is kept."""
        with await run_in_threadpool(runtime.held.begin, workspace) as upload:
            async for chunk in request.stream():
                upload.write(chunk)
            result = await run_in_threadpool(runtime.held.accept, workspace, digest, upload)
        return JSONResponse(
            result.model_dump(mode="json", by_alias=True), 201 if result.is_new else 200
        )


def _add_workers(app: FastAPI, runtime: Runtime) -> None:
    @app.post(
        "/v1/workers",
        tags=["workers"],
        dependencies=[BACKEND],
        status_code=201,
        responses={
            200: {"description": "Made before.", "model": CreatedWorker},
            **problems(404, 409),
        },
    )
    def create_worker(request: CreateWorkerRequest, response: Response) -> CreatedWorker:
        """Make a Worker from a held bundle under host policy; idempotent by worker id."""
        created = runtime.create_worker(request, origin="remote")
        response.status_code = 201 if created.is_new else 200
        return created

    @app.get("/v1/workers", tags=["workers"], dependencies=[BACKEND])
    def list_workers(
        after: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> WorkerList:
        """A page of Workers, oldest first."""
        return runtime.workers(after=after, limit=limit)

    @app.get(
        "/v1/workers/{worker_id}", tags=["workers"], dependencies=[BACKEND], responses=problems(404)
    )
    def get_worker(worker_id: WorkerId) -> WorkerView:
        """One Worker with its spec, decisions and receipt."""
        return runtime.worker(worker_id)

    @app.post("/v1/resolve", tags=["workers"], dependencies=[BACKEND], responses=problems(404, 409))
    def resolve(request: CreateWorkerRequest) -> ResolveReport:
        """Dry run of a creation with its whole explanation; nothing is made."""
        return runtime.resolve(request, origin="remote")
