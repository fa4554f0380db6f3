"""``yoi-bundles check``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.exit_codes import NEGATIVE, OK
from yoi_bundles.cli.options import PATH, json_option
from yoi_bundles.cli.output import bad, good, print_findings, print_json, say


@click.command("check")
@click.argument("directory", type=PATH, default=".")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@json_option
def command(*, directory: Path, strict: bool, is_json: bool) -> int:
    """Find everything that is wrong in a workspace.

    Prints every finding with file, line, code and hint. Exit code 0: nothing wrong; 1: findings.
    """
    from yoi_bundles.author.source import read_workspace
    from yoi_bundles.content.check import check_files
    from yoi_bundles.store import compute_digest

    files = read_workspace(directory)
    checked = check_files(files)
    counted = [f for f in checked.findings if strict or f.severity == "error"]
    digest = None if checked.bundle is None else compute_digest(files)
    if is_json:
        print_json(
            {
                "ok": not counted,
                "files": len(files),
                "digest": None if digest is None else str(digest),
                "findings": [one.model_dump(mode="json") for one in checked.findings],
            }
        )
        return NEGATIVE if counted else OK
    print_findings(checked.findings)
    errors = sum(one.severity == "error" for one in checked.findings)
    summary = f"{len(files)} files, {errors} errors, {len(checked.findings) - errors} warnings"
    say(f"{bad('not ok') if counted else good('ok')}  {summary}")
    if digest is not None:
        say(f"digest {digest}")
    return NEGATIVE if counted else OK
