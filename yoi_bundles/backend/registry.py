"""What the Backend knows of its Runtimes: identity, labels, credentials, bundle by bundle state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    Column,
    ForeignKey,
    MetaData,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert

from yoi_bundles.errors import BundleError, BundleMissingError, RevisionConflictError
from yoi_bundles.model.ids import ContentHash, Digest, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label
from yoi_bundles.wire.credentials import Credentials, credential_tables
from yoi_bundles.wire.database import Database
from yoi_bundles.wire.epoch import EpochCache
from yoi_bundles.wire.group_commit import GroupCommit
from yoi_bundles.wire.messages import (
    BundleOnRuntime,
    NackReason,
    RuntimeInfo,
)

TABLES = MetaData()

RUNTIMES = Table(
    "runtimes",
    TABLES,
    Column("runtime_id", String, primary_key=True),
    Column("endpoint", String),
    Column("labels", String, nullable=False),
    Column("registered_at", String, nullable=False),
    Column("last_seen", String),
    Column("last_failure", String),
    Column("last_error", String),
    Column("reported", String),
)

BUNDLES = Table(
    "runtime_bundles",
    TABLES,
    Column(
        "runtime_id",
        String,
        ForeignKey("runtimes.runtime_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("workspace", String, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", String, nullable=False),
    Column("last_checked", String),
    Column("last_fetched", String),
    Column("last_activated", String),
    Column("last_error", String),
    Column("policy_digest", String),
    Column("trust_digest", String),
    PrimaryKeyConstraint("runtime_id", "workspace", "digest"),
)

CREDENTIALS = credential_tables(TABLES)

IDENTITIES = 16_384
"""Runtimes whose identity is kept in memory."""


@dataclass(frozen=True, slots=True)
class RuntimeIdentity:
    """What decides what a registered Runtime may see."""

    runtime_id: RuntimeId
    labels: dict[Name, Label]


@dataclass(frozen=True, slots=True)
class KnownRuntime(RuntimeIdentity):
    """A registered Runtime as the Backend itself uses it."""

    endpoint: str | None
    last_seen: datetime | None
    last_failure: datetime | None
    last_error: str | None
    reported: RuntimeInfo | None

    @property
    def is_available(self) -> bool | None:
        """Whether the last contact succeeded; None before the first."""
        if self.last_seen is None:
            return None if self.last_failure is None else False
        return self.last_failure is None or self.last_failure < self.last_seen


@dataclass(frozen=True, slots=True)
class Reported:
    """What a Runtime said of itself, and what of its bundles is to be remembered."""

    info: RuntimeInfo
    at: datetime
    bundles: tuple[BundleOnRuntime, ...]


class Registry:
    """The Backend's SQLite database.

    Args:
        path: The database file; made if missing.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, TABLES)
        self.credentials = Credentials(self._database, CREDENTIALS)
        self._reports = GroupCommit(self._write_reports)
        self._identities: EpochCache[RuntimeId, RuntimeIdentity] = EpochCache(
            self._database, IDENTITIES
        )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(
        self,
        runtime_id: RuntimeId,
        *,
        endpoint: str | None,
        labels: dict[Name, Label],
        now: datetime,
    ) -> None:
        """Register a Runtime.

        Raises:
            RevisionConflictError: The id is taken.
        """
        row = {
            "runtime_id": str(runtime_id),
            "endpoint": endpoint,
            "labels": json.dumps({str(k): v for k, v in labels.items()}),
            "registered_at": now.isoformat(),
        }
        with self._database.write() as connection:
            known = select(RUNTIMES.c.runtime_id).where(RUNTIMES.c.runtime_id == str(runtime_id))
            if connection.execute(known).first() is not None:
                raise RevisionConflictError(
                    f"the runtime {runtime_id} is registered already",
                    hint="`runtime unregister` it first, or take another id",
                )
            connection.execute(insert(RUNTIMES).values(row))
            self._database.advance_epoch(connection)

    def remove(self, runtime_id: RuntimeId) -> None:
        """Forget a Runtime and all that was known of it.

        Raises:
            BundleMissingError: It is not registered.
        """
        with self._database.write() as connection:
            done = connection.execute(
                delete(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id))
            )
            self._database.advance_epoch(connection)
        if done.rowcount == 0:
            raise _unknown(runtime_id)

    def get(self, runtime_id: RuntimeId) -> KnownRuntime:
        """One Runtime.

        Raises:
            BundleMissingError: It is not registered.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id))
            ).one_or_none()
        if row is None:
            raise _unknown(runtime_id)
        return _known(row)

    def identify(self, runtime_id: RuntimeId) -> RuntimeIdentity:
        """Who a Runtime is; from memory while nothing of that has changed.

        Raises:
            BundleMissingError: It is not registered.
        """
        return self._identities.get(runtime_id, self._read_identity)

    def _read_identity(self, runtime_id: RuntimeId) -> RuntimeIdentity:
        known = self.get(runtime_id)
        return RuntimeIdentity(known.runtime_id, known.labels)

    def all(self) -> tuple[KnownRuntime, ...]:
        """All Runtimes, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(RUNTIMES).order_by(RUNTIMES.c.runtime_id)).all()
        return tuple(_known(row) for row in rows)

    def note_seen(
        self, runtime_id: RuntimeId, *, now: datetime, reported: RuntimeInfo | None = None
    ) -> None:
        """Remember a contact that succeeded, and what the Runtime said of itself."""
        values: dict[str, str | None] = {"last_seen": now.isoformat(), "last_error": None}
        if reported is not None:
            values["reported"] = reported.model_dump_json()
        self._set(runtime_id, values)

    def note_failure(self, runtime_id: RuntimeId, reason: str, *, now: datetime) -> None:
        """Remember a contact that failed."""
        self._set(runtime_id, {"last_failure": now.isoformat(), "last_error": reason[:500]})

    def _set(self, runtime_id: RuntimeId, values: dict[str, str | None]) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id)).values(values)
            )

    def note_bundle(self, runtime_id: RuntimeId, noted: BundleOnRuntime) -> None:
        """Remember the state of one bundle on one Runtime; times not given stay as they were."""
        with self._database.write() as connection:
            connection.execute(_UPSERT, [_bundle_row(runtime_id, noted)])

    def note_report(self, report: Reported) -> None:
        """Remember what a Runtime said; with what others say now, in one transaction.

        Raises:
            BundleMissingError: It is not registered.
        """
        self._reports.write(report)

    def _write_reports(self, reports: Sequence[Reported]) -> list[BundleError | None]:
        seen = [
            {
                "id": str(one.info.runtime_id),
                "last_seen": one.at.isoformat(),
                "last_error": None,
                "reported": one.info.model_dump_json(),
            }
            for one in reports
        ]
        with self._database.write() as connection:
            ids = [row["id"] for row in seen]
            query = select(RUNTIMES.c.runtime_id).where(RUNTIMES.c.runtime_id.in_(ids))
            known = set(connection.execute(query).scalars())
            seen = [row for row in seen if row["id"] in known]
            if seen:
                connection.execute(_SEEN, seen)
            rows = [
                _bundle_row(one.info.runtime_id, noted)
                for one in reports
                if str(one.info.runtime_id) in known
                for noted in one.bundles
            ]
            if rows:
                connection.execute(_UPSERT, rows)
        return [
            None if str(one.info.runtime_id) in known else _unknown(one.info.runtime_id)
            for one in reports
        ]

    def bundles_on(self, runtime_id: RuntimeId) -> tuple[BundleOnRuntime, ...]:
        """All that is known of the bundles on one Runtime."""
        return self._bundles([runtime_id]).get(runtime_id, ())

    def find_rejection(
        self,
        runtime_id: RuntimeId,
        workspace: WorkspaceId,
        digest: Digest,
        policy_digest: ContentHash,
        trust_digest: ContentHash | None,
    ) -> NackReason | None:
        """Why a Runtime refused a bundle under this very policy and these signers, if it did.

        What was refused under them is refused again, so it is not sent in a loop; another host
        policy, or other files of allowed signers or revoked keys, are a new chance.
        """
        for known in self.bundles_on(runtime_id):
            if known.state != "rejected" or (known.workspace, known.digest) != (workspace, digest):
                continue
            if (known.policy_digest, known.trust_digest) == (policy_digest, trust_digest):
                return known.last_error
        return None

    def bundles(self) -> dict[RuntimeId, tuple[BundleOnRuntime, ...]]:
        """All that is known of the bundles on every Runtime."""
        return self._bundles(None)

    def _bundles(
        self, only: Sequence[RuntimeId] | None
    ) -> dict[RuntimeId, tuple[BundleOnRuntime, ...]]:
        query = select(BUNDLES).order_by(BUNDLES.c.workspace, BUNDLES.c.digest)
        if only is not None:
            query = query.where(BUNDLES.c.runtime_id.in_([str(one) for one in only]))
        found: dict[RuntimeId, list[BundleOnRuntime]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                found.setdefault(RuntimeId(row.runtime_id), []).append(_bundle(row))
        return {key: tuple(value) for key, value in found.items()}


def _upsert() -> Insert:
    statement = upsert(BUNDLES)
    key = ("runtime_id", "workspace", "digest")
    times = ("last_checked", "last_fetched", "last_activated")
    changed = {
        column.name: func.coalesce(statement.excluded[column.name], column)
        if column.name in times
        else statement.excluded[column.name]
        for column in BUNDLES.columns
        if column.name not in key
    }
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


_UPSERT = _upsert()
_SEEN = (
    update(RUNTIMES)
    .where(RUNTIMES.c.runtime_id == bindparam("id"))
    .values({name: bindparam(name) for name in ("last_seen", "last_error", "reported")})
)


def _bundle_row(runtime_id: RuntimeId, noted: BundleOnRuntime) -> dict[str, str | None]:
    error = noted.last_error
    return {
        "runtime_id": str(runtime_id),
        "workspace": str(noted.workspace),
        "digest": str(noted.digest),
        "state": noted.state,
        "last_checked": _text(noted.last_checked),
        "last_fetched": _text(noted.last_fetched),
        "last_activated": _text(noted.last_activated),
        "last_error": None if error is None else error.model_dump_json(),
        "policy_digest": None if noted.policy_digest is None else str(noted.policy_digest),
        "trust_digest": None if noted.trust_digest is None else str(noted.trust_digest),
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _unknown(runtime_id: RuntimeId) -> BundleMissingError:
    return BundleMissingError(
        f"the runtime {runtime_id} is not registered", hint="`runtime list` names those that are"
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _known(row: Row[tuple[str, ...]]) -> KnownRuntime:
    return KnownRuntime(
        runtime_id=RuntimeId(row.runtime_id),
        endpoint=row.endpoint,
        labels={Name(key): value for key, value in json.loads(row.labels).items()},
        last_seen=_time(row.last_seen),
        last_failure=_time(row.last_failure),
        last_error=row.last_error,
        reported=None if row.reported is None else RuntimeInfo.model_validate_json(row.reported),
    )


def _bundle(row: Row[tuple[str, ...]]) -> BundleOnRuntime:
    return BundleOnRuntime(
        workspace=WorkspaceId(row.workspace),
        digest=Digest(row.digest),
        state=row.state,
        last_checked=_time(row.last_checked),
        last_fetched=_time(row.last_fetched),
        last_activated=_time(row.last_activated),
        last_error=None
        if row.last_error is None
        else NackReason.model_validate_json(row.last_error),
        policy_digest=None if row.policy_digest is None else ContentHash(row.policy_digest),
        trust_digest=None if row.trust_digest is None else ContentHash(row.trust_digest),
    )
