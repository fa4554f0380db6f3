"""``yoi-bundles sync``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.exit_codes import NEGATIVE, NETWORK, OK
from yoi_bundles.cli.options import (
    Remote,
    backend_options,
    backend_port,
    data_option,
    json_option,
    runtime_ca_option,
    visibility_option,
)
from yoi_bundles.cli.output import bad, dim, good, note, print_json, safe, say, shown_size, warn
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.messages.runtimes import SyncOutcome, SyncReply, SyncRequest

COLOUR = {
    "synced": good,
    "current": good,
    "pulls": dim,
    "not_visible": warn,
    "rejected": bad,
    "failed": bad,
}


@click.command("sync")
@click.argument("workspace", required=False)
@click.option("-r", "--to", "runtimes", multiple=True, metavar="RUNTIME", help="Only to this one.")
@visibility_option
@runtime_ca_option
@data_option
@backend_options
@json_option
def command(
    *,
    workspace: str | None,
    runtimes: tuple[str, ...],
    visibility: Path | None,
    runtime_ca_file: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> int:
    """Push a workspace's newest revision to the Runtimes that may see it.

    Sends each the smallest bundle file for what it holds. Safe to repeat. Exit code 1: a Runtime
    refused it; 7: a Runtime could not be reached.
    """
    from yoi_bundles.cli.workspaces import find_workspace

    port = backend_port(data, remote, visibility, runtime_ca_file)
    try:
        name = find_workspace(workspace, port)
        if not is_json:
            note(f"syncing {name} …")
        request = SyncRequest(runtimes=tuple(RuntimeId.parse(text) for text in runtimes))
        reply = port.sync(name, request)
    finally:
        port.close()
    if is_json:
        print_json(reply)
    else:
        for one in reply.outcomes:
            _print_outcome(one)
        if not reply.outcomes:
            say(dim("no Runtimes are registered"))
    return _exit_code(reply)


def _print_outcome(one: SyncOutcome) -> None:
    what = {
        "synced": f"{'full bundle' if one.base is None else 'increment'}, "
        f"{shown_size(one.sent_bytes)}",
        "current": "has it already",
        "pulls": "has no endpoint and pulls by itself",
        "not_visible": "may not see this workspace; got nothing",
    }.get(one.outcome, "")
    if one.reason is not None:
        what = f"{one.reason.code}: {safe(one.reason.message)}"
    say(f"{COLOUR[one.outcome](f'{one.outcome:<11}')} {one.runtime_id}  {what}")


def _exit_code(reply: SyncReply) -> int:
    outcomes = {one.outcome for one in reply.outcomes}
    if "failed" in outcomes:
        return NETWORK
    return NEGATIVE if "rejected" in outcomes else OK
