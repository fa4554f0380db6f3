"""``yoi-bundles completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print the completion script of a shell.

    For example: `yoi-bundles completion bash >> ~/.bashrc`
    """
    from yoi_bundles.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(cli, {}, "yoi-bundles", "_YOI_BUNDLES_COMPLETE").source())
