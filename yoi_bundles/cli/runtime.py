"""``yoi-bundles runtime``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yoi_bundles.cli.extras import needs_server_extra
from yoi_bundles.cli.options import (
    FILE,
    Remote,
    backend_options,
    backend_port,
    data_option,
    json_option,
    listen_options,
    open_runtime,
    policy_option,
    values_from_options,
    visibility_option,
)
from yoi_bundles.cli.output import (
    bad,
    bold,
    dim,
    good,
    note,
    print_json,
    print_table,
    safe,
    say,
    shown_time,
    warn,
)
from yoi_bundles.cli.reloading import reloading
from yoi_bundles.cli.service_manager import announce_ready
from yoi_bundles.cli.tokens import token_group
from yoi_bundles.cli.upkeep import runtime_gc, runtime_repair
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.ids import RuntimeId, WorkspaceId
from yoi_bundles.wire.messages.runtimes import NewPushToken, RegisterRuntime, RuntimeView

if TYPE_CHECKING:
    from yoi_bundles.runtime.held.catalog import Catalog
    from yoi_bundles.runtime.service import Runtime
    from yoi_bundles.wire.server.serving import Listen


@click.group("runtime")
def command() -> None:
    """Run a Runtime on this host; register and list Runtimes at a Backend."""


@command.command("serve")
@needs_server_extra("runtime serve")
@click.option("--id", "runtime_id", default="local", show_default=True, help="Name at the Backend.")
@click.option("--follow", multiple=True, metavar="WORKSPACE", help="Pull it from --backend.")
@click.option("--poll-seconds", default=30.0, show_default=True, type=click.FloatRange(0.05, 86400))
@listen_options
@policy_option
@data_option
@backend_options
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning"]))
def serve_(
    *,
    runtime_id: str,
    follow: tuple[str, ...],
    poll_seconds: float,
    listen: Listen,
    policy: Path | None,
    data: Path,
    remote: Remote | None,
    log_level: str,
) -> None:
    """Serve the Runtime of the data directory over HTTP until interrupted.

    With --backend and --follow it also pulls: asks for news, fetches what is missing, reports.
    SIGHUP reads the host policy again; a broken file leaves the old one in force.
    """
    from yoi_bundles.runtime.app import create_app
    from yoi_bundles.wire.server.serving import serve, verify_listen

    verify_listen(listen)
    with open_runtime(data, policy, runtime_id) as runtime:
        runtime.work_behind()
        with (
            _following(runtime, remote, follow, poll_seconds),
            reloading(runtime.policy.reload),
        ):
            runtime.held.upkeep.inspect()
            serve(
                create_app(runtime),
                listen,
                announce=lambda url: announce_ready(f"runtime {runtime_id} listening on {url}"),
                log_level=log_level,
            )


@contextlib.contextmanager
def _following(
    runtime: Runtime, remote: Remote | None, follow: tuple[str, ...], poll_seconds: float
) -> Iterator[None]:
    if remote is None:
        if follow:
            raise click.UsageError("--follow needs --backend")
        yield
        return
    if not follow:
        raise click.UsageError("--backend needs --follow WORKSPACE")
    from yoi_bundles.runtime.follow.follower import Follower
    from yoi_bundles.wire.client.backend_client import BackendClient

    follower = Follower(
        runtime,
        BackendClient(remote.connect()),
        [WorkspaceId.parse(text) for text in follow],
        interval_seconds=poll_seconds,
    )
    follower.start()
    try:
        yield
    finally:
        follower.stop()


@contextlib.contextmanager
def _open_catalog(data: Path) -> Iterator[Catalog]:
    from yoi_bundles.runtime.held.catalog import Catalog

    catalog = Catalog(data / "runtime" / "catalog.sqlite3")
    try:
        yield catalog
    finally:
        catalog.close()


command.add_command(runtime_gc)
command.add_command(runtime_repair)
command.add_command(token_group(_open_catalog, ["backend", "operator"], utc_now), "token")


@command.command("register")
@click.argument("runtime_id")
@click.option("--endpoint", help="Where to push to, e.g. http://127.0.0.1:8471 (none: it pulls).")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--push-token-file", type=FILE, help="File with the token for the Runtime's own API.")
@click.option("-o", "--output", type=FILE, help="Write its token to this new file (mode 600).")
@data_option
@backend_options
@json_option
def register(
    *,
    runtime_id: str,
    endpoint: str | None,
    labels: tuple[str, ...],
    push_token_file: Path | None,
    output: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Make a Runtime known to the Backend; prints the token the Runtime signs in with, once."""
    from yoi_bundles.backend.fleet.fleet import parse_labels
    from yoi_bundles.wire.client.token_files import read_token_file, write_token_file

    with values_from_options():
        request = RegisterRuntime(
            runtime_id=RuntimeId.parse(runtime_id),
            endpoint=endpoint,
            labels=parse_labels(labels),
            push_token=None if push_token_file is None else read_token_file(push_token_file),
        )
    port = backend_port(data, remote)
    try:
        made = port.register_runtime(request)
    finally:
        port.close()
    if output is not None:
        write_token_file(output, made.token)
    if is_json:
        print_json({"runtime_id": runtime_id, "token": None if output else made.token})
    elif output is not None:
        say(f"{good('registered')} {runtime_id}; its token is in {output}")
    else:
        note(f"registered {runtime_id}; this token is shown once:")
        say(made.token)


@command.command("push-token")
@click.argument("runtime_id")
@click.option(
    "--push-token-file", type=FILE, required=True, help="File with the new token of its own API."
)
@data_option
@backend_options
def push_token(
    *, runtime_id: str, push_token_file: Path, data: Path, remote: Remote | None
) -> None:
    """Let the Backend sign in with another token at a Runtime that it pushes to."""
    from yoi_bundles.wire.client.token_files import read_token_file

    with values_from_options():
        new = NewPushToken(push_token=read_token_file(push_token_file))
    port = backend_port(data, remote)
    try:
        port.use_push_token(RuntimeId.parse(runtime_id), new)
    finally:
        port.close()
    say(f"{good('changed')} the token for pushing to {runtime_id}")


@command.command("unregister")
@click.argument("runtime_id")
@data_option
@backend_options
def unregister(*, runtime_id: str, data: Path, remote: Remote | None) -> None:
    """Forget a Runtime and its credential."""
    port = backend_port(data, remote)
    try:
        port.unregister_runtime(RuntimeId.parse(runtime_id))
    finally:
        port.close()
    say(f"{good('forgot')} {runtime_id}")


@command.command("list")
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE")
@visibility_option
@data_option
@backend_options
@json_option
def list_(
    *,
    labels: tuple[str, ...],
    visibility: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """List registered Runtimes with what they hold."""
    port = backend_port(data, remote, visibility)
    try:
        found = port.runtimes(labels)
    finally:
        port.close()
    if is_json:
        print_json(found)
        return
    if not found.runtimes:
        say(dim("no Runtimes are registered"))
        return
    print_table(
        ("RUNTIME", "AVAILABLE", "LAST SEEN (UTC)", "LABELS", "MAY SEE", "HOLDS"),
        [_row(one) for one in found.runtimes],
    )


def _row(one: RuntimeView) -> tuple[str, ...]:
    available = {None: "never seen", True: "yes", False: "no"}[one.is_available]
    held = [b for b in one.bundles if b.state in {"accepted", "active"}]
    rejected = sum(b.state == "rejected" for b in one.bundles)
    labels = ",".join(f"{key}={value}" for key, value in one.labels.items())
    holds = f"{len(held)} bundles" + (f", {rejected} rejected" if rejected else "")
    sees = ",".join(map(str, one.workspaces)) or "nothing"
    return str(one.runtime_id), available, shown_time(one.last_seen), labels or "-", sees, holds


@command.command("status")
@click.argument("runtime_id")
@visibility_option
@data_option
@backend_options
@json_option
def status(
    *,
    runtime_id: str,
    visibility: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Show one Runtime: identity, availability, and the state of every bundle on it."""
    port = backend_port(data, remote, visibility)
    try:
        found = port.runtime(RuntimeId.parse(runtime_id))
    finally:
        port.close()
    if is_json:
        print_json(found)
        return
    say(bold(f"runtime {found.runtime_id}"))
    available = {None: dim("never seen"), True: good("yes"), False: bad("no")}
    say(
        f"  available  {available[found.is_available]}, last seen {shown_time(found.last_seen)} UTC"
    )
    say(f"  endpoint   {found.endpoint or 'none: it pulls'}")
    say(f"  may see    {', '.join(map(str, found.workspaces)) or 'nothing'}")
    if found.last_error:
        say(f"  {warn('error')}      {safe(found.last_error)}")
    if found.reported is not None:
        say(f"  version    {safe(found.reported.version)}")
        say(f"  policy     {found.reported.policy_digest}")
        if found.reported.policy_error:
            say(f"  {warn('policy')}     {safe(found.reported.policy_error)}")
        for one in found.reported.following:
            for text in filter(None, (one.last_error, one.staleness, one.distrust)):
                say(f"  {warn('warning')}    {one.workspace}: {safe(text)}")
    rows = [
        (
            str(one.workspace),
            one.digest.short,
            one.state,
            shown_time(one.last_checked),
            shown_time(one.last_fetched),
            shown_time(one.last_activated),
            "-" if one.last_error is None else f"{one.last_error.code}: {one.last_error.message}",
        )
        for one in found.bundles
    ]
    if rows:
        print_table(
            ("WORKSPACE", "DIGEST", "STATE", "CHECKED", "FETCHED", "ACTIVATED", "ERROR"), rows
        )
