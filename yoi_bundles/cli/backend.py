"""``yoi-bundles backend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from yoi_bundles.cli.extras import needs_server_extra
from yoi_bundles.cli.options import (
    data_option,
    listen_options,
    open_backend,
    request_options,
    runtime_ca_option,
    visibility_option,
)
from yoi_bundles.cli.reloading import reloading
from yoi_bundles.cli.service_manager import announce_ready
from yoi_bundles.cli.tokens import token_group
from yoi_bundles.cli.upkeep import backend_gc, backend_repair
from yoi_bundles.model.clock import utc_now

if TYPE_CHECKING:
    from yoi_bundles.model.request_limits import RequestLimits
    from yoi_bundles.wire.server.serving import Listen


@click.group("backend")
def command() -> None:
    """Run a Backend, look after its repositories, and manage its tokens."""


@command.command("serve")
@needs_server_extra("backend serve")
@listen_options
@visibility_option
@runtime_ca_option
@data_option
@request_options
@click.option(
    "--bundle-cache-mib",
    default=1024,
    show_default=True,
    type=click.IntRange(1, 1024 * 1024),
    help="Finished bundle files kept on the disk, in MiB.",
)
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning"]))
def serve_(
    *,
    listen: Listen,
    visibility: Path | None,
    runtime_ca_file: Path | None,
    data: Path,
    request_limits: RequestLimits,
    bundle_cache_mib: int,
    log_level: str,
) -> None:
    """Serve the Backend of the data directory over HTTP until interrupted.

    SIGHUP reads the visibility policy again; a broken file leaves the old one in force.
    """
    from yoi_bundles.backend.app import create_app
    from yoi_bundles.wire.server.serving import serve, verify_listen

    verify_listen(listen)
    with (
        open_backend(
            data, visibility, runtime_ca_file, bundle_cache_bytes=bundle_cache_mib * 1024 * 1024
        ) as backend,
        reloading(backend.reload_visibility),
    ):
        backend.work_behind()
        serve(
            create_app(backend, request_limits=request_limits),
            listen,
            announce=lambda url: announce_ready(f"backend listening on {url}"),
            log_level=log_level,
        )


command.add_command(backend_gc)
command.add_command(backend_repair)
command.add_command(
    token_group(open_backend, ["publisher", "operator", "browser"], utc_now), "token"
)
