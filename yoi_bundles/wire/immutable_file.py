"""Finished files as answers: validators, ranges and a digest of the whole, without a thread a part.

Source: RFC 9110 sections 13 (conditional requests) and 14 (ranges); RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from yoi_bundles.errors import StoreError
from yoi_bundles.model.limits import KIB
from yoi_bundles.wire.responses import http_problem_response, is_unchanged

CHUNK_BYTES = 256 * KIB
"""Read and sent at a time; a reader that is slow costs this much memory."""

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


def answer_file(request: Request, file: ImmutableFile, media_type: str) -> Response:
    """The answer to a GET or HEAD: 200, 206, 304 or 416.

    One range is answered; several, or what is none, count as not asked for.
    """
    headers = {
        "etag": file.etag,
        # Who may see it is decided each time, so no shared cache may answer.
        "cache-control": "private, max-age=31536000, immutable",
        "accept-ranges": "bytes",
        "repr-digest": f"sha-256=:{base64.b64encode(file.sha256).decode()}:",
    }
    if is_unchanged(request, file.etag):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, file.size_bytes, 200
    asked = _asked_range(request, file)
    if asked is not None:
        start, end = asked
        if start >= end:
            refused = {**headers, "content-range": f"bytes */{file.size_bytes}"}
            return http_problem_response(416, "the range begins after the end", refused)
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
        status = 206
    headers |= {"content-type": media_type, "content-length": str(end - start)}
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return _PartResponse(file, start, end, status, headers)


def _asked_range(request: Request, file: ImmutableFile) -> tuple[int, int] | None:
    """Where the range that is asked for begins and ends; empty if it is not in the file."""
    text = request.headers.get("range")
    if text is None or request.method != "GET":
        return None
    if request.headers.get("if-range", file.etag) != file.etag:
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


class _PartResponse(Response):
    """Bytes of a file, from memory or read in chunks: a page cache answers faster than a thread."""

    def __init__(
        self, file: ImmutableFile, start: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        self.status_code = status
        self.background = None
        self.init_headers(headers)
        self._file = file
        self._start, self._end = start, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the bytes; never more than a chunk ahead of the reader."""
        head = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        content = self._file.content
        if content is not None:
            await send(head)
            body = content[self._start : self._end]
            await send({"type": "http.response.body", "body": body})
            return
        try:
            descriptor = os.open(self._file.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise StoreError(
                "the file was taken away just now", hint="ask again: it is made anew"
            ) from None
        try:
            await send(head)
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
