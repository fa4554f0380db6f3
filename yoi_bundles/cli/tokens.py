"""``token create|list|revoke``: the same three for a Backend and a Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import click

from yoi_bundles.cli.options import FILE, data_option, json_option
from yoi_bundles.cli.output import dim, good, note, print_json, print_table, say, shown_time
from yoi_bundles.wire.credentials import Credentials
from yoi_bundles.wire.tokens import write_token_file


class Server(Protocol):
    """What keeps credentials: a `Backend`, or a Runtime's catalog."""

    @property
    def credentials(self) -> Credentials:
        """Its credentials."""
        ...


Open = Callable[[Path], AbstractContextManager[Server]]


def token_group(
    open_server: Open, roles: Sequence[str], clock: Callable[[], datetime]
) -> click.Group:
    """The group ``token`` of one server.

    Args:
        open_server: Opens it in a data directory.
        roles: That can be given here.
        clock: Now, with a time zone.
    """
    group = click.Group("token", help="Bearer tokens: made here, shown once, kept as a hash.")
    group.add_command(_create_command(open_server, roles, clock))
    group.add_command(_list_command(open_server))
    group.add_command(_revoke_command(open_server))
    return group


def _create_command(
    open_server: Open, roles: Sequence[str], clock: Callable[[], datetime]
) -> click.Command:
    @click.command("create")
    @click.argument("name")
    @click.option("--role", type=click.Choice(roles), required=True)
    @click.option("-o", "--output", type=FILE, help="Write the token to this new file (mode 600).")
    @data_option
    @json_option
    def create(*, name: str, role: str, output: Path | None, data: Path, is_json: bool) -> None:
        """Make a token for NAME; it is printed once, or written to a file."""
        with open_server(data) as server:
            made = server.credentials.create(name, role, now=clock())  # type: ignore[arg-type]
            if output is not None:
                try:
                    write_token_file(output, made.token)
                except BaseException:
                    server.credentials.revoke(name)
                    raise
        if is_json:
            document = made.model_dump(mode="json")
            print_json(document if output is None else document | {"token": None})
        elif output is None:
            note("this token is shown once:")
            say(made.token)
        else:
            say(f"{good('wrote')} the token of {name} ({role}) to {output}")

    return create


def _list_command(open_server: Open) -> click.Command:
    @click.command("list")
    @data_option
    @json_option
    def list_(*, data: Path, is_json: bool) -> None:
        """List credentials; their tokens cannot be shown again."""
        with open_server(data) as server:
            found = server.credentials.list()
        if is_json:
            print_json([one.model_dump(mode="json") for one in found])
        elif found:
            rows = [(one.name, one.role, shown_time(one.created_at)) for one in found]
            print_table(("NAME", "ROLE", "CREATED (UTC)"), rows)
        else:
            say(dim("no credentials"))

    return list_


def _revoke_command(open_server: Open) -> click.Command:
    @click.command("revoke")
    @click.argument("name")
    @data_option
    def revoke(*, name: str, data: Path) -> None:
        """Forget the token of NAME: it is refused from now on."""
        with open_server(data) as server:
            server.credentials.revoke(name)
        say(f"{good('revoked')} {name}")

    return revoke
