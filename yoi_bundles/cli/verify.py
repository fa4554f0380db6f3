"""``yoi-bundles verify``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.exit_codes import INTEGRITY, OK
from yoi_bundles.cli.options import data_option, json_option
from yoi_bundles.cli.output import bad, good, note_work, print_json, say
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.ids import WorkspaceId


@click.command("verify")
@click.argument("workspace", required=False)
@click.argument("revision", required=False)
@data_option
@json_option
def command(*, workspace: str | None, revision: str | None, data: Path, is_json: bool) -> int:
    """Hash everything that is held again: objects, refs and checkouts.

    Looks at the Backend's and the Runtime's part of the data directory. With WORKSPACE only at
    that one, with REVISION only at that revision. Exit code 6: something is damaged.
    """
    from yoi_bundles.runtime.audit import audit_data

    only = None if workspace is None else WorkspaceId.parse(workspace)
    reports = audit_data(data, only, revision, tell=lambda what: note_work(f"verifying {what} …"))
    if only is not None and not reports:
        raise BundleMissingError(f"nothing is held of the workspace {only}")
    problems = sum(len(report.problems) for report in reports)
    if is_json:
        print_json({"ok": problems == 0, "reports": [report.as_json() for report in reports]})
        return INTEGRITY if problems else OK
    for report in reports:
        verdict = bad("damaged") if report.problems else good("sound")
        say(f"{verdict}  {report.where} {report.workspace}: {report.objects} objects")
        for problem in report.problems:
            say(f"    {problem}")
    if not reports:
        say("nothing is held here")
    return INTEGRITY if problems else OK
