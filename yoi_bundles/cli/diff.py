"""``yoi-bundles diff``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.exit_codes import NEGATIVE, OK
from yoi_bundles.cli.options import (
    Remote,
    backend_options,
    data_option,
    json_option,
    publishing_port,
)
from yoi_bundles.cli.output import bad, bold, good, print_json, safe, say


@click.command("diff")
@click.argument("workspace")
@click.argument("old")
@click.argument("new", default="main")
@click.option("--name-only", is_flag=True, help="Names of files only.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are differences.")
@data_option
@backend_options
@json_option
def command(
    *,
    workspace: str,
    old: str,
    new: str,
    name_only: bool,
    exit_code: bool,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> int:
    """Show what differs between two revisions, as unified diffs."""
    from yoi_bundles.cli.workspaces import find_workspace

    port = publishing_port(data, remote)
    try:
        found = port.diff(find_workspace(workspace, port), old, new)
    finally:
        port.close()
    if is_json:
        print_json(found)
    else:
        for change in found.changes:
            if name_only:
                say(f"{change.kind[0].upper()} {change.path}")
            else:
                _print_patch(change.patch)
    return NEGATIVE if exit_code and found.changes else OK


def _print_patch(patch: str) -> None:
    for line in patch.splitlines():
        text = safe(line)
        if line.startswith(("---", "+++")):
            say(bold(text))
        elif line.startswith("+"):
            say(good(text))
        elif line.startswith("-"):
            say(bad(text))
        else:
            say(text)
