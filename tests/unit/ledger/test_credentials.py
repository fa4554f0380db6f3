"""Bearer tokens: shown once, kept as a hash, one for each name, and two while it changes."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from house import START
from sqlalchemy import MetaData, select

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.ledger.credentials import Credentials, credential_tables, hash_token
from yoi_bundles.ledger.database import Database

TABLES = MetaData()
CREDENTIALS = credential_tables(TABLES)


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "c.sqlite3", TABLES)
    yield opened
    opened.close()


@pytest.fixture
def credentials(database):
    return Credentials(database, CREDENTIALS)


def test_a_token_verifies_as_its_owner(credentials):
    made = credentials.create("ada", "publisher", now=START)

    found = credentials.verify(made.token, now=START)

    assert (found.name, found.role, found.created_at) == ("ada", "publisher", START)
    assert made.token.startswith("yoi_")
    assert len(made.token) >= 40


def test_only_a_hash_is_kept(credentials, database):
    token = credentials.create("ada", "publisher", now=START).token

    with database.read() as connection:
        row = connection.execute(select(CREDENTIALS.newest)).one()

    assert token not in tuple(row)
    assert row.token_hash == hash_token(token)


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", str.upper, lambda t: ""])
def test_any_other_token_is_nobodys(credentials, change):
    token = credentials.create("ada", "publisher", now=START).token

    with pytest.raises(UnauthenticatedError) as raised:
        credentials.verify(change(token), now=START)

    assert raised.value.code == "unauthenticated"
    assert token not in str(raised.value)


def test_a_revoked_token_is_refused_and_its_name_is_free_again(credentials):
    first = credentials.create("ada", "publisher", now=START).token
    credentials.revoke("ada")

    with pytest.raises(UnauthenticatedError):
        credentials.verify(first, now=START)
    second = credentials.create("ada", "browser", now=START).token
    assert credentials.verify(second, now=START).role == "browser"


def test_a_name_has_one_token(credentials):
    credentials.create("ada", "publisher", now=START)

    with pytest.raises(RevisionConflictError) as raised:
        credentials.create("ada", "operator", now=START)

    assert raised.value.code == "revision_conflict"
    assert [one.role for one in credentials.list()] == ["publisher"]


def test_who_is_not_there_cannot_be_revoked(credentials):
    with pytest.raises(BundleMissingError) as raised:
        credentials.revoke("nobody")

    assert raised.value.code == "bundle_missing"


@pytest.mark.parametrize(("role", "token"), [("root", None), ("publisher", "x" * 31)])
def test_an_unknown_role_and_a_short_token_are_refused(credentials, role, token):
    with pytest.raises(InvalidInputError):
        credentials.create("ada", role, now=START, token=token)

    assert credentials.list() == ()


def test_a_token_made_elsewhere_is_taken_as_it_is(credentials):
    assert credentials.create("ada", "backend", now=START, token="x" * 32).token == "x" * 32
    assert credentials.verify("x" * 32, now=START).name == "ada"


def test_they_are_listed_by_name_without_anything_to_sign_in_with(credentials):
    tokens = [credentials.create(name, "runtime", now=START).token for name in ("b", "a")]

    listed = credentials.list()

    assert [one.name for one in listed] == ["a", "b"]
    assert not any(token in repr(listed) for token in tokens)


# --- rotation ---

LATER = START + timedelta(days=30)


def is_good(credentials, token, now=LATER) -> bool:
    try:
        return credentials.verify(token, now=now).name == "ada"
    except UnauthenticatedError:
        return False


def test_while_a_token_changes_both_are_good_until_it_is_finished(credentials):
    old = credentials.create("ada", "publisher", now=START).token
    made = credentials.rotate("ada", now=LATER)
    assert (made.role, made.created_at, made.old_created_at) == ("publisher", LATER, START)
    assert made.token != old
    assert [is_good(credentials, one) for one in (old, made.token)] == [True, True]

    credentials.finish_rotation("ada")

    assert [is_good(credentials, one) for one in (old, made.token)] == [False, True]
    assert credentials.verify(made.token, now=LATER).created_at == LATER


def test_a_third_token_is_refused_with_a_hint_and_changes_nothing(credentials):
    old = credentials.create("ada", "publisher", now=START).token
    new = credentials.rotate("ada", now=START).token

    with pytest.raises(RevisionConflictError, match="two tokens") as raised:
        credentials.rotate("ada", now=LATER)

    assert raised.value.code == "revision_conflict"
    assert "--finish" in raised.value.hint
    assert [is_good(credentials, one) for one in (old, new)] == [True, True]


def test_an_older_token_ends_by_itself_and_makes_room_for_the_next(credentials):
    first = credentials.create("ada", "publisher", now=START).token
    end = LATER + timedelta(hours=1)
    second = credentials.rotate("ada", now=LATER, old_until=end).token

    assert is_good(credentials, first, end - timedelta(microseconds=1))
    assert not is_good(credentials, first, end)
    with pytest.raises(RevisionConflictError):
        credentials.rotate("ada", now=end - timedelta(microseconds=1))

    third = credentials.rotate("ada", now=end).token
    assert [is_good(credentials, one, end) for one in (first, second, third)] == [
        False, True, True,
    ]  # fmt: skip


def test_the_list_shows_both_times_of_a_token_that_changes(credentials):
    for name in ("ada", "olu"):
        credentials.create(name, "publisher", now=START)
    end = LATER + timedelta(hours=1)
    credentials.rotate("ada", now=LATER, old_until=end)

    ada, olu = credentials.list()

    assert (ada.created_at, ada.old_created_at, ada.old_expires_at) == (LATER, START, end)
    assert (olu.created_at, olu.old_created_at, olu.old_expires_at) == (START, None, None)


def test_revoking_ends_both_tokens_and_leaves_nothing_for_who_takes_the_name(credentials):
    tokens = [credentials.create("ada", "publisher", now=START).token]
    tokens.append(credentials.rotate("ada", now=START).token)

    credentials.revoke("ada")
    credentials.create("ada", "operator", now=START)

    assert [is_good(credentials, one) for one in tokens] == [False, False]
    assert credentials.list()[0].old_created_at is None


def test_only_hashes_of_both_are_kept(credentials, database):
    old = credentials.create("ada", "publisher", now=START).token
    new = credentials.rotate("ada", now=START).token

    with database.read() as connection:
        kept = [connection.execute(select(table)).one() for table in CREDENTIALS]

    assert [row.token_hash for row in kept] == [hash_token(new), hash_token(old)]
    assert not {old, new} & {value for row in kept for value in row}


def test_who_is_not_there_has_no_token_to_change(credentials):
    credentials.create("ada", "publisher", now=START)

    with pytest.raises(BundleMissingError, match="no credential"):
        credentials.rotate("nobody", now=START)
    with pytest.raises(BundleMissingError, match="no credential"):
        credentials.finish_rotation("nobody")
    with pytest.raises(BundleMissingError, match="one token only") as raised:
        credentials.finish_rotation("ada")
    assert raised.value.code == "bundle_missing"


def test_a_database_from_before_there_were_two_tokens_is_taken_over(tmp_path):
    """The shape is that of the last version without rotation, as SQLite printed it."""
    path = tmp_path / "old.sqlite3"
    token = "yoi_" + "x" * 43
    before = sqlite3.connect(path)
    before.execute(
        "CREATE TABLE credentials (name VARCHAR NOT NULL, role VARCHAR NOT NULL,"
        " token_hash VARCHAR(64) NOT NULL, created_at VARCHAR NOT NULL,"
        " PRIMARY KEY (name), UNIQUE (token_hash))"
    )
    before.execute(
        "INSERT INTO credentials VALUES (?, ?, ?, ?)",
        ("ada", "publisher", hash_token(token), START.isoformat()),
    )
    before.commit()
    before.close()

    for _ in range(2):
        opened = Database(path, TABLES)
        credentials = Credentials(opened, CREDENTIALS)
        assert is_good(credentials, token)
        opened.close()
    opened = Database(path, TABLES)
    credentials = Credentials(opened, CREDENTIALS)
    new = credentials.rotate("ada", now=LATER).token
    assert [is_good(credentials, one) for one in (token, new)] == [True, True]
    assert credentials.list()[0].old_created_at == START
    opened.close()

    # And a version of that time still reads it.
    again = sqlite3.connect(path)
    found = again.execute("SELECT name FROM credentials WHERE token_hash = ?", [hash_token(new)])
    assert found.fetchall() == [("ada",)]
    again.close()
