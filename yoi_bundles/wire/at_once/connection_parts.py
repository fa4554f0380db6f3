"""Parts of a connection that weigh less than the library's: a server has thousands of them.

Source: docs/adr/0025.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.flow_control import FlowControl

from yoi_bundles.wire.at_once.waits import Wait
from yoi_bundles.wire.messages.problems import PROBLEM_MEDIA_TYPE, encode_http_problem

Address = tuple[str, int | None] | None


class Flow(FlowControl):
    """As the library's, but an event, which weighs as much as all else of it, only when needed."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        if not self.write_paused:
            self._is_writable_event = asyncio.Event()
        super().pause_writing()

    async def drain(self) -> None:
        """Return when there is room in it."""
        if self.write_paused:
            await super().drain()


class Pipeline(list[Any]):
    """Requests that came before their turn, the newest first; as much of a deque as is used."""

    def appendleft(self, request: object) -> None:
        """Put one behind all others."""
        self.insert(0, request)


class ParkedRequest(NamedTuple):
    """All that is kept of a request while it waits for news; what is made of it weighs 5 KB."""

    wait: Wait[Any]
    head: bytes
    """As `encode_head` makes it."""


class TakenUp(NamedTuple):
    """How a request that was parked is taken up again."""

    state: dict[str, Any]
    """Of its scope, from the beginning."""
    is_at_once: bool
    """Whether it may be answered before there is a task."""


def encode_head(method: bytes, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head of HTTP/1.1 that a parser makes these of, as one of ours has made them of a head.

    Source: RFC 9112 section 2.1.
    """
    lines = [b"%b %b HTTP/1.1" % (method, url), *map(b": ".join, headers), b"", b""]
    return b"\r\n".join(lines)


def make_parser(protocol: object) -> httptools.HttpRequestParser:
    """A parser as the library makes it for each connection: data after the last request is none."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


@lru_cache(64)
def same_address(address: Address) -> Address:
    """An address of this server: one value for all connections, and not one with each."""
    return address


def encode_refusal(status: int, detail: str, headers: dict[str, str]) -> bytes:
    """A whole answer that ends a connection, with a problem document."""
    body = json.dumps(encode_http_problem(status, detail)).encode()
    fixed = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (fixed | headers).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
