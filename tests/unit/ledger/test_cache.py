"""What is kept in memory of a database ends with the transaction that changes it, anywhere."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select

from yoi_bundles.errors import StoreError
from yoi_bundles.ledger.cache import EpochCache
from yoi_bundles.ledger.database import Database

TABLES = MetaData()
ROWS = Table("rows", TABLES, Column("number", Integer, primary_key=True))


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "x.sqlite3", TABLES)
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path, database):
    """The same file, as another process has it."""
    opened = Database(tmp_path / "x.sqlite3", TABLES)
    yield opened
    opened.close()


class Reading:
    """Reads how many rows there are, and counts how often."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.times = 0

    def __call__(self, key: str) -> int:
        self.times += 1
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(ROWS)).scalar_one() + 1


def add_row(database: Database, *, is_told: bool) -> None:
    with database.write() as connection:
        connection.execute(insert(ROWS).values())
        if is_told:
            database.advance_epoch(connection)


@pytest.mark.parametrize("writer", ["the same", "another"])
def test_a_value_is_read_once_until_the_epoch_moves(database, other, writer):
    read = Reading(database)
    cache = EpochCache(database, read, 8)
    written = database if writer == "the same" else other
    assert [cache.get("a") for _ in range(3)] == [1, 1, 1]

    add_row(written, is_told=False)
    assert (cache.get("a"), read.times) == (1, 1), "other writes leave it alone"
    add_row(written, is_told=True)

    assert (cache.get("a"), cache.get("a"), read.times) == (3, 3, 2)


def _advance_and_fail(database, connection) -> None:
    database.advance_epoch(connection)
    connection.exec_driver_sql("nonsense")


def test_a_transaction_that_fails_leaves_the_epoch(database, other):
    before = database.epoch()
    with pytest.raises(StoreError), other.write() as connection:
        _advance_and_fail(other, connection)

    assert database.epoch() == before


def test_what_was_read_while_the_epoch_moved_is_not_kept(database, other):
    read = Reading(database)

    def slow(key: str) -> int:
        found = read(key)
        if read.times == 1:
            add_row(other, is_told=True)
            cache.get("b")  # somebody else asks meanwhile, and sees the new epoch
        return found

    cache = EpochCache(database, slow, 8)
    assert cache.get("a") == 1
    assert cache.get("a") == 2


def test_a_failure_is_not_remembered(database):
    read = Reading(database)

    def fail_once(key: str) -> int:
        if read(key) and read.times == 1:
            raise LookupError(key)
        return 7

    cache = EpochCache(database, fail_once, 8)
    with pytest.raises(LookupError):
        cache.get("a")
    assert cache.get("a") == 7


def test_a_file_that_is_no_database_any_more_is_a_store_error(database, tmp_path):
    database.close()
    for name in ("x.sqlite3", "x.sqlite3-wal", "x.sqlite3-shm"):
        (tmp_path / name).write_bytes(b"nonsense" * 1000)

    with pytest.raises(StoreError) as raised:
        database.epoch()

    assert raised.value.code == "store_error"
