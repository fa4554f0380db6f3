"""``yoi-bundles worker``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.options import (
    Remote,
    data_option,
    json_option,
    policy_option,
    runtime_options,
    runtime_port,
)
from yoi_bundles.cli.output import dim, good, print_json, print_table, say, shown_time
from yoi_bundles.cli.requests import Asked, print_worker, request_options
from yoi_bundles.model.ids import WorkerId


@click.group("worker")
def command() -> None:
    """Create, list and show Workers of a Runtime."""


@command.command("create")
@click.argument("worker_id")
@click.argument("selector", default="default")
@request_options
@policy_option
@data_option
@runtime_options
@json_option
def create(
    *,
    worker_id: str,
    selector: str,
    asked: Asked,
    policy: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Make a Worker from a held bundle, or from the builtin profiles.

    The same request with the same id gives the same Worker. Exit code 1: host policy refuses,
    with every refusal at once.
    """
    port = runtime_port(data, remote, policy)
    try:
        created = port.create_worker(asked.request(worker_id, selector, asked.bundle(port)))
    finally:
        port.close()
    if is_json:
        print_json(created)
        return
    say(good("created") if created.is_new else "exists already, made by the same request")
    print_worker(created.worker)


@command.command("list")
@policy_option
@data_option
@runtime_options
@json_option
def list_(*, policy: Path | None, data: Path, remote: Remote | None, is_json: bool) -> None:
    """List Workers, oldest first."""
    port = runtime_port(data, remote, policy)
    try:
        page = port.workers()
        found = list(page.workers)
        while page.next is not None:
            page = port.workers(after=page.next)
            found += page.workers
    finally:
        port.close()
    if is_json:
        print_json([one.model_dump(mode="json", by_alias=True) for one in found])
        return
    if not found:
        say(dim("no Workers"))
        return
    print_table(
        ("WORKER", "PROFILE", "WORKSPACE", "BUNDLE", "CREATED (UTC)"),
        [
            (
                str(one.worker_id),
                str(one.profile),
                str(one.receipt.workspace),
                one.receipt.bundle.short,
                shown_time(one.created_at),
            )
            for one in found
        ],
    )


@command.command("show")
@click.argument("worker_id")
@policy_option
@data_option
@runtime_options
@json_option
def show(
    *, worker_id: str, policy: Path | None, data: Path, remote: Remote | None, is_json: bool
) -> None:
    """Show one Worker with its spec, decisions and receipt."""
    port = runtime_port(data, remote, policy)
    try:
        view = port.worker(WorkerId.parse(worker_id))
    finally:
        port.close()
    if is_json:
        print_json(view)
    else:
        print_worker(view)
