"""``yoi-bundles show``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.options import (
    Remote,
    backend_options,
    data_option,
    json_option,
    publishing_port,
)
from yoi_bundles.cli.output import bold, print_json, safe, say, shown_time


@click.command("show")
@click.argument("workspace", required=False)
@click.argument("revision", default="main")
@data_option
@backend_options
@json_option
def command(
    *, workspace: str | None, revision: str, data: Path, remote: Remote | None, is_json: bool
) -> None:
    """Show one revision.

    REVISION is `main`, a number, or 7 or more digits of a commit id or digest.
    """
    from yoi_bundles.cli.workspaces import find_workspace

    port = publishing_port(data, remote)
    try:
        found = port.revision(find_workspace(workspace, port), revision)
    finally:
        port.close()
    if is_json:
        print_json(found)
        return
    source = found.provenance
    rows = {
        "digest": str(found.digest),
        "commit": str(found.commit),
        "parent": "-" if found.parent is None else str(found.parent),
        "created": f"{shown_time(found.created_at)} UTC",
        "published by": source.published_by,
        "built with": source.built_with,
        "source": f"{source.source_kind} {source.source_uri}",
        "source revision": source.source_revision or "-",
        "source dirty": {None: "-", True: "yes", False: "no"}[source.source_dirty],
        "signed": "yes (not verified here)" if found.is_signed else "no",
    }
    say(bold(f"{found.workspace} r{found.number}"))
    for key, value in rows.items():
        say(f"  {key:<16}{safe(value)}")
    if found.message:
        say()
        say(safe(found.message))
