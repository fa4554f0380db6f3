"""A bare HTTP/1.1 client on one connection, so that thousands of them fit into one process."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Self


class Answer(NamedTuple):
    """Status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """One connection, kept open; use `Peer.connect`.

    Args:
        token: Sent with every request.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = f"host: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"

    @classmethod
    async def connect(cls, port: int, token: str) -> Self:
        """Open a connection to a port of this host."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, token)

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request and its answer."""
        self.send(method, path, headers, body)
        return await self.answer()

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        """A request whose answer is awaited later."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if body:
            lines += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{lines}\r\n".encode() + body)

    async def answer(self) -> Answer:
        """The answer to what was sent.

        Raises:
            ConnectionError: The connection ended, or the answer has no length.
        """
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server closed the connection") from error
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        status = int(first.split(" ", 2)[1])
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if status in {204, 304}:
            return Answer(status, headers, b"")
        if "content-length" not in headers:
            raise ConnectionError(f"an answer of status {status} without a length")
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(status, headers, body)
