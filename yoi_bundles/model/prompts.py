"""Prompts: the files of a bundle that there are most of.

Source: docs/format.md, "The bundle tree, schema 1".
"""

from __future__ import annotations

from typing import NamedTuple

from yoi_bundles.model.ids import Name, PromptKey


class Prompt(NamedTuple):
    """``prompts/**/*.md``; its text stays in the tree until a Worker needs it.

    Args:
        description: What its header says it is for; None without a header.
        variables: Names that its header declares.
    """

    key: PromptKey
    description: str | None = None
    variables: tuple[Name, ...] = ()
