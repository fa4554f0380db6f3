"""Tables of the Backend's registry, and the statements that a fleet's reports are written by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Column,
    ForeignKey,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    bindparam,
    func,
    update,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert

from yoi_bundles.ledger.credentials import credential_tables
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.messages.runtimes import BundleOnRuntime

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


UPSERT_BUNDLES = _upsert()
"""Remember states of bundles; times that are not given stay as they were."""
NOTE_SEEN = (
    update(RUNTIMES)
    .where(RUNTIMES.c.runtime_id == bindparam("id"))
    .values({name: bindparam(name) for name in ("last_seen", "last_error", "reported")})
)


def bundle_row(runtime_id: RuntimeId, noted: BundleOnRuntime) -> dict[str, str | None]:
    """One state as `UPSERT_BUNDLES` takes it."""
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
