"""What ends a run before it has measured, in one line instead of a traceback."""

from __future__ import annotations


class BenchError(Exception):
    """A run that cannot begin; the text says in one line why, and names what to change."""
