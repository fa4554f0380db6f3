"""The Backend's HTTP routes; what they do stands in the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from yoi_bundles.backend.delivery import Delivery
from yoi_bundles.backend.files.answer_cache import MAX_HAVES, BundleQuestion
from yoi_bundles.backend.git_http import advertise_refs, upload_pack
from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import ForbiddenError
from yoi_bundles.model.base import build_models
from yoi_bundles.model.ids import ChannelName, CommitId, Digest, RuntimeId, WorkspaceId
from yoi_bundles.model.limits import MIB
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS, RequestLimits
from yoi_bundles.model.revision import Revision
from yoi_bundles.version import VERSION
from yoi_bundles.wire.at_once.before_routes import answer_first
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
from yoi_bundles.wire.messages.revisions import (
    ChannelView,
    DiffReply,
    RevisionList,
    WorkspaceList,
    WorkspaceView,
)
from yoi_bundles.wire.messages.roles import CredentialView, verify_role
from yoi_bundles.wire.messages.runtimes import (
    BUNDLE_MEDIA_TYPE,
    BrowserOverview,
    NewPushToken,
    RegisteredRuntime,
    RegisterRuntime,
    RuntimeList,
    RuntimeView,
    StatusReport,
    SyncReply,
    SyncRequest,
)
from yoi_bundles.wire.server.asgi import (
    BodyLimit,
    add_common,
    operation_id,
    require_role,
)
from yoi_bundles.wire.server.openapi import PROBLEM_RESPONSES, DocumentedAPI, Responses, problems

REPORT_BYTES = 8 * MIB
"""A Runtime's report of a thousand bundles, each refused with a long reason."""

History = Literal["tip", "full"]

BUNDLE_RESPONSES: Responses = {
    200: {"content": {BUNDLE_MEDIA_TYPE: {}}},
    206: {"description": "One range of the file.", "content": {BUNDLE_MEDIA_TYPE: {}}},
    304: {"description": "Unchanged."},
    **problems(404, 416, 502),
}

OPERATOR = require_role("operator")
PUBLISHING = require_role("publisher", "operator")
RUNTIME = require_role("runtime")
BROWSER = require_role("browser", "operator")


def create_app(
    backend: Backend, *, request_limits: RequestLimits = DEFAULT_REQUEST_LIMITS
) -> FastAPI:
    """The ASGI application of a Backend.

    Args:
        backend: Open; the caller closes it after the server has stopped.
        request_limits: Bounds of each caller.
    """
    build_models()
    app = DocumentedAPI(
        title="yoi_bundles Backend",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
        generate_unique_id_function=operation_id,
    )
    add_common(
        app,
        authenticate=lambda token: backend.credentials.verify(token, now=backend.clock()),
        is_ready=backend.is_ready,
        default_body_bytes=backend.limits.request_bytes,
        body_limits=[
            BodyLimit(backend.limits.publish_bytes, "/v1/workspaces/", "/revisions"),
            BodyLimit(REPORT_BYTES, "/v1/runtimes/", "/status"),
            BodyLimit(None, "/git/"),
        ],
        request_limits=lambda: request_limits,
    )
    # Routes are tried in order: those of a fleet come first.
    delivery = Delivery(backend, request_limits)
    _add_bundles(app, delivery)
    _add_channels(app, delivery)
    _add_reports(app, backend, delivery)
    _add_workspaces(app, backend)
    _add_revisions(app, backend)
    _add_runtimes(app, backend)
    _add_git(app, backend)
    return app


def _add_workspaces(app: FastAPI, backend: Backend) -> None:
    publishing = backend.publishing

    @app.get("/v1/workspaces", tags=["workspaces"], dependencies=[PUBLISHING])
    def list_workspaces() -> WorkspaceList:
        """All workspaces with their newest revision."""
        return publishing.list()

    @app.get(
        "/v1/workspaces/{workspace}",
        tags=["workspaces"],
        dependencies=[PUBLISHING],
        responses=problems(404),
    )
    def get_workspace(workspace: WorkspaceId) -> WorkspaceView:
        """One workspace."""
        return publishing.workspace(workspace)

    @app.post(
        "/v1/workspaces/{workspace}/revisions",
        tags=["workspaces"],
        dependencies=[PUBLISHING],
        status_code=201,
        responses={
            200: {"description": "The tree is the current one.", "model": PublishReply},
            **problems(409),
        },
    )
    def publish(
        workspace: WorkspaceId, request: PublishRequest, response: Response
    ) -> PublishReply:
        """Make the files the newest revision; the same tree again is the same revision."""
        reply = publishing.publish(workspace, request)
        response.status_code = 201 if reply.is_new else 200
        return reply

    @app.post(
        "/v1/workspaces/{workspace}/sync",
        tags=["runtimes"],
        dependencies=[OPERATOR],
        responses=problems(404),
    )
    def sync(workspace: WorkspaceId, request: SyncRequest) -> SyncReply:
        """Push the newest revision to the Runtimes that may see it."""
        return backend.sync(workspace, request)


def _add_revisions(app: FastAPI, backend: Backend) -> None:
    publishing = backend.publishing

    @app.get(
        "/v1/workspaces/{workspace}/revisions",
        tags=["workspaces"],
        dependencies=[PUBLISHING],
        responses=problems(404),
    )
    def list_revisions(
        workspace: WorkspaceId,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        before: Annotated[int | None, Query(ge=1)] = None,
    ) -> RevisionList:
        """Newest revisions first; `before` is `next` of the page before."""
        return publishing.revisions(workspace, limit=limit, before=before)

    @app.get(
        "/v1/workspaces/{workspace}/revisions/{spelled}",
        tags=["workspaces"],
        dependencies=[PUBLISHING],
        responses=problems(404),
    )
    def get_revision(workspace: WorkspaceId, spelled: str) -> Revision:
        """One revision: `main`, a number, or 7 or more digits of a commit id or digest."""
        return publishing.revision(workspace, spelled)

    @app.get(
        "/v1/workspaces/{workspace}/diff",
        tags=["workspaces"],
        dependencies=[PUBLISHING],
        responses=problems(404),
    )
    def diff(workspace: WorkspaceId, old: str, new: str = "main") -> DiffReply:
        """What differs between two revisions, as unified diffs."""
        return publishing.diff(workspace, old, new)


def _add_runtimes(app: FastAPI, backend: Backend) -> None:
    fleet = backend.fleet

    @app.post(
        "/v1/runtimes",
        tags=["runtimes"],
        dependencies=[OPERATOR],
        responses=problems(409),
        status_code=201,
    )
    def register(request: RegisterRuntime) -> RegisteredRuntime:
        """Make a Runtime known; the token in the answer is shown this once."""
        return fleet.register(request)

    @app.get("/v1/runtimes", tags=["runtimes"], dependencies=[OPERATOR])
    def list_runtimes(
        label: Annotated[tuple[str, ...], Query()] = (),
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: RuntimeId | None = None,
    ) -> RuntimeList:
        """Registered Runtimes; every `label=key=value` must match."""
        return fleet.list(label, after=after, limit=limit)

    @app.get(
        "/v1/runtimes/{runtime_id}",
        tags=["runtimes"],
        dependencies=[OPERATOR],
        responses=problems(404),
    )
    def get_runtime(runtime_id: RuntimeId) -> RuntimeView:
        """One Runtime with the state of every bundle on it."""
        return fleet.view(runtime_id)

    @app.delete(
        "/v1/runtimes/{runtime_id}",
        tags=["runtimes"],
        dependencies=[OPERATOR],
        responses=problems(404),
        status_code=204,
    )
    def unregister(runtime_id: RuntimeId) -> None:
        """Forget a Runtime and its credential."""
        fleet.unregister(runtime_id)

    @app.put(
        "/v1/runtimes/{runtime_id}/push-token",
        tags=["runtimes"],
        dependencies=[OPERATOR],
        responses=problems(404),
        status_code=204,
    )
    def use_push_token(runtime_id: RuntimeId, request: NewPushToken) -> None:
        """Sign in with another token at a Runtime that is pushed to."""
        fleet.use_push_token(runtime_id, request.push_token)


def _add_reports(app: FastAPI, backend: Backend, delivery: Delivery) -> None:
    fleet = backend.fleet

    @app.put(
        "/v1/runtimes/{runtime_id}/status",
        tags=["delivery"],
        responses=problems(404),
        status_code=204,
    )
    def report(
        runtime_id: RuntimeId, report: StatusReport, caller: Annotated[CredentialView, RUNTIME]
    ) -> None:
        """ACK, NACK and states, by the Runtime itself."""
        if caller.name != str(runtime_id):
            raise ForbiddenError("a runtime reports only of itself")
        fleet.report(runtime_id, report)

    answer_first(app, later=delivery.report)

    @app.get("/v1/browser/overview", tags=["browser"], dependencies=[BROWSER])
    def overview() -> BrowserOverview:
        """Everything a Browser may see."""
        return backend.overview()


def _add_bundles(app: FastAPI, delivery: Delivery) -> None:
    async def get_bundle(
        digest: Digest,
        request: Request,
        have: Annotated[tuple[CommitId, ...], Query(max_length=MAX_HAVES)] = (),
        workspace: WorkspaceId | None = None,
        history: History = "tip",
    ) -> Response:
        """The smallest bundle file for a holder of the `have` commits."""
        question = BundleQuestion(digest, have, workspace, history == "tip")
        return await delivery.bundle(request.scope, question)

    for method, name in (("GET", "get_bundle"), ("HEAD", "head_bundle")):
        app.router.add_api_route(
            "/v1/config-bundles/{digest}",
            get_bundle,
            methods=[method],
            name=name,
            tags=["delivery"],
            response_class=Response,
            responses=BUNDLE_RESPONSES,
        )
        answer_first(app, delivery.find_bundle, later=delivery.ask_bundle)


def _add_channels(app: FastAPI, delivery: Delivery) -> None:
    app.state.end_waits = delivery.stop

    @app.get(
        "/v1/workspaces/{workspace}/channels/{channel}",
        tags=["delivery"],
        response_model=ChannelView,
        responses={304: {"description": "Unchanged."}, **problems(404, 410)},
    )
    def get_channel(workspace: WorkspaceId, channel: ChannelName, request: Request) -> Response:
        """Where a channel points; with `If-None-Match` and `Prefer: wait` the way to get news."""
        return delivery.channel(request.scope, workspace, channel)

    answer_first(app, delivery.find_channel)


def _add_git(app: FastAPI, backend: Backend) -> None:
    async def repository_of(request: Request) -> Path:
        verify_role(request.scope["state"]["caller"], "publisher", "operator")
        workspace = WorkspaceId.parse(request.path_params["workspace"])
        return await run_in_threadpool(backend.repository_path, workspace)

    async def info_refs(request: Request) -> Response:
        return await advertise_refs(await repository_of(request), request)

    async def pack(request: Request) -> Response:
        return await upload_pack(await repository_of(request), request)

    app.add_route("/git/{workspace}.git/info/refs", info_refs, include_in_schema=False)
    app.add_route(
        "/git/{workspace}.git/git-upload-pack", pack, methods=["POST"], include_in_schema=False
    )
