"""``yoi-bundles resolve``."""

from __future__ import annotations

from pathlib import Path

import click

from yoi_bundles.cli.options import (
    PATH,
    Remote,
    data_option,
    json_option,
    policy_option,
    runtime_options,
    runtime_port,
)
from yoi_bundles.cli.output import print_json
from yoi_bundles.cli.requests import Asked, print_report, request_options
from yoi_bundles.errors import InvalidInputError


@click.command("resolve")
@click.argument("selector", default="default")
@click.option("--dir", "directory", type=PATH, help="A workspace directory, not yet published.")
@click.option("--explain", is_flag=True, help="Which layer set which field, with file and line.")
@request_options
@policy_option
@data_option
@runtime_options
@json_option
def command(
    *,
    selector: str,
    directory: Path | None,
    explain: bool,
    asked: Asked,
    policy: Path | None,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Show what a Worker would be made of, and why; nothing is made.

    SELECTOR is `default`, `project:<name>` or `builtin:<name>`. The bundle is one a Runtime holds
    (-w WORKSPACE), a workspace directory (--dir), or the builtin one. Exit code 1: host policy
    refuses, with every refusal at once.
    """
    if directory is not None:
        from yoi_bundles.runtime.workers.dry_run import resolve_directory_files

        if policy is None:
            raise InvalidInputError("--dir needs a host policy", hint="--policy FILE")
        from yoi_bundles.author.source import read_workspace

        report = resolve_directory_files(
            read_workspace(directory),
            policy=policy,
            state_directory=data / "runtime",
            make_request=lambda bundle: asked.request("dry-run", selector, bundle),
        )
    else:
        port = runtime_port(data, remote, policy)
        try:
            report = port.resolve(asked.request("dry-run", selector, asked.bundle(port)))
        finally:
            port.close()
    if is_json:
        print_json(report)
    else:
        print_report(report, explain=explain)
