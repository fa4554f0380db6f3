"""How both servers open their SQLite file: WAL, one writer at a time, errors of ours only."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from yoi_bundles.errors import StorageFullError, StoreCorruptError, StoreError

BUSY_TIMEOUT_SECONDS = 10
CHECKED_BYTES = 16 * 1024 * 1024
"""A database up to this size is checked whenever it is opened; a larger one by `doctor` alone."""
REPAIR_HINT = "restore a backup, or salvage it with `repair --catalog`"
_EPOCHS = 2**31
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Database:
    """A SQLite database in one file.

    Args:
        path: The file; it and its directory are made if missing, readable by the owner only.
        tables: Made if missing.

    Raises:
        StoreCorruptError: The file is not a database.
        StorageFullError: No room for it.
        StoreError: It cannot be opened.
    """

    def __init__(self, path: Path, tables: MetaData) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            kind = StorageFullError if error.errno in _FULL else StoreError
            raise kind(f"the database cannot be opened: {error.strerror}") from error
        self._epoch = _EpochReader(path)
        self._engine = _create_engine(path)
        self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        if path.stat().st_size <= CHECKED_BYTES:
            self.verify()
        with self.write() as connection:
            tables.create_all(connection)
            _add_new_columns(connection, tables)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; durable when it ends.

        Raises:
            StorageFullError: No room left; nothing was changed.
            StoreError: The database failed; nothing was changed.
        """
        with translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; never blocks a writer.

        Raises:
            StoreError: The database failed.
        """
        with translated(), self._engine.connect() as connection:
            yield connection

    def epoch(self) -> int:
        """How often `advance_epoch` was called, by any process; a few microseconds.

        Raises:
            StoreError: The database failed.
        """
        return self._epoch.read()

    def advance_epoch(self, connection: Connection) -> None:
        """Let what others keep in memory of this database end with this transaction.

        Args:
            connection: Of `write`, which holds the write lock.
        """
        number = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % _EPOCHS}")

    def verify(self) -> None:
        """Look at every page of the file; a database that is large takes its time.

        Raises:
            StoreCorruptError: A page is damaged.
            StoreError: The database failed.
        """
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise StoreCorruptError("the database is damaged", hint=REPAIR_HINT)

    def close(self) -> None:
        """Close every connection."""
        self._epoch.close()
        self._engine.dispose()


class _EpochReader:
    """Reads the epoch over a connection of its own, which is told when others have written.

    Args:
        path: The database.

    Source: SQLite, "Pragma statements", ``data_version`` and ``user_version``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._epoch = 0

    def read(self) -> int:
        """The epoch of the last commit, read anew only if there was a commit since.

        Raises:
            StoreError: The database failed.
        """
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        self._path,
                        timeout=BUSY_TIMEOUT_SECONDS,
                        isolation_level=None,
                        check_same_thread=False,
                    )
                execute = self._connection.execute
                (version,) = execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    (self._epoch,) = execute("PRAGMA user_version").fetchone()
                    self._version = version
                return self._epoch
        except sqlite3.Error as error:
            raise StoreError(f"the database failed: {error}") from error

    def close(self) -> None:
        """Close the connection; another `read` opens a new one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection, self._version = None, -1


def _add_new_columns(connection: Connection, tables: MetaData) -> None:
    """Columns that a later version added; all of them may be empty, so rows stay as they are."""
    for table in tables.sorted_tables:
        known = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD {column.name} {kind}")


def _create_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, record: object) -> None:
        # The driver's own BEGIN comes too late and is never IMMEDIATE, so it is switched off.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "full" in text:
            raise StorageFullError("no room left for the database") from error
        if "malformed" in text or "corrupt" in text:
            raise StoreCorruptError(f"the database is damaged: {text}", hint=REPAIR_HINT) from error
        raise StoreError(f"the database failed: {text}") from error
    except DatabaseError as error:
        raise StoreCorruptError(
            f"the database is damaged: {error.orig}", hint=REPAIR_HINT
        ) from error
    except SQLAlchemyError as error:
        raise StoreError(f"the database failed: {type(error).__name__}") from error
