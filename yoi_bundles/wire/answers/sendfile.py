"""Parts of files that the kernel sends by itself: nothing of them is copied or kept here.

The web server knows neither of ASGI's extensions for it, so a connection offers one of its own.

Source: sendfile(2); docs/adr/0027 and 0030.
"""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from yoi_bundles.errors import StoreError
from yoi_bundles.model.limits import KIB, MIB

UNREAD_BYTES = 48 * KIB
"""What the reader of an answer takes at least in the time it has for that."""

SEND_FILE = "yoi_bundles.send_file"
"""In a request's extensions: sends a part of a file as the answer's body, once its head is sent."""

LEAST_BYTES = 4 * MIB
"""Of a part that the kernel sends; what is smaller is written as cheaply (docs/adr/0030)."""

_TURN_BYTES = 1 * MIB
"""Sent before others have their turn, however fast the reader is."""
_FLUSH_TURNS = 4


class FilePart(NamedTuple):
    """Bytes of an open file, from an offset to another."""

    descriptor: int
    start: int
    end: int


async def send_file_part(
    transport: asyncio.Transport, part: FilePart, unread_seconds: float, wake: asyncio.Event
) -> bool:
    """Send a part of a file on a connection, after all that was written to it before.

    Args:
        unread_seconds: A reader takes `UNREAD_BYTES` in each such time, or the connection ends.
        wake: To be set when the connection is lost: what is sent ends with it.

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
        await _send(transport, sock, part, unread_seconds, wake)
    except (ConnectionError, TimeoutError):
        transport.abort()
    finally:
        os.close(sock)
    return True


async def _send(
    transport: asyncio.Transport,
    sock: int,
    part: FilePart,
    unread_seconds: float,
    wake: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    at = taken = part.start
    since = loop.time()
    # The second descriptor would stay open, and be sent to, when the connection is over and no
    # bound counts it any more.
    while at < part.end and not transport.is_closing():
        try:
            sent = os.sendfile(sock, part.descriptor, at, min(part.end - at, _TURN_BYTES))
        except BlockingIOError:
            async with asyncio.timeout_at(since + unread_seconds):
                await _until_writable(sock, wake)
            continue
        if not sent:
            raise StoreError("the file became shorter while it was sent")
        at += sent
        if at - taken >= UNREAD_BYTES:
            taken, since = at, loop.time()
        await asyncio.sleep(0)


async def _until_writable(sock: int, wake: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    wake.clear()
    loop.add_writer(sock, wake.set)
    try:
        await wake.wait()
    finally:
        loop.remove_writer(sock)
