"""SQL statements that are spelled once in a process, not once for each database.

Source: SQLAlchemy, "SQL Compilation Caching"; its cache belongs to one engine, and a look at it
takes longer than SQLite does to carry out a small statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult, Select
from sqlalchemy.dialects.sqlite import Insert, dialect

_DIALECT = dialect(paramstyle="named")


class Statement:
    """A statement of which only the values change.

    Args:
        clause: Its columns hold text and whole numbers alone: values go to SQLite as they are.
    """

    def __init__(self, clause: Insert | Select[Any]) -> None:
        self._clause = clause
        self._spelled: dict[tuple[str, ...], str] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Carry it out.

        Args:
            connection: Of a `Database`.
            values: By name; of an insert, the columns that it sets.
        """
        names = tuple(values)
        sql = self._spelled.get(names)
        if sql is None:
            sql = str(self._clause.compile(dialect=_DIALECT, column_keys=list(names)))
            self._spelled[names] = sql
        return connection.exec_driver_sql(sql, dict(values))
