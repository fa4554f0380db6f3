"""The tables of a Runtime's SQLite database.

A column that a later version adds may be empty: `yoi_bundles.ledger.database` adds it by itself.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, PrimaryKeyConstraint, String, Table

from yoi_bundles.ledger.credentials import credential_tables

TABLES = MetaData()

WORKERS = Table(
    "workers",
    TABLES,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("worker_id", String, nullable=False, unique=True),
    Column("request_digest", String, nullable=False),
    Column("workspace", String, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("created_at", String, nullable=False),
    Column("receipt", String, nullable=False),
    Column("spec", String, nullable=False),
    Column("decisions", String, nullable=False),
    Column("warnings", String, nullable=False),
    Column("checksum", String),
)
"""``checksum`` covers all that a Worker is read from; records of older versions have none."""

BUNDLES = Table(
    "bundles",
    TABLES,
    Column("workspace", String, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("received_at", String),
    Column("activated_at", String),
    Column("rejected_at", String),
    Column("reason", String),
    PrimaryKeyConstraint("workspace", "digest"),
)

CONTACTS = Table(
    "contacts",
    TABLES,
    Column("workspace", String, primary_key=True),
    Column("last_contact", String),
    Column("last_error", String),
)

NEWEST = Table(
    "newest",
    TABLES,
    Column("workspace", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("commit_id", String(64), nullable=False),
)
"""The second witness of what was accepted last, beside the repository's own refs."""

CREDENTIALS = credential_tables(TABLES)
