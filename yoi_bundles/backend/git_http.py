"""Read-only smart HTTP for ``git clone``, by the git binary of this machine.

Only ``git-upload-pack`` is ever started; there is no code path to a push.

Source: gitprotocol-http, "Smart Clients"; git-upload-pack(1) ``--stateless-rpc``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from yoi_bundles.errors import InvalidInputError, StoreError, TooLargeError
from yoi_bundles.model.limits import MIB

SERVICE = "git-upload-pack"
REQUEST_BYTES = 4 * MIB
"""A clone's wants and haves; far more than any clone of a bundle repository sends."""
CHUNK_BYTES = 64 * 1024
_NO_CACHE = {"cache-control": "no-cache, max-age=0, must-revalidate"}


async def advertise_refs(repository: Path, request: Request) -> Response:
    """Answer ``GET info/refs?service=git-upload-pack``.

    Raises:
        InvalidInputError: Another service: this is read-only.
        StoreError: git is not installed here, or it failed.
    """
    if request.query_params.get("service") != SERVICE:
        raise InvalidInputError("only git-upload-pack is served", hint="git clone, git fetch")
    process = await _start(repository, request, "--advertise-refs")
    try:
        out, _ = await asyncio.wait_for(process.communicate(), timeout=30)
    finally:
        await _stop(process)
    if process.returncode != 0:
        raise StoreError("git could not list the refs")
    head = b"" if _is_v2(request) else _packet(f"# service={SERVICE}\n") + b"0000"
    return Response(
        head + out, media_type=f"application/x-{SERVICE}-advertisement", headers=_NO_CACHE
    )


async def upload_pack(repository: Path, request: Request) -> Response:
    """Answer ``POST git-upload-pack``.

    Raises:
        InvalidInputError: A content encoding git does not use.
        TooLargeError: The request is larger than any clone's.
        StoreError: git is not installed here.
    """
    body = await _body(request)
    process = await _start(repository, request)
    return StreamingResponse(
        _converse(process, body), media_type=f"application/x-{SERVICE}-result", headers=_NO_CACHE
    )


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > REQUEST_BYTES:
            raise _too_large()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return bytes(data)
    if encoding not in {"gzip", "x-gzip"}:
        raise InvalidInputError("unknown content encoding", hint="gzip or none")
    return _inflate(bytes(data))


def _inflate(data: bytes) -> bytes:
    """The whole of a gzip stream, never more than a request may have."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, REQUEST_BYTES + 1)
    except zlib.error:
        raise InvalidInputError("the git request is not gzip") from None
    if len(inflated) > REQUEST_BYTES:
        raise _too_large()
    if not stream.eof:
        raise InvalidInputError("the git request's gzip stream is cut short")
    return inflated


def _too_large() -> TooLargeError:
    return TooLargeError(
        "the git request is too large", limit=REQUEST_BYTES, limit_name="git_request_bytes"
    )


def _is_v2(request: Request) -> bool:
    return "version=2" in request.headers.get("git-protocol", "")


async def _start(repository: Path, request: Request, *flags: str) -> asyncio.subprocess.Process:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        # The repository is the Backend's own, whoever git thinks owns it.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    if _is_v2(request):
        environment["GIT_PROTOCOL"] = "version=2"
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            "upload-pack",
            "--strict",
            "--stateless-rpc",
            *flags,
            str(repository),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
    except FileNotFoundError:
        raise StoreError("git is not installed on the Backend's machine") from None


async def _converse(process: asyncio.subprocess.Process, body: bytes) -> AsyncIterator[bytes]:
    if process.stdin is None or process.stdout is None:
        raise StoreError("git could not be started")
    try:
        process.stdin.write(body)
        process.stdin.close()
        while chunk := await process.stdout.read(CHUNK_BYTES):
            yield chunk
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End git, if it runs still: all that was wanted of it has been read, or nobody reads on.

    It is killed before anything is awaited: when the caller went away, this very task is cancelled,
    and each await only says so again.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _packet(text: str) -> bytes:
    """A pkt-line (gitprotocol-common)."""
    return f"{len(text) + 4:04x}{text}".encode("ascii")
