"""The SQLite file: made for its owner, one writer at a time, errors of ours only."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.exc import InvalidRequestError

from yoi_bundles.errors import StorageFullError, StoreCorruptError, StoreError
from yoi_bundles.ledger import database as module
from yoi_bundles.ledger.database import Database, translated

pytestmark = pytest.mark.floors

TABLES = MetaData()
ROWS = Table("rows", TABLES, Column("number", Integer, primary_key=True))


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "deep" / "x.sqlite3", TABLES)
    yield opened
    opened.close()


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return [row.number for row in connection.execute(select(ROWS))]


def test_the_file_belongs_to_its_owner_alone(database, tmp_path):
    path = tmp_path / "deep" / "x.sqlite3"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_was_written_is_there_after_reopening(database, tmp_path):
    with database.write() as connection:
        connection.execute(insert(ROWS).values(number=7))
    database.close()

    again = Database(tmp_path / "deep" / "x.sqlite3", TABLES)

    assert numbers(again) == [7]
    again.close()


def test_a_transaction_that_fails_changes_nothing(database):
    with pytest.raises(StoreCorruptError), database.write() as connection:
        connection.execute(insert(ROWS), [{"number": 7}, {"number": 7}])

    assert numbers(database) == []


def test_a_reader_is_not_held_up_by_a_writer(database):
    with database.write() as connection:
        connection.execute(insert(ROWS).values(number=7))
        assert numbers(database) == []

    assert numbers(database) == [7]


def test_a_second_writer_that_waits_too_long_is_told_so(database, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_TIMEOUT_SECONDS", 0.05)
    other = Database(tmp_path / "deep" / "x.sqlite3", TABLES)

    with (
        database.write(),
        pytest.raises(StoreError, match="locked") as raised,
        other.write(),
    ):
        pass
    other.close()

    assert raised.value.code == "store_error"


def test_a_file_that_is_no_database_is_corrupt(tmp_path):
    (tmp_path / "x.sqlite3").write_bytes(b"not a database at all" * 100)

    with pytest.raises(StoreCorruptError) as raised:
        Database(tmp_path / "x.sqlite3", TABLES)

    assert raised.value.code == "store_corrupt"


def test_a_damaged_page_is_corrupt(database, tmp_path):
    with database.write() as connection:
        connection.execute(insert(ROWS), [{"number": n} for n in range(5_000)])
    database.close()
    path = tmp_path / "deep" / "x.sqlite3"
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(StoreCorruptError) as raised:
        Database(path, MetaData())

    assert raised.value.code == "store_corrupt"


def test_a_column_of_a_later_version_is_added_and_rows_stay(database, tmp_path):
    with database.write() as connection:
        connection.execute(insert(ROWS), [{"number": 7}])
    database.close()
    later = MetaData()
    Table(ROWS.name, later, Column("number", Integer, primary_key=True), Column("note", String))

    opened = Database(tmp_path / "deep" / "x.sqlite3", later)

    with opened.read() as connection:
        rows = connection.exec_driver_sql(f"select number, note from {ROWS.name}").all()
    assert [tuple(row) for row in rows] == [(7, None)]
    opened.close()


@pytest.mark.parametrize("place", ["file/x.sqlite3", "directory"])
def test_a_place_where_no_file_can_be_is_a_store_error(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "directory").mkdir()

    with pytest.raises(StoreError) as raised:
        Database(tmp_path / place, TABLES)

    assert raised.value.code == "store_error"
    assert str(tmp_path) not in raised.value.message


def test_a_misuse_of_the_library_is_a_store_error_without_its_text():
    with pytest.raises(StoreError, match="InvalidRequestError") as raised, translated():
        raise InvalidRequestError("SELECT secret FROM t")

    assert "secret" not in raised.value.message


FILL = """
import resource, signal, sys
from pathlib import Path
from sqlalchemy import insert, Column, LargeBinary, MetaData, Table, select, func
from yoi_bundles.errors import BundleError
from yoi_bundles.ledger.database import Database
tables = MetaData()
blobs = Table("blobs", tables, Column("data", LargeBinary))
database = Database(Path(sys.argv[1]), tables)
with database.write() as connection:
    connection.exec_driver_sql("PRAGMA max_page_count = 20")
try:
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
        connection.execute(insert(blobs).values(data=bytes(1_000_000)))
except BundleError as error:
    with database.read() as connection:
        rows = connection.execute(select(func.count()).select_from(blobs)).scalar_one()
    print(error.code, rows)
"""


def test_a_full_database_is_told_as_such_and_changes_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "x.sqlite3")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == [StorageFullError.code, "0"]
