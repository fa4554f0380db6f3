"""Connections whose requests wait as their heads alone: what is made of a request weighs 5 KB.

A layer of memory upon quick connections; without it the same requests wait in a task each.

Source: docs/adr/0025.
"""

from __future__ import annotations

from typing import Any

from yoi_bundles.wire.at_once.connection_parts import (
    ParkedRequest,
    TakenUp,
    encode_head,
    make_parser,
)
from yoi_bundles.wire.at_once.quick_connections import QuickConnection
from yoi_bundles.wire.at_once.waits import Parked, state_of_parked, state_of_waited


class ParkingConnection(QuickConnection):
    """One connection that keeps of a request that waits for news nothing but its head."""

    __slots__ = ("_parked", "_taken_up")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._parked: ParkedRequest | None = None
        self._taken_up: TakenUp | None = None

    @property
    def _is_answering(self) -> bool:
        return self._parked is not None or super()._is_answering

    # --- the transport's calls ---

    def connection_lost(self, exc: Exception | None) -> None:
        """End a wait with its connection."""
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; a request that waits afterwards is forgotten but for its head."""
        if self.parser is None:
            self.parser = make_parser(self)
        super().data_received(data)
        if self._parked is not None:
            self._forget_request()

    def shutdown(self) -> None:
        """The server stops: what waits for news is answered now."""
        self._end_wait()
        super().shutdown()

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        """A request's first byte; one that waits before it has its turn first, in a task."""
        self._wait_in_task()
        super().on_message_begin()
        if self._taken_up is not None:
            self.scope["state"] = self._taken_up.state

    def _answer_at_once(self) -> bool:
        if self._taken_up is not None and not self._taken_up.is_at_once:
            return False
        return super()._answer_at_once()

    def _park(self, answer: Parked, method: bytes) -> bool:
        head = encode_head(method, self.url, self.headers)
        self._parked = ParkedRequest(answer.begin(self._on_woken), head)
        return True

    def _refuse(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        if not self.transport.is_closing():
            self._wait_in_task()
        super()._refuse(status, detail, headers)

    # --- a request that waits for news ---

    def _forget_request(self) -> None:
        """Keep of a parked request nothing but its head, and of the one before nothing."""
        self.parser = self.scope = self.headers = self.cycle = None  # type: ignore[assignment]
        self._running, self.url = None, b""

    def _on_woken(self) -> None:
        if self._parked is not None and self._parked.wait.is_over:
            self._take_up(self._parked, state_of_waited(), is_at_once=True)

    def _end_wait(self) -> None:
        """Answer what is parked, whether or not there is news, as if its time was over."""
        if self._parked is not None:
            self._parked.wait.leave()
            self._take_up(self._parked, state_of_waited())

    def _wait_in_task(self) -> None:
        """Let what is parked wait on as others do: something follows, which has its turn after."""
        if self._parked is not None:
            self._take_up(self._parked, state_of_parked(self._parked.wait))

    def _take_up(
        self, parked: ParkedRequest, state: dict[str, Any], *, is_at_once: bool = False
    ) -> None:
        """Read what is parked again, as if it came just now."""
        self._parked = None
        # This may happen while a parser reads what follows.
        following, self.parser = self.parser, make_parser(self)
        self._taken_up = TakenUp(state, is_at_once)
        self.parser.feed_data(parked.head)
        self._taken_up = None
        self.parser = following or self.parser
