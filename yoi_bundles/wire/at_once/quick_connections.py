"""Connections that answer at once: a request without a body, if its answer is at hand.

A layer of speed upon bounded connections; without it the same answers come from a task each. Large
files are sent by the kernel.

Source: docs/adr/0020 and 0027.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from yoi_bundles.wire.answers.responses import EncodedResponse
from yoi_bundles.wire.answers.sendfile import SEND_FILE, FilePart, send_file_part
from yoi_bundles.wire.at_once.connections import BoundedConnection
from yoi_bundles.wire.at_once.waits import Parked

_BODILESS = frozenset({b"GET", b"HEAD"})

FindAnswer = Callable[[Scope], EncodedResponse | None]


class QuickConnection(BoundedConnection):
    """One connection whose requests are answered without a task, where that can be.

    Args:
        at_once: Asked for an answer before a task is made of a request; see `AtOnce`.
    """

    __slots__ = ("_at_once", "_is_answered")

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        at_once: FindAnswer,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._is_answered = False

    def _offer(self) -> dict[str, Any]:
        return super()._offer() | {SEND_FILE: self.send_file}

    async def send_file(self, descriptor: int, start: int, end: int) -> bool:
        """See `send_file_part`; who gets True has only to say that the answer is complete."""
        running = self._running
        if running is None:
            return True
        wake, part = asyncio.Event(), FilePart(descriptor, start, end)
        self.call_when_left(wake.set)
        try:
            is_sent = await send_file_part(self.transport, part, self.bounds.unread_seconds, wake)
        finally:
            self.call_when_left(None)
        if is_sent:
            running.expected_content_length -= end - start
        return is_sent

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self._is_answered = False

    def _begin_request(self) -> None:
        self._is_answered = self._answer_at_once()
        if not self._is_answered:
            super()._begin_request()

    def on_message_complete(self) -> None:
        """The whole request is there."""
        if not self._is_answered:
            super().on_message_complete()

    def _answer_at_once(self) -> bool:
        """Answer a request without a body, if nothing is before it and it is at hand.

        Not while anything is unsent: who sends requests and reads no answers gets one at a time.
        """
        method, is_busy = self.parser.get_method(), self._is_answering or self.pipeline
        if method not in _BODILESS or is_busy or self.transport.get_write_buffer_size():
            return False
        if self.parser.get_http_version() != "1.1" or self.parser.should_upgrade():
            return False
        url = httptools.parse_url(self.url)
        if b"%" in url.path:
            return False
        scope: Scope = {
            "type": "http", "method": method.decode("ascii"), "path": url.path.decode("ascii"),
            "query_string": url.query or b"", "headers": self.headers,
            "state": dict(self.scope["state"]),
        }  # fmt: skip
        try:
            answer = self._at_once(scope)
        except Exception:  # noqa: BLE001  (the other way comes upon it too, and says so)
            return False
        if isinstance(answer, Parked):
            return self._park(answer, method)
        if answer is not None:
            self._write(answer, is_head=method == b"HEAD")
        return answer is not None

    def _park(self, answer: Parked, method: bytes) -> bool:
        """Whether a request that has to wait is taken care of; else it waits in a task."""
        return False

    def _write(self, answer: EncodedResponse, *, is_head: bool) -> None:
        lines = [STATUS_LINE[answer.status_code]]
        for name, value in (*self.server_state.default_headers, *answer.raw_headers):
            lines += name, b": ", value, b"\r\n"
        is_last = not self.parser.should_keep_alive()
        lines += [b"connection: close\r\n"] * is_last
        lines.append(b"\r\n")
        self.transport.writelines([b"".join(lines), b"" if is_head else answer.body])
        if is_last:
            self.transport.close()
        self.on_response_complete()
