"""SIGHUP reads policies again while a server runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def reloading(reload: Callable[[], object]) -> Iterator[None]:
    """Call ``reload`` at each SIGHUP while the block runs.

    Args:
        reload: Never raises; may be interrupted by itself.
    """

    def on_signal(number: int, frame: object) -> None:
        reload()

    previous = signal.signal(signal.SIGHUP, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)
