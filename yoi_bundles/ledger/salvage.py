"""Saves what a damaged SQLite file still gives into a new one; only ever when an operator says so.

Losing records silently would be worse than refusing to start, so no server calls this.

Source: docs/adr/0014; SQLite, "How To Corrupt An SQLite Database File".
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, insert

from yoi_bundles.errors import BundleMissingError, StoreError
from yoi_bundles.ledger.database import Database

_BESIDE = ("", "-wal", "-shm")


def salvage_database(path: Path, tables: MetaData) -> dict[str, int]:
    """Rename a database to ``<name>.corrupt-<time>`` and copy every row that can be read.

    Args:
        path: The file; nobody may have it open.
        tables: What the new one holds.

    Returns:
        Rows that were saved, by table.

    Raises:
        BundleMissingError: There is no such file.
        StorageFullError: No room; the old file keeps its new name.
        StoreError: It could not be renamed, or the new one could not be written.
    """
    if not path.is_file():
        raise BundleMissingError("there is no catalog here")
    old = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        for suffix in _BESIDE:
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(old.with_name(old.name + suffix))
    except OSError as error:
        raise StoreError(f"the database cannot be set aside: {error.strerror}") from error
    with closing(Database(path, tables)) as new:
        return {table.name: _copy_rows(old, table, new) for table in tables.sorted_tables}


def _copy_rows(old: Path, table: Table, new: Database) -> int:
    rows = _read_rows(old, table)
    with new.write() as connection:
        for row in rows:
            connection.execute(insert(table).prefix_with("OR IGNORE"), row)
    return len(rows)


def _read_rows(path: Path, table: Table) -> list[dict[str, Any]]:
    """Rows from the front up to the damage, then from the back."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT * FROM {table.name} NOT INDEXED ORDER BY rowid {order}"  # noqa: S608
            for row in connection.execute(query):
                known = {key: row[key] for key in row.keys() if key in table.columns}  # noqa: SIM118
                found.setdefault(tuple(known.values()), known)
    return list(found.values())
