"""``yoi-bundles init``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from yoi_bundles.cli.options import PATH, json_option
from yoi_bundles.cli.output import dim, good, print_json, say
from yoi_bundles.model.ids import WorkspaceId


@click.command("init")
@click.argument("directory", type=PATH, default=".")
@click.option("--id", "workspace", help="Workspace id  [default: the directory's name]")
@click.option("--name", help="Name for people.")
@click.option("--minimal", is_flag=True, help="One profile only, instead of all builtin ones.")
@click.option("--force", is_flag=True, help="Write into a directory that is not empty.")
@json_option
def command(
    *,
    directory: Path,
    workspace: str | None,
    name: str | None,
    minimal: bool,
    force: bool,
    is_json: bool,
) -> None:
    """Make a new workspace from the builtin profiles.

    Writes profiles, prompts, models, workflows, tools, policies and grants into DIRECTORY, ready to
    be edited, checked and published.
    """
    from yoi_bundles.author.scaffold import init_workspace

    identity = WorkspaceId.parse(workspace or _id_from(directory))
    written = init_workspace(directory, workspace=identity, name=name, force=force, minimal=minimal)
    if is_json:
        print_json({"workspace": str(identity), "files": [str(path) for path in written]})
        return
    say(f"{good('made')} the workspace {identity}: {len(written)} files in {directory}")
    where = "" if str(directory) == "." else f" {directory}"
    say(dim(f"next: yoi-bundles check{where} && yoi-bundles publish{where}"))


def _id_from(directory: Path) -> str:
    text = re.sub(r"[^a-z0-9._-]+", "-", directory.resolve().name.lower()).strip("-._")
    return text or "workspace"
