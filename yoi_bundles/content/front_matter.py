"""The ``+++`` fence at the top of a prompt.

Source: docs/format.md, "Prompts".
"""

from __future__ import annotations

from typing import NamedTuple

FENCE = "+++"


class FrontMatter(NamedTuple):
    """A prompt's two parts.

    Args:
        header: TOML between the fences, preceded by as many empty lines as stand before it in the
            file, so that its line numbers are the file's. None without a fence.
        body: The text after the closing fence.
        body_line: 1-based line of the body's first line in the file.
    """

    header: str | None
    body: str
    body_line: int


def parse_front_matter(text: str) -> FrontMatter | None:
    """Split a prompt; None if its fence is opened and never closed."""
    if text != FENCE and not text.startswith(FENCE + "\n"):
        return FrontMatter(None, text, 1)
    lines = text.split("\n")
    try:
        end = lines.index(FENCE, 1)
    except ValueError:
        return None
    header = "\n" + "".join(f"{line}\n" for line in lines[1:end])
    return FrontMatter(header, "\n".join(lines[end + 1 :]), end + 2)
