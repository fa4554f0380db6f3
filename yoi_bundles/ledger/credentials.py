"""Bearer tokens: 256 random bits, printed once, kept as a hash, compared in constant time.

A credential has one token, and while it is being changed an older one beside it: both are good
until the older one is forgotten or its time is over, so that nobody is locked out in between.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, get_args

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    MetaData,
    Select,
    String,
    Table,
    delete,
    insert,
    literal,
    select,
    union_all,
    update,
)

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.ledger.cache import EpochCache
from yoi_bundles.ledger.database import Database
from yoi_bundles.wire.messages.roles import CredentialView, NewCredential, Role

TOKEN_PREFIX = "yoi_"  # noqa: S105  (a prefix for secret scanners to know, not a token)


KNOWN_TOKENS = 16_384
"""Good tokens that are remembered by their hashes, so that not every request asks the database."""


class _KnownToken(NamedTuple):
    """Whose token it is, and until when; None: until it is forgotten."""

    owner: CredentialView
    ends_at: datetime | None


class CredentialTables(NamedTuple):
    """The tables both servers keep their credentials in.

    ``older`` is a table of its own, so that a database from before it gets it by being opened.
    """

    newest: Table
    older: Table


def credential_tables(tables: MetaData) -> CredentialTables:
    """The tables, as parts of a database."""
    newest = Table(
        "credentials",
        tables,
        Column("name", String, primary_key=True),
        Column("role", String, nullable=False),
        Column("token_hash", String(64), nullable=False, unique=True),
        Column("created_at", String, nullable=False),
    )
    older = Table(
        "older_tokens",
        tables,
        Column(
            "name", String, ForeignKey("credentials.name", ondelete="CASCADE"), primary_key=True
        ),
        Column("token_hash", String(64), nullable=False, unique=True),
        Column("created_at", String, nullable=False),
        Column("expires_at", String),
    )
    return CredentialTables(newest, older)


def make_token() -> str:
    """A token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is stored of a token. Its 256 bits are random, so no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Credentials:
    """The credentials of one server.

    Args:
        database: Where they are kept.
        tables: Made by `credential_tables`.
        complete: Adds to a credential what else the database knows of its owner; kept with it for
            the epoch, so that one look tells who asks and what decides of the answer.
    """

    def __init__(
        self,
        database: Database,
        tables: CredentialTables,
        complete: Callable[[CredentialView], CredentialView] = lambda owner: owner,
    ) -> None:
        self._database = database
        self._complete = complete
        self._newest, self._older = tables
        self._known = EpochCache(database, self._look_up, KNOWN_TOKENS)

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
        token = _long_enough(token)
        row = {
            "name": name,
            "role": role,
            "token_hash": hash_token(token),
            "created_at": now.isoformat(),
        }
        with self._database.write() as connection:
            taken = select(self._newest.c.name).where(self._newest.c.name == name)
            if connection.execute(taken).first() is not None:
                raise RevisionConflictError(
                    f"there is a credential {name[:80]!a} already",
                    hint="`token rotate` gives it another token",
                )
            connection.execute(insert(self._newest).values(row))
            self._database.advance_epoch(connection)
        return NewCredential(name=name, role=role, created_at=now, token=token)

    def rotate(
        self,
        name: str,
        *,
        now: datetime,
        old_until: datetime | None = None,
        token: str | None = None,
    ) -> NewCredential:
        """Give a credential another token; the one it had stays good beside it.

        Args:
            old_until: When the older one ends by itself; None: `finish_rotation` ends it.
            token: As of `create`.

        Raises:
            InvalidInputError: The token is too short.
            BundleMissingError: There is none of this name.
            RevisionConflictError: It has two good tokens already.
        """
        token = _long_enough(token)
        with self._database.write() as connection:
            held = self._held(connection, name)
            if held.old_created_at is not None and _is_good(held.old_expires_at, now):
                raise RevisionConflictError(
                    f"the credential {name[:80]!a} has two tokens already",
                    hint="`token rotate --finish` forgets the older one",
                )
            connection.execute(delete(self._older).where(self._older.c.name == name))
            mine = self._newest.c.name == name
            columns = [self._newest.c[one] for one in ("name", "token_hash", "created_at")]
            expiry = literal(None if old_until is None else old_until.isoformat())
            connection.execute(
                insert(self._older).from_select(
                    ["name", "token_hash", "created_at", "expires_at"],
                    select(*columns, expiry).where(mine),
                )
            )
            connection.execute(
                update(self._newest)
                .where(mine)
                .values(token_hash=hash_token(token), created_at=now.isoformat())
            )
            self._database.advance_epoch(connection)
        return NewCredential(
            name=name,
            role=held.role,
            created_at=now,
            old_created_at=held.created_at,
            old_expires_at=old_until,
            token=token,
        )

    def finish_rotation(self, name: str) -> None:
        """Forget the older token of a credential.

        Raises:
            BundleMissingError: There is no credential of this name, or it has one token only.
        """
        with self._database.write() as connection:
            self._held(connection, name)
            done = connection.execute(delete(self._older).where(self._older.c.name == name))
            self._database.advance_epoch(connection)
        if done.rowcount == 0:
            raise BundleMissingError(f"the credential {name[:80]!a} has one token only")

    def revoke(self, name: str) -> None:
        """Forget a credential, with all of its tokens.

        Raises:
            BundleMissingError: There is none of this name.
        """
        with self._database.write() as connection:
            done = connection.execute(delete(self._newest).where(self._newest.c.name == name))
            self._database.advance_epoch(connection)
        if done.rowcount == 0:
            raise _unknown(name)

    def list(self) -> tuple[CredentialView, ...]:
        """All credentials, by name; an older token is shown until it is forgotten."""
        with self._database.read() as connection:
            rows = connection.execute(self._views().order_by(self._newest.c.name)).all()
        return tuple(CredentialView.model_validate(row._asdict()) for row in rows)

    def verify(self, token: str, *, now: datetime) -> CredentialView:
        """Who a token belongs to.

        Args:
            now: An older token is good before its end.

        Raises:
            UnauthenticatedError: It belongs to nobody, or its time is over.
        """
        known = self._known.get(hash_token(token))
        if not _is_good(known.ends_at, now):
            raise UnauthenticatedError("the token is not known here")
        return known.owner

    def _look_up(self, wanted: str) -> _KnownToken:
        newest, older = self._newest, self._older
        found = union_all(
            select(newest, literal(None).label("expires_at")).where(newest.c.token_hash == wanted),
            select(newest.c.name, newest.c.role, *(older.c[one] for one in _TOKEN_COLUMNS))
            .join(older, older.c.name == newest.c.name)
            .where(older.c.token_hash == wanted),
        )
        with self._database.read() as connection:
            row = connection.execute(found).first()
        # The look-up is by hash, so its timing tells nothing of the token; the comparison
        # keeps it so if the look-up ever changes.
        if row is None or not hmac.compare_digest(row.token_hash, wanted):
            raise UnauthenticatedError("the token is not known here")
        ends_at = None if row.expires_at is None else datetime.fromisoformat(row.expires_at)
        owner = CredentialView(name=row.name, role=row.role, created_at=row.created_at)
        return _KnownToken(self._complete(owner), ends_at)

    def _views(self) -> Select[tuple[str, ...]]:
        newest, older = self._newest, self._older
        return select(
            newest.c.name,
            newest.c.role,
            newest.c.created_at,
            older.c.created_at.label("old_created_at"),
            older.c.expires_at.label("old_expires_at"),
        ).outerjoin_from(newest, older)

    def _held(self, connection: Connection, name: str) -> CredentialView:
        row = connection.execute(self._views().where(self._newest.c.name == name)).one_or_none()
        if row is None:
            raise _unknown(name)
        return CredentialView.model_validate(row._asdict())


_TOKEN_COLUMNS = ("token_hash", "created_at", "expires_at")


def _long_enough(token: str | None) -> str:
    if token is not None and len(token) < 32:
        raise InvalidInputError("a token has at least 32 characters")
    return token or make_token()


def _is_good(ends_at: datetime | None, now: datetime) -> bool:
    return ends_at is None or now < ends_at


def _unknown(name: str) -> BundleMissingError:
    return BundleMissingError(f"there is no credential {name[:80]!a}")
