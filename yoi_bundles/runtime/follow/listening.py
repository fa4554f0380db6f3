"""Waiting for news of each workspace in a thread of its own, between two rounds of polls."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence

from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import MAIN_CHANNEL, WorkspaceId
from yoi_bundles.wire.client.backend_client import BackendClient

log = logging.getLogger(__name__)

WAIT_SECONDS = 30
"""How long one request waits for news; proxies cut what is silent for much longer."""
MAX_LISTENED = 16
"""Workspaces that are listened to; news of further ones are found by polls alone."""
JITTER = 0.2
"""Part of a pause by which it is spread, so that a fleet does not ask in step."""

_FIRST_PAUSE_SECONDS = 0.5


def spread(seconds: float) -> float:
    """A pause of about so long."""
    return seconds * (1 + JITTER * (2 * random.random() - 1))  # noqa: S311


class Rounds:
    """When the next round of polls is due: after a pause, or as soon as there is news."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._begun = 0
        self._finished = 0
        self._is_due = True
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether `end` was called."""
        return self._is_over

    def begin(self, pause_seconds: float) -> bool:
        """Wait until the next round is due.

        Returns:
            False if there is none any more.
        """
        with self._condition:
            self._finished = self._begun
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_due or self._is_over, pause_seconds)
            self._is_due = False
            self._begun += 1
            return not self._is_over

    def demand(self) -> None:
        """Have a round now; returns when one that began after this call has ended."""
        with self._condition:
            self._is_due = True
            self._condition.notify_all()
            self.join()

    def join(self) -> None:
        """Return when a round that began after this call has ended, or all is over."""
        with self._condition:
            begun = self._begun
            self._condition.wait_for(lambda: self._finished > begun or self._is_over)

    def pause(self, seconds: float) -> None:
        """Wait, or until all is over."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_over, seconds)

    def end(self) -> None:
        """Let nobody wait any more."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()


class Listening:
    """Demands a round of polls whenever the Backend has news.

    Args:
        etag_of: What is known of a workspace's channel; None: a round of polls must find out.
        note_contact: Told of each answer without news.
        interval_seconds: The pause after news that a round could do nothing about.
    """

    def __init__(
        self,
        backend: BackendClient,
        rounds: Rounds,
        *,
        etag_of: Callable[[WorkspaceId], str | None],
        note_contact: Callable[[WorkspaceId], None],
        interval_seconds: float,
    ) -> None:
        self._backend = backend
        self._rounds = rounds
        self._etag_of = etag_of
        self._note_contact = note_contact
        self._interval_seconds = interval_seconds

    def start(self, workspaces: Sequence[WorkspaceId]) -> None:
        """Listen in threads that end with the rounds."""
        for workspace in workspaces[:MAX_LISTENED]:
            threading.Thread(
                target=self.run, args=(workspace,), name=f"listen-{workspace}", daemon=True
            ).start()

    def run(self, workspace: WorkspaceId) -> None:
        """Listen until the rounds are over, or the Backend turns out not to let anybody wait."""
        failures = 0
        while not self._rounds.is_over:
            etag = self._etag_of(workspace)
            if etag is None:
                self._rounds.join()
                continue
            try:
                is_served = self._listen(workspace, etag)
            except BundleError as error:
                failures += 1
                log.info("listening to %s: %s", workspace, error.code)
                longest = min(self._interval_seconds, _FIRST_PAUSE_SECONDS * 2**failures)
                self._rounds.pause(spread(longest))
                continue
            failures = 0
            if not is_served:
                return

    def _listen(self, workspace: WorkspaceId, etag: str) -> bool:
        """One wait, and the round that its news are worth.

        Returns:
            Whether the Backend lets callers wait.

        Raises:
            BundleError: It could not be asked.
        """
        polled = self._backend.poll(workspace, MAIN_CHANNEL, etag, wait_seconds=WAIT_SECONDS)
        if self._rounds.is_over or not polled.has_waited:
            return False
        if polled.channel is None:
            self._note_contact(workspace)
            return True
        self._rounds.demand()
        if self._etag_of(workspace) == etag:
            self._rounds.pause(spread(self._interval_seconds))
        return True
