"""Visibility policy as data: which Runtimes may have which workspaces. Default deny.

Source: docs/policy.md, "Visibility policy".
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yoi_bundles.model.base import Model
from yoi_bundles.model.globs import has_match
from yoi_bundles.model.host_policy import Glob
from yoi_bundles.model.ids import ChannelName, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label


class VisibilityRule(Model):
    """One ``[[rule]]``: every condition it names must hold."""

    runtimes: tuple[Glob, ...] = ("*",)
    labels: dict[Name, Label] = {}
    workspaces: Annotated[tuple[Glob, ...], Field(min_length=1)]
    channels: tuple[Glob, ...] = ("*",)

    def matches_runtime(self, runtime_id: RuntimeId, labels: dict[Name, Label]) -> bool:
        """Whether the rule speaks of this Runtime."""
        return has_match(self.runtimes, str(runtime_id)) and all(
            labels.get(key) == value for key, value in self.labels.items()
        )

    def covers(self, workspace: WorkspaceId, channel: ChannelName | None) -> bool:
        """Whether the rule opens this workspace (and channel, if one is asked for)."""
        return has_match(self.workspaces, str(workspace)) and (
            channel is None or has_match(self.channels, str(channel))
        )


class VisibilityPolicy(Model):
    """The whole file. An empty one shows nothing to anybody."""

    schema_number: Literal[1] = Field(default=1, alias="schema")
    rule: tuple[VisibilityRule, ...] = ()

    def is_visible(
        self,
        runtime_id: RuntimeId,
        labels: dict[Name, Label],
        workspace: WorkspaceId,
        channel: ChannelName | None = None,
    ) -> bool:
        """Whether a Runtime may have a workspace (and a channel of it, if named)."""
        return any(
            rule.matches_runtime(runtime_id, labels) and rule.covers(workspace, channel)
            for rule in self.rule
        )
