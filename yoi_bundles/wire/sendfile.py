"""Parts of files that the kernel sends by itself: nothing of them is copied or kept here.

The web server knows neither of ASGI's extensions for it, so a connection offers one of its own.

Source: sendfile(2); docs/adr/0027.
"""

from __future__ import annotations

import asyncio
import os

from yoi_bundles.errors import StoreError
from yoi_bundles.model.limits import MIB

SEND_FILE = "yoi_bundles.send_file"
"""In a request's extensions: sends a part of a file as the answer's body, once its head is sent."""

_TURN_BYTES = 1 * MIB
"""Sent before others have their turn, however fast the reader is."""
_FLUSH_TURNS = 4


async def send_file_part(
    transport: asyncio.Transport, descriptor: int, start: int, end: int, patience_seconds: float
) -> bool:
    """Send a part of a file on a connection, after all that was written to it before.

    Args:
        descriptor: Of the file.
        patience_seconds: How long a reader may take nothing; then the connection ends.

    Returns:
        Whether it was sent, or the connection is over. If not, nothing of it was: the connection
        is encrypted here, its reader is slow already, or this system cannot do it.

    Raises:
        StoreError: The file became shorter meanwhile.
    """
    if transport.get_extra_info("sslcontext") is not None or not hasattr(os, "sendfile"):
        return False
    for _ in range(_FLUSH_TURNS):
        # What is written is on its way at the end of the loop's turn.
        if transport.is_closing() or not transport.get_write_buffer_size():
            break
        await asyncio.sleep(0)
    else:
        return False
    if transport.is_closing():
        return True
    # The loop lets nobody wait on what a transport has; on another descriptor of it, it does.
    sock = os.dup(transport.get_extra_info("socket").fileno())
    try:
        await _send(sock, descriptor, start, end, patience_seconds)
    except (ConnectionError, TimeoutError):
        transport.abort()
    finally:
        os.close(sock)
    return True


async def _send(sock: int, descriptor: int, start: int, end: int, patience_seconds: float) -> None:
    at = start
    while at < end:
        try:
            sent = os.sendfile(sock, descriptor, at, min(end - at, _TURN_BYTES))
        except BlockingIOError:
            async with asyncio.timeout(patience_seconds):
                await _until_writable(sock)
            continue
        if not sent:
            raise StoreError("the file became shorter while it was sent")
        at += sent
        await asyncio.sleep(0)


async def _until_writable(sock: int) -> None:
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(sock, writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(sock)
