"""The command ``yoi-bundles``: finds the subcommand, prints errors, sets the exit code.

Nothing heavy is imported here: a subcommand's module is loaded when it is called.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from yoi_bundles.cli.color import wanted_color
from yoi_bundles.errors import BundleError
from yoi_bundles.version import VERSION

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("init", "Make a new workspace from the builtin profiles."),
    "check": ("check", "Find everything that is wrong in a workspace."),
    "publish": ("publish", "Publish a workspace as a new revision."),
    "log": ("log", "Show the revisions of a workspace, newest first."),
    "show": ("show", "Show one revision."),
    "diff": ("diff", "Show what differs between two revisions, as unified diffs."),
    "verify": ("verify", "Hash everything that is held again: objects, refs and checkouts."),
    "resolve": ("resolve", "Show what a Worker would be made of, and why; nothing is made."),
    "bundle": ("bundle", "Bundle files for hosts without a network."),
    "backend": ("backend", "Run a Backend, look after its repositories, and manage its tokens."),
    "runtime": ("runtime", "Run a Runtime on this host; register and list Runtimes at a Backend."),
    "sync": ("sync", "Push a workspace's newest revision to the Runtimes that may see it."),
    "worker": ("worker", "Create, list and show Workers of a Runtime."),
    "doctor": (
        "doctor",
        "Say what is missing or damaged on this machine, and what to do.",
    ),
    "demo": ("demo", "The whole path over real HTTP, in a temporary directory."),
    "completion": ("completion", "Print the completion script of a shell."),
    "schema": ("schema", "JSON Schemas of the files of a bundle, OpenAPI of the servers."),
}
"""Command → module below ``yoi_bundles.cli`` and the line that ``--help`` shows."""


class LazyGroup(click.Group):
    """A group that imports a subcommand's module only when the subcommand is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"yoi_bundles.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands from the table, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with near matches for an unknown command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "-V", "--version", prog_name="yoi-bundles")
def cli() -> None:
    """Agent Worker configuration as verified git bundles.

    Publish a workspace as a commit in a bare SHA-256 repository, bring it to Runtimes, and let
    each Runtime resolve it under a host policy that has the last word.

    Start with `yoi-bundles demo`, or `yoi-bundles init DIR`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        sys.exit(_run(sys.argv[1:] if arguments is None else arguments))
    finally:
        # What is left goes with the process: to look for garbage in it would take 10 ms.
        gc.freeze()


def run(arguments: Sequence[str]) -> int:
    """Run the command line in a process that goes on afterwards.

    Returns:
        The exit code.
    """
    try:
        return _run(arguments)
    finally:
        gc.enable()


def _run(arguments: Sequence[str]) -> int:
    """As `run`; a command that takes but a moment may have switched the collector off."""
    output = sys.stdout
    try:
        result = cli.main(
            list(arguments), prog_name="yoi-bundles", standalone_mode=False, color=wanted_color()
        )
    except BundleError as error:
        from yoi_bundles.cli.exit_codes import EXIT_CODE
        from yoi_bundles.cli.output import print_error

        print_error(error, is_json="--json" in arguments)
        return EXIT_CODE[error.code]
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except SystemExit:
        # click ends the process with 1, "the answer is no", when the reader (`| head`) has seen
        # enough; it has put something in the place of standard output then. That is no answer, and
        # the flush at exit is silenced too.
        if sys.stdout is output:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0
