"""The visibility policy, asked for every request: its answers are kept in memory."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from yoi_bundles.model.ids import ChannelName, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label
from yoi_bundles.model.visibility import VisibilityPolicy

VERDICTS = 65_536
"""Answers kept; the least recently used go first."""


class VisibilityCache:
    """One visibility policy with its answers so far; another policy gets a new one of these.

    An answer follows from the policy and the question alone, so it never ages.
    """

    def __init__(self, policy: VisibilityPolicy) -> None:
        self._policy = policy
        self._known = functools.lru_cache(VERDICTS)(self._judge)

    def is_visible(
        self,
        runtime_id: RuntimeId,
        labels: Mapping[Name, Label],
        workspace: WorkspaceId,
        channel: ChannelName,
    ) -> bool:
        """As `VisibilityPolicy.is_visible`."""
        # Texts, as values of ours are compared by more steps when they are equal than when not.
        return self._known(str(runtime_id), tuple(labels.items()), str(workspace), str(channel))

    def _judge(
        self, runtime_id: str, labels: tuple[tuple[Name, Label], ...], workspace: str, channel: str
    ) -> bool:
        return self._policy.is_visible(
            RuntimeId(runtime_id), dict(labels), WorkspaceId(workspace), ChannelName(channel)
        )
