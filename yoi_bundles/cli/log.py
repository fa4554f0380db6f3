"""``yoi-bundles log``."""

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
from yoi_bundles.cli.output import bold, dim, print_json, safe, say, shown_time, warn


@click.command("log")
@click.argument("workspace", required=False)
@click.option("-n", "--max-count", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--oneline", is_flag=True, help="A line each.")
@data_option
@backend_options
@json_option
def command(
    *,
    workspace: str | None,
    max_count: int,
    oneline: bool,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Show the revisions of a workspace, newest first."""
    from yoi_bundles.cli.workspaces import find_workspace

    port = publishing_port(data, remote)
    try:
        page = port.revisions(find_workspace(workspace, port), limit=max_count)
    finally:
        port.close()
    if is_json:
        print_json(page)
        return
    for one in page.revisions:
        subject = safe(one.message.partition("\n")[0])
        if oneline:
            say(f"{warn(f'r{one.number}')} {one.digest.short} {subject}")
            continue
        source = one.provenance
        revision = "" if source.source_revision is None else f" at {source.source_revision[:12]}"
        dirty = " (with uncommitted changes)" if source.source_dirty else ""
        say(f"{warn(f'r{one.number}')} {bold(subject)}")
        say(f"  digest  {one.digest}")
        say(f"  commit  {dim(str(one.commit))}")
        say(f"  by      {safe(source.published_by)} on {shown_time(one.created_at)} UTC")
        say(f"  from    {source.source_kind} {safe(source.source_uri)}{safe(revision)}{dirty}")
