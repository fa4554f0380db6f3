"""Finished files as answers: validators, ranges and a digest of the whole, without a thread a part.

Source: RFC 9110 sections 13 (conditional requests) and 14 (ranges); RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import base64
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from yoi_bundles.errors import StoreError
from yoi_bundles.model.limits import KIB
from yoi_bundles.wire.answers.responses import (
    EncodedResponse,
    find_header,
    http_problem_response,
    is_unchanged,
    problem_response,
)
from yoi_bundles.wire.answers.sendfile import LEAST_BYTES, SEND_FILE

CHUNK_BYTES = 256 * KIB
"""Read and sent at a time; a reader that is slow costs this much memory."""

_KEPT_HEADERS = 1024

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class ImmutableFile(Protocol):
    """A file that never changes under its validator."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def size_bytes(self) -> int:
        """Its length."""

    @property
    def etag(self) -> str:
        """Strong validator, quoted."""

    @property
    def sha256(self) -> bytes:
        """Of all of it."""

    @property
    def content(self) -> bytes | None:
        """All of it, if it is in memory."""


def answer_file(scope: Scope, file: ImmutableFile, media_type: str) -> Response:
    """The answer to a GET or HEAD: 200, 206, 304 or 416.

    One range is answered; several, or what is none, count as not asked for.
    """
    headers = [*_validators(file.etag, file.sha256)]
    if is_unchanged(scope, file.etag):
        return EncodedResponse(304, headers)
    start, end, status = 0, file.size_bytes, 200
    asked = _asked_range(scope, file)
    if asked is not None:
        start, end = asked
        if start >= end:
            refused = {name.decode(): value.decode() for name, value in headers}
            refused["content-range"] = f"bytes */{file.size_bytes}"
            return http_problem_response(416, "the range begins after the end", refused)
        headers.append(_header("content-range", f"bytes {start}-{end - 1}/{file.size_bytes}"))
        status = 206
    headers += _header("content-type", media_type), _header("content-length", str(end - start))
    if scope["method"] == "HEAD":
        return EncodedResponse(status, headers)
    if file.content is not None:
        return EncodedResponse(status, headers, file.content[start:end])
    return _PartResponse(file.path, start, end, status, headers)


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode("latin-1"), value.encode("latin-1")


@lru_cache(_KEPT_HEADERS)
def _validators(etag: str, sha256: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Headers of every answer about a file."""
    return (
        _header("etag", etag),
        # Who may see it is decided each time, so no shared cache may answer.
        _header("cache-control", "private, max-age=31536000, immutable"),
        _header("accept-ranges", "bytes"),
        _header("repr-digest", f"sha-256=:{base64.b64encode(sha256).decode()}:"),
    )


def _asked_range(scope: Scope, file: ImmutableFile) -> tuple[int, int] | None:
    """Where the range that is asked for begins and ends; empty if it is not in the file."""
    text = find_header(scope, b"range")
    if text is None or scope["method"] != "GET":
        return None
    if find_header(scope, b"if-range") not in {None, file.etag}:
        return None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, file.size_bytes - int(last)), file.size_bytes
    end = min(int(last) + 1, file.size_bytes) if last else file.size_bytes
    if last and int(last) < int(first):
        return None
    return int(first), end


class _PartResponse(EncodedResponse):
    """Bytes of a file: sent by the kernel, or read in chunks, which is faster than in a thread."""

    def __init__(
        self, path: Path, start: int, end: int, status: int, headers: list[tuple[bytes, bytes]]
    ) -> None:
        super().__init__(status, headers)
        self._path = path
        self._start, self._end = start, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the bytes; never more than a chunk ahead of the reader."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            gone = StoreError("the file was taken away just now", hint="ask again: it is made anew")
            await problem_response(gone)(scope, receive, send)
            return
        try:
            start = {"type": "http.response.start", "status": self.status_code}
            await send(start | {"headers": self.raw_headers})
            is_large = self._end - self._start >= LEAST_BYTES
            send_file = scope.get("extensions", {}).get(SEND_FILE) if is_large else None
            if send_file is not None and await send_file(descriptor, self._start, self._end):
                await send({"type": "http.response.body"})
            else:
                await self._send_chunks(descriptor, send)
        finally:
            os.close(descriptor)

    async def _send_chunks(self, descriptor: int, send: Send) -> None:
        at = self._start
        while at < self._end:
            chunk = os.pread(descriptor, min(CHUNK_BYTES, self._end - at), at)
            if not chunk:
                raise StoreError("the file became shorter while it was sent")
            at += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": at < self._end})
