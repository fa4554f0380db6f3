"""Prompts: the files of a bundle that there are most of.

Source: docs/format.md, "The bundle tree, schema 1".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import Name, PromptKey
from yoi_bundles.model.texts import Line


class PromptHeader(Model):
    """The optional ``+++`` fence at the top of a prompt."""

    description: Line | None = None
    variables: tuple[Name, ...] = ()
    """Names the engine fills in, written ``{{name}}`` in the text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """``prompts/**/*.md``; its text stays in the tree until a Worker needs it."""

    key: PromptKey
    header: PromptHeader = field(default_factory=PromptHeader)
