"""Globs of policies and rules: one way to match them, wherever they are asked.

Source: docs/policy.md, "First match"; Python's ``fnmatch``, whatever the case.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def has_match(globs: Iterable[str], text: str) -> bool:
    """Whether any glob (``*``, ``?``, ``[...]``) matches the whole text."""
    return any(
        # Most are one of these two, and a glob is translated before it is asked.
        glob == "*" or (glob == text and "[" not in glob) or fnmatchcase(text, glob)
        for glob in globs
    )
