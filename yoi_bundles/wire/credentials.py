"""Bearer tokens: 256 random bits, printed once, kept as a hash, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import get_args

from sqlalchemy import Column, MetaData, String, Table, delete, insert, select

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.wire.database import Database
from yoi_bundles.wire.roles import CredentialView, NewCredential, Role

TOKEN_PREFIX = "yoi_"  # noqa: S105  (a prefix for secret scanners to know, not a token)


def credential_table(tables: MetaData) -> Table:
    """The table both servers keep their credentials in."""
    return Table(
        "credentials",
        tables,
        Column("name", String, primary_key=True),
        Column("role", String, nullable=False),
        Column("token_hash", String(64), nullable=False, unique=True),
        Column("created_at", String, nullable=False),
    )


def hash_token(token: str) -> str:
    """What is stored of a token. Its 256 bits are random, so no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Credentials:
    """The credentials of one server.

    Args:
        database: Where they are kept.
        table: Made by `credential_table`.
    """

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    def create(
        self, name: str, role: Role, *, now: datetime, token: str | None = None
    ) -> NewCredential:
        """Make a credential; the token in the answer is shown this once.

        Args:
            name: Who it is for; for the role ``runtime`` the runtime id.
            token: A token that was made elsewhere; at least 32 characters.

        Raises:
            InvalidInputError: Unknown role, or a token that is too short.
            RevisionConflictError: The name is taken.
        """
        if role not in get_args(Role):
            raise InvalidInputError(f"{role[:40]!a} is no role", hint=", ".join(get_args(Role)))
        if token is not None and len(token) < 32:
            raise InvalidInputError("a token has at least 32 characters")
        token = token or TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "name": name,
            "role": role,
            "token_hash": hash_token(token),
            "created_at": now.isoformat(),
        }
        with self._database.write() as connection:
            taken = select(self._table.c.name).where(self._table.c.name == name)
            if connection.execute(taken).first() is not None:
                raise RevisionConflictError(
                    f"there is a credential {name[:80]!a} already", hint="revoke it first"
                )
            connection.execute(insert(self._table).values(row))
        return NewCredential(name=name, role=role, created_at=now, token=token)

    def revoke(self, name: str) -> None:
        """Forget a credential.

        Raises:
            BundleMissingError: There is none of this name.
        """
        with self._database.write() as connection:
            done = connection.execute(delete(self._table).where(self._table.c.name == name))
        if done.rowcount == 0:
            raise BundleMissingError(f"there is no credential {name[:80]!a}")

    def list(self) -> tuple[CredentialView, ...]:
        """All credentials, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(self._table).order_by(self._table.c.name)).all()
        return tuple(_view(row.name, row.role, row.created_at) for row in rows)

    def verify(self, token: str) -> CredentialView:
        """Who a token belongs to.

        Raises:
            UnauthenticatedError: It belongs to nobody.
        """
        wanted = hash_token(token)
        with self._database.read() as connection:
            row = connection.execute(
                select(self._table).where(self._table.c.token_hash == wanted)
            ).one_or_none()
        # The look-up is by hash, so its timing tells nothing of the token; the comparison
        # keeps it so if the look-up ever changes.
        if row is None or not hmac.compare_digest(row.token_hash, wanted):
            raise UnauthenticatedError("the token is not known here")
        return _view(row.name, row.role, row.created_at)


def _view(name: str, role: Role, created_at: str) -> CredentialView:
    return CredentialView(name=name, role=role, created_at=datetime.fromisoformat(created_at))
