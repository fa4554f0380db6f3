"""``token create|list|rotate|revoke``: the same for a Backend and a Runtime."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Protocol

import click

from yoi_bundles.cli.options import FILE, data_option, json_option
from yoi_bundles.cli.output import dim, good, note, print_json, print_table, say, shown_time
from yoi_bundles.ledger.credentials import Credentials, make_token
from yoi_bundles.model.clock import Clock
from yoi_bundles.wire.client.token_files import write_token_file
from yoi_bundles.wire.messages.roles import CredentialView, NewCredential


class Server(Protocol):
    """What keeps credentials: a `Backend`, or a Runtime's catalog."""

    @property
    def credentials(self) -> Credentials:
        """Its credentials."""
        ...


Open = Callable[[Path], AbstractContextManager[Server]]


def token_group(open_server: Open, roles: Sequence[str], clock: Clock) -> click.Group:
    """The group ``token`` of one server.

    Args:
        open_server: Opens it in a data directory.
        roles: That can be given here.
        clock: Now, with a time zone.
    """
    group = click.Group("token", help="Bearer tokens: made here, shown once, kept as a hash.")
    group.add_command(_create_command(open_server, roles, clock))
    group.add_command(_list_command(open_server))
    group.add_command(_rotate_command(open_server, clock))
    group.add_command(_revoke_command(open_server))
    return group


def _create_command(open_server: Open, roles: Sequence[str], clock: Clock) -> click.Command:
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
        _show(made, output, is_json=is_json)

    return create


def _show(made: NewCredential, output: Path | None, *, is_json: bool) -> None:
    """A token, this once; or only where it was written to."""
    if is_json:
        document = made.model_dump(mode="json")
        print_json(document if output is None else document | {"token": None})
    elif output is None:
        note("this token is shown once:")
        say(made.token)
    else:
        say(f"{good('wrote')} the token of {made.name} ({made.role}) to {output}")


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
            print_table(("NAME", "ROLE", "CREATED (UTC)", "OLDER TOKEN"), map(_row, found))
        else:
            say(dim("no credentials"))

    return list_


def _row(one: CredentialView) -> tuple[str, ...]:
    older = "-"
    if one.old_created_at is not None:
        until = f" until {shown_time(one.old_expires_at)}" if one.old_expires_at else ""
        older = f"{shown_time(one.old_created_at)}{until}"
    return one.name, one.role, shown_time(one.created_at), older


class Duration(click.ParamType[timedelta]):
    """A number and a unit: ``90s``, ``30m``, ``24h``, ``7d``."""

    name = "duration"
    units: ClassVar[Mapping[str, str]] = {
        "s": "seconds",
        "m": "minutes",
        "h": "hours",
        "d": "days",
    }

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The time it means."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value)
        if found is None:
            self.fail(f"{value[:40]!a} is no duration such as 90s, 30m, 24h or 7d", param, ctx)
        return timedelta(**{self.units[found[2]]: int(found[1])})


def _rotate_command(open_server: Open, clock: Clock) -> click.Command:
    @click.command("rotate")
    @click.argument("name")
    @click.option("-o", "--output", type=FILE, help="Write the token to this new file (mode 600).")
    @click.option(
        "--keep-old", type=Duration(), help="End the older one by itself: 90s, 30m, 24h, 7d."
    )
    @click.option("--finish", "is_finish", is_flag=True, help="Forget the older one now.")
    @data_option
    @json_option
    def rotate(
        *,
        name: str,
        output: Path | None,
        keep_old: timedelta | None,
        is_finish: bool,
        data: Path,
        is_json: bool,
    ) -> None:
        """Give NAME another token; the one it has stays good until --finish, or for --keep-old.

        NAME has two good tokens at the most. Nobody is locked out: make the new one, bring it
        where it is used, then finish.
        """
        if is_finish and (output is not None or keep_old is not None):
            raise click.UsageError("--finish makes no token: it stands alone")
        with open_server(data) as server:
            if is_finish:
                server.credentials.finish_rotation(name)
                _say_finished(name, is_json=is_json)
                return
            made = _rotated(server.credentials, name, clock(), keep_old, output)
        _show(made, output, is_json=is_json)

    return rotate


def _say_finished(name: str, *, is_json: bool) -> None:
    if is_json:
        print_json({"name": name, "token": None})
    else:
        say(f"{good('forgot')} the older token of {name}")


def _rotated(
    credentials: Credentials,
    name: str,
    now: datetime,
    keep_old: timedelta | None,
    output: Path | None,
) -> NewCredential:
    """Write the token first: one that is good and was never seen would need a rotation more."""
    token = make_token()
    if output is not None:
        write_token_file(output, token)
    try:
        until = None if keep_old is None else now + keep_old
        return credentials.rotate(name, now=now, old_until=until, token=token)
    except BaseException:
        if output is not None:
            output.unlink(missing_ok=True)
        raise


def _revoke_command(open_server: Open) -> click.Command:
    @click.command("revoke")
    @click.argument("name")
    @data_option
    def revoke(*, name: str, data: Path) -> None:
        """Forget NAME and its tokens: they are refused from now on."""
        with open_server(data) as server:
            server.credentials.revoke(name)
        say(f"{good('revoked')} {name}")

    return revoke
