"""What a fleet asks and says over HTTP, answered in two ways that cannot be told apart.

``find_…`` answers in the event loop from what is at hand, or not at all; the other one takes the
time it needs, in a thread. Both make their answer by the same function.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Scope

from yoi_bundles.backend.files.answer_cache import BundleQuestion, parse_channel, parse_question
from yoi_bundles.backend.fleet.registry import RegistryCaller, RuntimeIdentity
from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import ForbiddenError
from yoi_bundles.model.ids import ChannelName, WorkspaceId
from yoi_bundles.model.request_limits import RequestLimits
from yoi_bundles.wire.answers.immutable_file import answer_file
from yoi_bundles.wire.answers.responses import EncodedResponse, is_unchanged
from yoi_bundles.wire.at_once.waits import Waits, has_waited, preferred_wait_seconds
from yoi_bundles.wire.messages.revisions import ChannelView
from yoi_bundles.wire.messages.roles import CredentialView, verify_role
from yoi_bundles.wire.messages.runtimes import BUNDLE_MEDIA_TYPE, StatusReport

REPORTS_AT_ONCE = 100
"""Reports that are written together, at most."""

BUILD_SECONDS = 3.0
"""That a build may go on after the server was told to stop: less than a request has then."""

_JSON = (b"content-type", b"application/json")


class Delivery:
    """What is new, and the bundle files.

    Args:
        request_limits: As many requests of a caller may wait as may be under way.
    """

    def __init__(self, backend: Backend, request_limits: RequestLimits) -> None:
        self._backend = backend
        self.waits = Waits(
            backend.answers.look, lambda: request_limits.concurrent_requests, self._may_know
        )
        backend.fleet.call_when_ruled_anew(self.waits.wake_some)
        backend.publishing.news.listen(self.waits.wake)
        self._building: dict[BundleQuestion, asyncio.Event] = {}
        self._reporting = asyncio.Semaphore(REPORTS_AT_ONCE)
        self._writing = asyncio.Lock()

    def stop(self) -> None:
        """Answer whoever waits for news, and soon whoever waits for a build: the server stops."""
        self.waits.stop()
        self._backend.end_builds(BUILD_SECONDS)

    async def bundle(self, scope: Scope, question: BundleQuestion) -> Response:
        """The answer with a bundle file; see `Backend.bundle_file`.

        Of those who may see it and ask the same while it is built, one has a thread; the others
        come by what it left.

        Raises:
            ForbiddenError: The caller's role may have none.
            BundleMissingError: Not here, or not visible.
            StoreError: It could not be built.
            TransportError: It was not built before the server stops.
        """
        if not self._may_know(_caller_of(scope), question.workspace):
            # A build is a secret: waiting for it would tell that there is one.
            return await run_in_threadpool(self._bundle, scope, question)
        while question in self._building:
            await self._building[question].wait()
            answer = self._find_bundle(scope, question)
            if answer is not None:
                return answer
        built = self._building[question] = asyncio.Event()
        try:
            return await run_in_threadpool(self._bundle, scope, question)
        finally:
            del self._building[question]
            built.set()

    async def ask_bundle(self, scope: Scope, parts: Mapping[str, str], body: bytes) -> Response:
        """As `bundle`; a `Later`.

        Raises:
            BundleError: There is another answer, which the documented route gives.
        """
        return await self.bundle(scope, parse_question(parts["digest"], scope["query_string"]))

    async def report(self, scope: Scope, parts: Mapping[str, str], body: bytes) -> Response | None:
        """Take a Runtime's report of itself, as the documented route does; a `Later`.

        Of those that come at once one has a thread, which writes them all.

        Raises:
            BundleError: There is another answer, which the documented route gives.
        """
        caller = _caller_of(scope)
        if not isinstance(caller, RegistryCaller) or caller.name != parts["runtime_id"]:
            return None
        # A report takes ten times the memory of its text: of many that come at once, most wait so.
        async with self._reporting:
            try:
                report = StatusReport.model_validate(json.loads(body))
            except (ValueError, RecursionError):
                return None
            entry = self._backend.fleet.begin_report(caller.runtime.runtime_id, report)
            async with self._writing:
                if not entry.is_done:
                    await run_in_threadpool(self._backend.fleet.finish_report, entry)
        entry.verify()
        return EncodedResponse(204, [_JSON])

    def _may_know(self, caller: CredentialView, workspace: WorkspaceId | None) -> bool:
        if not isinstance(caller, RegistryCaller):
            return caller.role != "runtime"
        is_visible = self._backend.fleet.is_visible
        return workspace is not None and is_visible(caller.runtime, workspace)

    def _bundle(self, scope: Scope, question: BundleQuestion) -> Response:
        file = self._backend.bundle_file(
            question.digest,
            haves=question.haves,
            workspace=question.workspace,
            runtime=self._runtime_of(scope),
            is_shallow=question.is_shallow,
        )
        return answer_file(scope, file, BUNDLE_MEDIA_TYPE)

    def find_bundle(self, scope: Scope, parts: Mapping[str, str]) -> Response | None:
        """As `bundle`, if the file is at hand; a `Lean`.

        Raises:
            BundleError: There is another answer, which `bundle` gives.
        """
        return self._find_bundle(scope, parse_question(parts["digest"], scope["query_string"]))

    def _find_bundle(self, scope: Scope, question: BundleQuestion) -> Response | None:
        file = self._backend.answers.find_file(question, _runtime_at_hand(scope))
        return None if file is None else answer_file(scope, file, BUNDLE_MEDIA_TYPE)

    def channel(self, scope: Scope, workspace: WorkspaceId, channel: ChannelName) -> Response:
        """Where a channel points, at once or after a wait; see `Backend.channel`.

        Raises:
            ForbiddenError: The caller's role may not ask.
            BundleMissingError: No such workspace, or not visible.
            ChannelGoneError: The workspace has no such channel.
            TooManyRequestsError: Too many of this caller's wait already.
        """
        runtime, seen = self._runtime_of(scope), None
        wait_seconds = preferred_wait_seconds(scope)
        if wait_seconds:
            # Opens the repository, so that there is something to look at.
            self._backend.channel(workspace, channel, runtime)
            seen = self.waits.look(workspace)
        view = self._backend.channel(workspace, channel, runtime)
        return self._answer(scope, view, wait_seconds, seen)

    def find_channel(self, scope: Scope, parts: Mapping[str, str]) -> Response | None:
        """As `channel`, if the repository is open; a `Lean`.

        Raises:
            BundleError: There is another answer, which `channel` gives.
        """
        workspace, channel = parse_channel(parts["workspace"], parts["channel"])
        wait_seconds = preferred_wait_seconds(scope)
        # Looked at before the head is read, so that no change falls between.
        seen = self.waits.look(workspace) if wait_seconds else None
        view = self._backend.answers.find_channel(workspace, channel, _runtime_at_hand(scope))
        return None if view is None else self._answer(scope, view, wait_seconds, seen)

    def _answer(self, scope: Scope, view: ChannelView, wait_seconds: int, seen: object) -> Response:
        is_known = is_unchanged(scope, view.etag)
        if is_known and wait_seconds and not has_waited(scope):
            caller: CredentialView = scope["state"]["caller"]
            return self.waits.park(caller, view.workspace, seen, wait_seconds)
        headers = [(b"etag", view.etag.encode()), (b"cache-control", b"private, no-cache")]
        if wait_seconds:
            headers.append((b"preference-applied", b"wait=%d" % wait_seconds))
        if is_known:
            return EncodedResponse(304, headers)
        body = view.model_dump_json(by_alias=True).encode()
        headers += (b"content-length", b"%d" % len(body)), _JSON
        return EncodedResponse(200, headers, body)

    def _runtime_of(self, scope: Scope) -> RuntimeIdentity | None:
        """On whose behalf something is asked: a Runtime, or None for an operator.

        Raises:
            ForbiddenError: Another role, or a Runtime that is not registered.
        """
        caller = _caller_of(scope)
        return self._backend.fleet.verify_caller(caller) if caller.role == "runtime" else None


def _runtime_at_hand(scope: Scope) -> RuntimeIdentity | None:
    """As `Delivery._runtime_of`, in the same turn of the event loop as the authentication.

    Raises:
        ForbiddenError: Another role, or a Runtime that is not registered.
    """
    caller = _caller_of(scope)
    if caller.role != "runtime":
        return None
    if not isinstance(caller, RegistryCaller):
        raise ForbiddenError("this runtime is not registered")
    return caller.runtime


def _caller_of(scope: Scope) -> CredentialView:
    caller: CredentialView = scope["state"]["caller"]
    verify_role(caller, "runtime", "operator", "publisher")
    return caller
