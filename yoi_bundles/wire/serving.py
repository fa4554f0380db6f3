"""Starting a server: where it may listen, with what, and how it stops."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from yoi_bundles.errors import InvalidInputError, StoreError

GRACEFUL_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how a server listens.

    Args:
        port: 0 takes a free one.
        insecure: Allow another address than loopback without TLS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False

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
    """Serve until SIGINT or SIGTERM.

    Args:
        announce: Called with the base URL once the socket is bound.

    Raises:
        BundleError: As `bind`.
    """
    configure_logging(log_level)
    sock = bind(listen)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_keep_alive=30,
        ssl_certfile=listen.certificate,
        ssl_keyfile=None if listen.key is None else str(listen.key),
    )
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    with sock:
        announce(f"{listen.scheme}://{host}:{sock.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[sock])


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error, for the library's own loggers too."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These say at INFO what the request line says already.
    for noisy in ("httpx2", "httpcore2", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
