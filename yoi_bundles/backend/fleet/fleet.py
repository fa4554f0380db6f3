"""Registered Runtimes: registration, what operators see of them, what they report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

from yoi_bundles.backend.fleet.registry import KnownRuntime, Registry, Reported, RuntimeIdentity
from yoi_bundles.backend.fleet.targets import PushTokens
from yoi_bundles.backend.fleet.visibility_cache import VisibilityCache
from yoi_bundles.errors import BundleMissingError, ForbiddenError, InvalidInputError
from yoi_bundles.ledger.group_commit import Entry
from yoi_bundles.model.clock import Clock
from yoi_bundles.model.ids import MAIN_CHANNEL, ChannelName, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label
from yoi_bundles.model.visibility import VisibilityPolicy
from yoi_bundles.wire.messages.roles import CredentialView
from yoi_bundles.wire.messages.runtimes import (
    BundleOnRuntime,
    BundleStatus,
    RegisteredRuntime,
    RegisterRuntime,
    RuntimeInfo,
    RuntimeList,
    RuntimeView,
    StatusReport,
)


class Fleet:
    """The Runtimes of a Backend, under its visibility policy.

    Args:
        workspaces: Names of all workspaces there are now.
        clock: Now, with a time zone.
    """

    def __init__(
        self,
        registry: Registry,
        visibility: VisibilityPolicy,
        tokens: PushTokens,
        *,
        workspaces: Callable[[], Sequence[WorkspaceId]],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._visibility = VisibilityCache(visibility)
        self._when_ruled_anew: tuple[Callable[[], None], ...] = ()
        self._tokens = tokens
        self._workspaces = workspaces
        self._clock = clock

    def register(self, request: RegisterRuntime) -> RegisteredRuntime:
        """Make a Runtime known; the token it signs in with is in the answer only.

        Raises:
            RevisionConflictError: The id is taken.
        """
        now = self._clock()
        self._registry.add(
            request.runtime_id,
            endpoint=request.endpoint,
            labels=request.labels,
            now=now,
        )
        try:
            if request.push_token is not None:
                self._tokens.keep(request.runtime_id, request.push_token)
            made = self._registry.credentials.create(str(request.runtime_id), "runtime", now=now)
        except BaseException:
            self._tokens.forget(request.runtime_id)
            self._registry.remove(request.runtime_id)
            raise
        return RegisteredRuntime(runtime_id=request.runtime_id, token=made.token)

    def use_push_token(self, runtime_id: RuntimeId, token: str) -> None:
        """Sign in with another token at a Runtime's own API, from the next request on.

        Raises:
            BundleMissingError: It is not registered.
        """
        self._registry.get(runtime_id)
        self._tokens.replace(runtime_id, token)

    def unregister(self, runtime_id: RuntimeId) -> None:
        """Forget a Runtime and its credential.

        Raises:
            BundleMissingError: It is not registered.
        """
        self._registry.remove(runtime_id)
        self._tokens.forget(runtime_id)
        # An operator may have revoked it before.
        with contextlib.suppress(BundleMissingError):
            self._registry.credentials.revoke(str(runtime_id))

    def use_visibility(self, visibility: VisibilityPolicy) -> None:
        """Put another visibility policy in force."""
        self._visibility = VisibilityCache(visibility)
        for callback in self._when_ruled_anew:
            callback()

    def call_when_ruled_anew(self, callback: Callable[[], None]) -> None:
        """Call this one too whenever another visibility policy has come into force.

        Args:
            callback: Called from whatever thread does so; neither waits nor raises.
        """
        self._when_ruled_anew = (*self._when_ruled_anew, callback)

    def known(self, runtime_id: RuntimeId) -> KnownRuntime:
        """A Runtime as the Backend itself uses it.

        Raises:
            BundleMissingError: It is not registered.
        """
        return self._registry.get(runtime_id)

    def all_known(self) -> tuple[KnownRuntime, ...]:
        """All Runtimes as the Backend itself uses them."""
        return self._registry.all()

    def is_visible(
        self,
        runtime: RuntimeIdentity,
        workspace: WorkspaceId,
        channel: ChannelName = MAIN_CHANNEL,
    ) -> bool:
        """Whether a Runtime may have a channel of a workspace; every revision is on ``main``."""
        return self._visibility.is_visible(runtime.runtime_id, runtime.labels, workspace, channel)

    def visible_workspaces(self, runtime: RuntimeIdentity) -> tuple[WorkspaceId, ...]:
        """Every workspace of which a Runtime may have the revisions."""
        return tuple(one for one in self._workspaces() if self.is_visible(runtime, one))

    def view(self, runtime_id: RuntimeId) -> RuntimeView:
        """One Runtime, for operators.

        Raises:
            BundleMissingError: It is not registered.
        """
        known, bundles = self._registry.get(runtime_id), self._registry.bundles_on(runtime_id)
        return self._view(known, bundles, self._workspaces())

    def list(
        self,
        labels: Sequence[str] = (),
        *,
        after: RuntimeId | None = None,
        limit: int | None = None,
    ) -> RuntimeList:
        """Runtimes whose labels match every ``key=value``, for operators.

        Args:
            after: ``next`` of the page before.
            limit: Most of them on the page; None: all.

        Raises:
            InvalidInputError: A label without ``=``, or whose key is no name.
        """
        more = None if limit is None else limit + 1
        found = self._registry.all(parse_labels(labels), after=after, limit=more)
        page = found[:limit]
        bundles = self._registry.bundles(
            None if limit is None else [one.runtime_id for one in page]
        )
        workspaces = self._workspaces()
        views = tuple(self._view(one, bundles.get(one.runtime_id, ()), workspaces) for one in page)
        return RuntimeList(
            runtimes=views, next=page[-1].runtime_id if len(found) > len(page) else None
        )

    def _view(
        self,
        known: KnownRuntime,
        bundles: Sequence[BundleOnRuntime],
        workspaces: Sequence[WorkspaceId],
    ) -> RuntimeView:
        # All of it was checked when it was taken in.
        return RuntimeView.model_construct(
            runtime_id=known.runtime_id,
            endpoint=known.endpoint,
            labels=dict(known.labels),
            is_available=known.is_available,
            last_seen=known.last_seen,
            last_error=known.last_error,
            reported=known.reported,
            workspaces=tuple(one for one in workspaces if self.is_visible(known, one)),
            bundles=tuple(bundles),
        )

    def verify_caller(self, caller: CredentialView) -> RuntimeIdentity:
        """The Runtime behind a credential of the role ``runtime``.

        Raises:
            ForbiddenError: It is no longer registered.
        """
        try:
            return self._registry.identify(RuntimeId.parse(caller.name))
        except (BundleMissingError, InvalidInputError):
            raise ForbiddenError("this runtime is not registered") from None

    def report(self, runtime_id: RuntimeId, report: StatusReport) -> None:
        """Take what a Runtime tells of itself.

        What it says of workspaces it may not see is left out.

        Raises:
            BundleMissingError: It is not registered.
            ForbiddenError: It speaks of another Runtime.
        """
        entry = self.begin_report(runtime_id, report)
        self.finish_report(entry)
        entry.verify()

    def begin_report(self, runtime_id: RuntimeId, report: StatusReport) -> Entry[Reported]:
        """As `report`, but nothing is written before `finish_report`.

        Raises:
            BundleMissingError: It is not registered.
            ForbiddenError: It speaks of another Runtime.
        """
        known = self._registry.identify(runtime_id)
        if report.info.runtime_id != runtime_id:
            raise ForbiddenError("a runtime reports only of itself")
        now = self._clock()
        noted = tuple(
            _noted(status, report.info, now)
            for status in report.bundles
            if self.is_visible(known, status.workspace)
        )
        return self._registry.reports.add(Reported(report.info, now, noted))

    def finish_report(self, entry: Entry[Reported]) -> None:
        """Write a report and all that were begun; `Entry.verify` says how it went."""
        self._registry.reports.finish(entry)


def _noted(status: BundleStatus, info: RuntimeInfo, now: datetime) -> BundleOnRuntime:
    return BundleOnRuntime.model_construct(
        workspace=status.workspace,
        digest=status.digest,
        state=status.state,
        last_checked=now,
        last_fetched=status.received_at,
        last_activated=status.activated_at,
        last_error=status.reasons[0] if status.reasons else None,
        policy_digest=info.policy_digest,
        trust_digest=info.trust_digest,
    )


def parse_labels(labels: Sequence[str]) -> dict[Name, Label]:
    """``key=value`` texts as a table.

    Raises:
        InvalidInputError: One has no ``=``, or its key is no name.
    """
    found: dict[Name, Label] = {}
    for text in labels:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidInputError(f"{text[:80]!a} is no label", hint="key=value")
        found[Name.parse(key)] = value
    return found
