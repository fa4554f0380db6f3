"""Push sync: ask a Runtime what it holds, send the smallest bundle file, fall back to a full one.

Safe to repeat: what is held is not sent, what was refused under the same host policy is not sent
again, and a Runtime answers the same bundle twice with the same acceptance.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from yoi_bundles.backend.files.bundle_files import BundleFile, BundleFiles
from yoi_bundles.backend.fleet.registry import KnownRuntime, Registry
from yoi_bundles.backend.fleet.targets import Backoff, Clients, Connect
from yoi_bundles.errors import (
    BundleError,
    MissingPrerequisiteError,
    StoreError,
    TransportError,
    is_refusal,
)
from yoi_bundles.model.clock import Clock
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import BundleStore
from yoi_bundles.wire.messages.runtimes import (
    BundleOnRuntime,
    BundleStatus,
    NackReason,
    PutResult,
    RuntimeInfo,
    SyncOutcome,
)

if TYPE_CHECKING:
    from yoi_bundles.wire.client.runtime_client import RuntimeClient

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Runtimes brought up to date side by side, however many workspaces are synced."""


class PushSync:
    """Brings Runtimes to the newest revision of a workspace.

    Connections are kept from one push to the next. A Runtime that keeps failing is left alone for a
    while (see `Backoff`); one that fails or is slow holds up no other, as those that answered last
    time come first.

    Args:
        connect: How a Runtime is reached.
        clock: Now, with a time zone.
        chance: As for `Backoff`.
    """

    def __init__(
        self,
        registry: Registry,
        files: BundleFiles,
        *,
        clock: Clock,
        connect: Connect,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._registry = registry
        self._files = files
        self._clock = clock
        self._backoff = Backoff(clock, chance)
        self._clients = Clients(connect)
        self._pool = ThreadPoolExecutor(AT_ONCE, "sync")

    def close(self) -> None:
        """Close the connections; pushes under way end first."""
        self._pool.shutdown(cancel_futures=True)
        self._clients.close()

    def sync(
        self,
        store: BundleStore,
        target: Revision,
        runtimes: Sequence[KnownRuntime],
        *,
        is_urgent: bool = False,
    ) -> tuple[SyncOutcome, ...]:
        """Bring Runtimes to ``target``, some at once.

        Args:
            store: Where the revision is.
            target: The revision.
            runtimes: Which.
            is_urgent: Call also those that are to be left alone.

        Raises:
            StoreError: The bundle file cannot be built here.
        """
        ordered = sorted(runtimes, key=lambda one: self._backoff.failures(one.runtime_id))

        def bring(runtime: KnownRuntime) -> SyncOutcome:
            wait_seconds = self._backoff.find_wait(runtime.runtime_id)
            if wait_seconds is not None and not is_urgent:
                return self._postponed(runtime, wait_seconds)
            return self.sync_one(store, target, runtime)

        return tuple(self._pool.map(bring, ordered))

    def sync_one(self, store: BundleStore, target: Revision, runtime: KnownRuntime) -> SyncOutcome:
        """Bring one Runtime to ``target``.

        Raises:
            StoreError: The bundle file cannot be built here.
        """
        if runtime.endpoint is None:
            return SyncOutcome(runtime_id=runtime.runtime_id, outcome="pulls")
        try:
            with self._clients.use(runtime) as client:
                outcome = self._push(client, store, target, runtime)
        except BundleError as error:
            if not isinstance(error, StoreError):  # a disk that is full says nothing of the way
                self._backoff.note_failure(runtime.runtime_id, error)
            return self._failed(runtime, error)
        self._backoff.note_success(runtime.runtime_id)
        return outcome

    def _postponed(self, runtime: KnownRuntime, wait_seconds: float) -> SyncOutcome:
        times = self._backoff.failures(runtime.runtime_id)
        return SyncOutcome(
            runtime_id=runtime.runtime_id,
            outcome="failed",
            reason=NackReason(
                code=TransportError.code,
                message=f"not called: it failed {times} times in a row, and is called again in "
                f"{math.ceil(wait_seconds)} seconds",
                hint="name the Runtime to have it called now",
            ),
        )

    def _push(
        self, client: RuntimeClient, store: BundleStore, target: Revision, runtime: KnownRuntime
    ) -> SyncOutcome:
        info = client.info()
        self._registry.note_seen(runtime.runtime_id, now=self._clock(), reported=info)
        refused = self._registry.find_rejection(
            runtime.runtime_id,
            target.workspace,
            target.digest,
            info.policy_digest,
            info.trust_digest,
        )
        if refused is not None:
            return _outcome(runtime, "rejected", target, reason=refused)
        held = client.bundles(target.workspace)
        haves = next((one.haves for one in held.haves if one.workspace == target.workspace), ())
        if haves and haves[0] == target.commit:
            status = client.bundle_status(target.digest, target.workspace)
            self._note(runtime, status, info, fetched=False)
            return _outcome(runtime, "current", target)
        try:
            # One that lists bundles and names no commit is damaged: whole history heals it.
            sent, result = self._send(client, store, target, haves, is_new=not held.bundles)
        except BundleError as error:
            if not is_refusal(error):
                raise
            return self._rejected(runtime, target, info, error)
        self._note(runtime, result.status, info, fetched=True)
        return _outcome(runtime, "synced", target, sent=sent)

    def _send(
        self,
        client: RuntimeClient,
        store: BundleStore,
        target: Revision,
        haves: Sequence[CommitId],
        *,
        is_new: bool,
    ) -> tuple[BundleFile, PutResult]:
        file = self._files.get(store, target, haves, is_shallow=is_new)
        try:
            return file, self._put(client, target, file)
        except MissingPrerequisiteError:
            if file.base is None and not file.is_shallow:
                raise
            # It lost what it said it had; a full bundle needs nothing.
            file = self._files.get(store, target, ())
            return file, self._put(client, target, file)

    def _put(self, client: RuntimeClient, target: Revision, file: BundleFile) -> PutResult:
        try:
            return client.put_bundle(target.workspace, target.digest, file.path)
        except BundleError as error:
            if is_refusal(error) and not self._files.is_sound(file):
                # What was refused is not what is in the bundle: nothing to remember of it.
                raise StoreError(
                    "the bundle file has gone bad on the disk here",
                    hint="sync again: it is built anew",
                ) from error
            raise

    def _note(
        self, runtime: KnownRuntime, status: BundleStatus, info: RuntimeInfo, *, fetched: bool
    ) -> None:
        now = self._clock()
        self._registry.note_bundle(
            runtime.runtime_id,
            BundleOnRuntime(
                workspace=status.workspace,
                digest=status.digest,
                state=status.state,
                last_checked=now,
                last_fetched=now if fetched else None,
                last_activated=status.activated_at,
                policy_digest=info.policy_digest,
                trust_digest=info.trust_digest,
            ),
        )

    def _rejected(
        self, runtime: KnownRuntime, target: Revision, info: RuntimeInfo, error: BundleError
    ) -> SyncOutcome:
        reason = NackReason(code=error.code, message=error.message, hint=error.hint)
        self._registry.note_bundle(
            runtime.runtime_id,
            BundleOnRuntime(
                workspace=target.workspace,
                digest=target.digest,
                state="rejected",
                last_checked=self._clock(),
                last_error=reason,
                policy_digest=info.policy_digest,
                trust_digest=info.trust_digest,
            ),
        )
        return _outcome(runtime, "rejected", target, reason=reason)

    def _failed(self, runtime: KnownRuntime, error: BundleError) -> SyncOutcome:
        log.warning("sync of %s failed: %s", runtime.runtime_id, error.code)
        self._registry.note_failure(runtime.runtime_id, error.message, now=self._clock())
        return SyncOutcome(
            runtime_id=runtime.runtime_id,
            outcome="failed",
            reason=NackReason(code=error.code, message=error.message, hint=error.hint),
        )


def _outcome(
    runtime: KnownRuntime,
    outcome: str,
    target: Revision,
    *,
    sent: BundleFile | None = None,
    reason: NackReason | None = None,
) -> SyncOutcome:
    return SyncOutcome.model_validate(
        {
            "runtime_id": runtime.runtime_id,
            "outcome": outcome,
            "digest": target.digest,
            "base": None if sent is None else sent.base,
            "sent_bytes": 0 if sent is None else sent.size_bytes,
            "reason": reason,
        }
    )
