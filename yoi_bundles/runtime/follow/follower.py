"""Following workspaces on a Backend: ask for news, fetch what is missing, report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from yoi_bundles.errors import BundleError, MissingPrerequisiteError, TransportError, is_refusal
from yoi_bundles.model.ids import MAIN_CHANNEL, CommitId, ContentHash, WorkspaceId
from yoi_bundles.runtime.follow.listening import Listening, Rounds, spread
from yoi_bundles.runtime.host.signatures import digest_trust
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.messages.revisions import ChannelView
from yoi_bundles.wire.messages.runtimes import PutResult

log = logging.getLogger(__name__)


class Follower:
    """Keeps a Runtime's workspaces at what the Backend has.

    Args:
        workspaces: Which to follow.
        interval_seconds: Between two polls of a workspace; news are polled for at once where the
            Backend lets callers wait for them.
    """

    def __init__(
        self,
        runtime: Runtime,
        backend: BackendClient,
        workspaces: Sequence[WorkspaceId],
        *,
        interval_seconds: float,
    ) -> None:
        self._runtime = runtime
        self._backend = backend
        self._workspaces = tuple(workspaces)
        self._interval_seconds = interval_seconds
        self._etags: dict[WorkspaceId, str] = {}
        self._damaged: set[WorkspaceId] = set()
        self._rules = self._rules_now()
        self._rounds = Rounds()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Poll and listen in threads until `stop`."""
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop polling; returns when the poll under way has ended or its connection is closed."""
        self._rounds.end()
        self._backend.close()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        listening = Listening(
            self._backend,
            self._rounds,
            etag_of=self._etags.get,
            note_contact=self._note_contact,
            interval_seconds=self._interval_seconds,
        )
        if self._rounds.begin(0):
            self.poll_all()
            listening.start(self._workspaces)
        while self._rounds.begin(spread(self._interval_seconds)):
            self.poll_all()

    def poll_all(self) -> None:
        """One round over all workspaces, then a report. Never raises: the next round may do."""
        rules = self._rules_now()
        if rules != self._rules:
            # What was refused under the old ones, the new ones may accept.
            self._rules = rules
            self._etags.clear()
        for workspace in self._workspaces:
            if self._rounds.is_over:
                return
            try:
                self.poll(workspace)
            except BundleError as error:
                if self._rounds.is_over:
                    return  # `stop` closed the connection: nothing went wrong
                log.warning("following %s: %s", workspace, error.code)
                self._note_failure(workspace, error)
        try:
            self._backend.report(self._runtime.runtime_id, self._runtime.report())
        except BundleError as error:
            if not self._rounds.is_over:
                log.warning("reporting: %s", error.code)

    def _rules_now(self) -> tuple[ContentHash, ContentHash | None]:
        loaded = self._runtime.policy.current
        return loaded.digest, digest_trust(loaded.policy.trust)

    def _note_contact(self, workspace: WorkspaceId) -> None:
        try:
            self._runtime.note_contact(workspace)
        except BundleError as error:
            log.warning("noting that %s was heard of: %s", workspace, error.code)

    def _note_failure(self, workspace: WorkspaceId, failure: BundleError) -> None:
        try:
            self._runtime.note_contact(workspace, f"{failure.code}: {failure.message}")
        except BundleError as error:
            # A full disk may be why the poll failed; it must not end the following too.
            log.warning("noting why %s failed: %s", workspace, error.code)

    def poll(self, workspace: WorkspaceId) -> PutResult | None:
        """Ask for news of one workspace and take it in.

        Returns:
            What was taken in, or None if nothing is new.

        Raises:
            BundleError: The Backend could not be asked, or the bundle was refused.
        """
        self._look_for_damage(workspace)
        polled = self._backend.poll(workspace, MAIN_CHANNEL, self._etags.get(workspace))
        if polled.channel is None:
            self._runtime.note_contact(workspace)
            return None
        if polled.channel.workspace != workspace:
            raise TransportError(
                f"the Backend was asked about {workspace} and spoke of another workspace",
                retryable=False,
            )
        haves = self._runtime.held.haves(workspace)
        result = None
        if not haves or haves[0] != polled.channel.revision.commit:
            # Remembered before it is fetched: what is refused once is not fetched in a loop.
            self._etags[workspace] = polled.etag
            result = self._fetch_or_forget(polled.channel, haves)
        self._etags[workspace] = polled.etag
        if result is None or not result.status.is_current:
            self._runtime.note_contact(workspace)
        return result

    def _look_for_damage(self, workspace: WorkspaceId) -> None:
        """What has gone bad here is fetched again, though nothing is new; once, if refused."""
        if not self._runtime.held.upkeep.is_damaged(workspace):
            self._damaged.discard(workspace)
        elif workspace not in self._damaged:
            self._damaged.add(workspace)
            self._etags.pop(workspace, None)

    def _fetch_or_forget(self, channel: ChannelView, haves: tuple[CommitId, ...]) -> PutResult:
        try:
            # What is damaged is healed by whole history: it names all that was ever held.
            is_whole = self._runtime.held.upkeep.is_damaged(channel.workspace)
            return self._fetch(channel, haves, is_whole=is_whole)
        except MissingPrerequisiteError:
            return self._fetch(channel, (), is_whole=True)
        except BundleError as error:
            if not is_refusal(error):
                # Not the bundle's fault: a full disk or a lost connection may be over next time.
                self._etags.pop(channel.workspace, None)
            raise

    def _fetch(
        self, channel: ChannelView, haves: tuple[CommitId, ...], *, is_whole: bool
    ) -> PutResult:
        digest = channel.revision.digest
        with self._runtime.held.begin(channel.workspace) as upload:
            self._backend.fetch_bundle(
                channel.workspace, digest, _thin_out(haves), upload.write, is_whole=is_whole
            )
            return self._runtime.held.accept(channel.workspace, digest, upload)


def _thin_out(haves: Sequence[CommitId]) -> list[CommitId]:
    """The newest four, then ever fewer: an increment rarely needs an older one.

    Source: git's skipping negotiation, ``fetch.negotiationAlgorithm`` in git-config.
    """
    return [have for place, have in enumerate(haves) if place < 4 or not place & (place + 1)]
