"""Connections bounded: how long a head may take, how large it may be, and how many there may be.

The server behind knows a time between requests and nothing else, so this is its protocol with what
it lacks. Everything here happens before there is a request, or when its bytes are none. What makes
answers quicker and waits smaller is put on top, in modules of their own, and can be left out.

Source: RFC 9110 sections 15.5.9 (408) and 15.6.4 (503); RFC 6585 section 5 (431).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from yoi_bundles.model.limits import KIB
from yoi_bundles.wire.answers.sendfile import UNREAD_BYTES
from yoi_bundles.wire.at_once.connection_parts import Flow, Pipeline, encode_refusal, same_address
from yoi_bundles.wire.at_once.waits import LEFT

BUSY_SECONDS = 5
"""What a caller is told to wait when there are too many connections."""

CountRefusal = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections of one server."""

    connections: int = 8192
    """At a time; one that waits for news takes about 5 KB."""
    head_seconds: float = 10.0
    """From the connection, or a request's first byte, to the end of the request's head."""
    idle_seconds: float = 30.0
    """Between two requests."""
    unread_seconds: float = 60.0
    """While an answer waits for its reader, this one takes `UNREAD_BYTES` in each such time."""
    head_bytes: int = 64 * KIB
    """Of a head, of trailers, or of anything else that is no body."""


DEFAULT_CONNECTION_LIMITS = ConnectionLimits()


class BoundedConnection(HttpToolsProtocol):
    """One connection, and the bounds of what may come on it.

    Args:
        limits: Its bounds.
        count_refusal: Told the status of each answer that is given here.
        on_shutdown: Called when the server stops, for each connection.
    """

    # What the library keeps is just few enough that Python shares the names among all connections.
    __slots__ = (
        "_count_refusal",
        "_fruitless_bytes",
        "_has_said_something",
        "_head_timer",
        "_is_in_head",
        "_on_shutdown",
        "_running",
        "_unread_timer",
        "_when_left",
        "bounds",
    )

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        limits: ConnectionLimits,
        count_refusal: CountRefusal,
        on_shutdown: Callable[[], None],
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.bounds = limits
        self._count_refusal = count_refusal
        self._on_shutdown = on_shutdown
        # Hardly anybody sends a request before the last one is answered, and an empty deque takes
        # 700 bytes of each connection.
        self.pipeline = Pipeline()  # type: ignore[assignment]
        self._running: RequestResponseCycle | None = None
        self._when_left: Callable[[], None] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._has_said_something = False
        self._fruitless_bytes = 0

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # --- the transport's calls ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.server = same_address(self.server)
        if len(self.connections) > self.bounds.connections:
            self._refuse(503, "too many connections", {"retry-after": str(BUSY_SECONDS)})
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection, and all that would keep it in memory."""
        self._stop_head_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._running is not None:
            # The library tells the newest request alone, which may wait behind this one.
            self._running.disconnected = True
            self._running.message_event.set()
        if self._when_left is not None:
            self._when_left()
        # All name this connection: it would stay until there is a collection of all garbage.
        self._running = self.scope = self.cycle = None  # type: ignore[assignment]

    def call_when_left(self, callback: Callable[[], None] | None) -> None:
        """Call this one when the connection is lost: its request waits, and does not see it."""
        self._when_left = callback

    def data_received(self, data: bytes) -> None:
        """Parse; what leads to neither a head nor a body may not go on for ever."""
        if self.transport.is_closing():
            return
        self._has_said_something = True
        self._fruitless_bytes += len(data)
        super().data_received(data)
        if self._fruitless_bytes > self.bounds.head_bytes:
            self._refuse(431, f"the head is larger than {self.bounds.head_bytes} bytes")
        elif self._is_in_head or not (self._is_answering or self.timeout_keep_alive_task):
            # What came has ended the time between requests, so another must run. Most heads come
            # at once, and need none.
            self._start_head_timer()

    def pause_writing(self) -> None:
        """Give the reader of an answer some time to read on."""
        super().pause_writing()
        if self._unread_timer is None:
            self._watch_reader()

    def _watch_reader(self) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(
            self.bounds.unread_seconds, self._on_slow_reader, unread_bytes
        )

    def _on_slow_reader(self, before_bytes: int) -> None:
        if before_bytes - self.transport.get_write_buffer_size() < UNREAD_BYTES:
            self.transport.abort()
        else:
            self._watch_reader()

    def resume_writing(self) -> None:
        """The reader reads."""
        self._stop_unread_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """The server stops: what is under way may end."""
        super().shutdown()
        self._on_shutdown()

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self.scope["extensions"] = self._offer()
        self._is_in_head = True

    def _offer(self) -> dict[str, Any]:
        """What a request may use of its connection."""
        return {LEFT: self.call_when_left}

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers come here too and are dropped: nobody has judged them."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: from here on the body is timed, by the request's middleware."""
        self._is_in_head = False
        self._fruitless_bytes = 0
        self._stop_head_timer()
        self._begin_request()

    def _begin_request(self) -> None:
        """The head is within bounds: let a task answer."""
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._fruitless_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The answer is out; the rest of the body it did not wait for is timed as a head is."""
        super().on_response_complete()
        self._fruitless_bytes = 0

    # --- ends ---

    def send_400_response(self, msg: str) -> None:
        """What the library calls when bytes are no request."""
        self._refuse(400, "this is no HTTP request with one reading")

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._on_slow_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _on_slow_head(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._has_said_something:
            self._refuse(408, f"the head took longer than {self.bounds.head_seconds:g} seconds")
        else:
            # Browsers open connections ahead of need, and would take an answer for another's.
            self.transport.close()

    def _refuse(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer and close; an answer under way is never mixed with another one."""
        if self.transport.is_closing():
            return
        if self._is_answering and not self.cycle.more_body:
            # The fault is in what follows a whole request: that one is answered first.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if self._is_answering and self.cycle.response_started:
            self.transport.abort()
            return
        if not self._is_answering:
            # Otherwise the request counts, with the answer that nobody gets.
            self._count_refusal(status)
        self.transport.write(encode_refusal(status, detail, headers or {}))
        self.transport.close()
