"""``yoi-bundles completion``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_CLASSES = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_FOR_YB: Mapping[str, str] = {
    "bash": "complete -o nosort -F _yoi_bundles_completion yb\n",
    # A file of zsh's function path is loaded by its first line, and completes when it is loaded.
    "zsh": """\
        if [[ $zsh_eval_context[-1] != loadautofunc ]]; then
            compdef _yoi_bundles_completion yb
        fi
    """,
    "fish": 'complete --no-files --command yb --arguments "(_yoi_bundles_completion)";\n',
}
"""What follows click's script, so that the short name is completed as the long one."""


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_CLASSES)))
def command(*, shell: str) -> None:
    """Print the completion script of a shell.

    It completes both names of this command. For example: `yoi-bundles completion bash >> ~/.bashrc`
    """
    from yoi_bundles.cli.main import cli

    script = _CLASSES[shell](cli, {}, "yoi-bundles", "_YOI_BUNDLES_COMPLETE").source()
    script = script.replace("#compdef yoi-bundles", "#compdef yoi-bundles yb")
    click.echo(script.rstrip() + "\n" + textwrap.dedent(_FOR_YB[shell]), nl=False)
