"""Starting a server: where it may listen, with what, and how it stops."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import logging
import math
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import stamina.instrumentation
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from yoi_bundles.errors import InvalidInputError, StoreError
from yoi_bundles.wire.at_once.connections import (
    DEFAULT_CONNECTION_LIMITS,
    BoundedConnection,
    ConnectionLimits,
)
from yoi_bundles.wire.at_once.parking_connections import ParkingConnection
from yoi_bundles.wire.at_once.quick_connections import QuickConnection

GRACEFUL_SECONDS = 5
BACKLOG = 2048
"""Connections that may wait to be accepted."""
SPARE_FILES = 1024
"""Files beside connections: repositories, packs, checkouts, the database."""


ConnectionKind: TypeAlias = Literal["parking", "quick", "bounded"]
"""Each has what those after it have: small waits, answers at once, bounds. All answer alike."""

CONNECTION_KINDS: tuple[ConnectionKind, ...] = get_args(ConnectionKind)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how a server listens.

    Args:
        port: 0 takes a free one.
        insecure: Allow another address than loopback without TLS.
        connections: Which layers a connection has; fewer, if one is suspected of a fault.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False
    connections: ConnectionKind = "parking"

    @property
    def scheme(self) -> str:
        """``https`` with TLS files, else ``http``."""
        return "https" if self.certificate is not None else "http"


def verify_listen(listen: Listen) -> None:
    """Refuse an address on which tokens and bundles would cross a network in the clear.

    Raises:
        InvalidInputError: Not loopback, no TLS files and no ``--insecure``; or half a TLS pair.
    """
    if (listen.certificate is None) != (listen.key is None):
        raise InvalidInputError("--tls-cert and --tls-key belong together")
    if listen.certificate is not None or listen.insecure or _is_loopback(listen.host):
        return
    raise InvalidInputError(
        f"will not listen on {listen.host} without TLS",
        hint="give --tls-cert and --tls-key, or --insecure behind a proxy that does TLS",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(listen: Listen) -> socket.socket:
    """A listening socket.

    Raises:
        InvalidInputError: See `verify_listen`.
        StoreError: The address is taken or not ours.
    """
    verify_listen(listen)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listen.host, listen.port))
        # From here on a caller waits instead of being refused, and a second server fails to bind.
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StoreError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror}",
            hint="is another server running there? --port 0 takes a free port",
        ) from None
    return sock


def serve(
    app: ASGIApp, listen: Listen, *, announce: Callable[[str], None], log_level: str = "info"
) -> None:
    """Serve until SIGINT or SIGTERM; returns after SIGTERM, so that the caller can clean up.

    Args:
        announce: Called with the base URL once connections are taken.

    Raises:
        BundleError: As `bind`.
        InvalidInputError: The TLS files cannot be used.
    """
    _verify_tls(listen)
    sock = bind(listen)
    configure_logging(log_level)
    config = make_config(app, listen)
    allow_files(DEFAULT_CONNECTION_LIMITS.connections + SPARE_FILES)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    server = uvicorn.Server(config)
    with sock, _stopping(server):
        announce(f"{listen.scheme}://{host}:{sock.getsockname()[1]}")
        server.run(sockets=[sock])


def make_config(
    app: ASGIApp,
    listen: Listen,
    *,
    limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS,
    graceful_seconds: int = GRACEFUL_SECONDS,
) -> uvicorn.Config:
    """How every server of this project is run.

    Args:
        limits: Bounds of its connections.
        graceful_seconds: How long a request may go on after the server was told to stop.
    """
    return uvicorn.Config(
        app,
        http=cast("type[BoundedConnection]", _make_protocol(app, listen.connections, limits)),
        interface="asgi3",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=graceful_seconds,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        ssl_certfile=listen.certificate,
        ssl_keyfile=None if listen.key is None else str(listen.key),
    )


def _make_protocol(
    app: ASGIApp, kind: ConnectionKind, limits: ConnectionLimits
) -> functools.partial[BoundedConnection]:
    """What makes a connection, with all but what the server gives it."""
    state = app.state if isinstance(app, FastAPI) else None
    kinds: dict[ConnectionKind, type[BoundedConnection]] = {
        "parking": ParkingConnection, "quick": QuickConnection, "bounded": BoundedConnection
    }  # fmt: skip
    at_once = (lambda scope: None) if state is None else state.at_once
    return functools.partial(
        kinds[kind],
        limits=limits,
        count_refusal=lambda status: None if state is None else state.metrics.count_refusal(status),
        on_shutdown=lambda: None if state is None else state.end_waits(),
        **({} if kind == "bounded" else {"at_once": at_once}),
    )


def allow_files(wanted: int) -> None:
    """Let this process open so many files, as far as the system lets it choose."""
    try:
        import resource
    except ImportError:  # Windows has no such bound.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextlib.contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Stop the server on SIGTERM and SIGINT, whenever these come.

    The server has handlers of its own only while it runs; it raises what they caught again for
    its caller afterwards, which must not end the process before the caller has cleaned up.

    Raises:
        KeyboardInterrupt: After the server has stopped, if SIGINT came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []

    def stop(number: int, frame: object) -> None:
        seen.append(number)
        server.should_exit = True

    previous = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)
    if signal.SIGINT in seen:
        raise KeyboardInterrupt


def _verify_tls(listen: Listen) -> None:
    if listen.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listen.certificate, listen.key)
    except OSError as error:
        raise InvalidInputError(
            f"the TLS files cannot be used: {error.strerror or type(error).__name__}",
            hint="--tls-cert and --tls-key are PEM files that belong to each other",
        ) from None


class _JsonLines(logging.Formatter):
    """A record as one line of JSON, which escapes whatever steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error, for the library's own loggers too."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    # Its default is to print to standard output if structlog happens to be installed.
    stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These say at INFO what the request line says already.
    for noisy in ("httpx2", "httpcore2", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
