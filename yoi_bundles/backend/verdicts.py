"""The visibility policy, asked for every request: its answers are kept in memory."""

from __future__ import annotations

import threading
from typing import TypeAlias

from cachetools import LRUCache

from yoi_bundles.model.ids import ChannelName, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label
from yoi_bundles.model.visibility import VisibilityPolicy

VERDICTS = 65_536
"""Answers kept; the least recently used go first."""

_Question: TypeAlias = tuple[str, tuple[tuple[Name, Label], ...], str, str]


class Verdicts:
    """One visibility policy with its answers so far; another policy gets a new one of these.

    An answer follows from the policy and the question alone, so it never ages.
    """

    def __init__(self, policy: VisibilityPolicy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._known: LRUCache[_Question, bool] = LRUCache(VERDICTS)

    def is_visible(
        self,
        runtime_id: RuntimeId,
        labels: dict[Name, Label],
        workspace: WorkspaceId,
        channel: ChannelName,
    ) -> bool:
        """As `VisibilityPolicy.is_visible`."""
        # Texts, as values of ours are compared by more steps when they are equal than when not.
        question = (str(runtime_id), tuple(labels.items()), str(workspace), str(channel))
        with self._lock:
            known = self._known.get(question)
        if known is None:
            known = self._policy.is_visible(runtime_id, labels, workspace, channel)
            with self._lock:
                self._known[question] = known
        return known
