"""Bearer tokens: shown once, kept as a hash, one for each name."""

from __future__ import annotations

import pytest
from house import START
from sqlalchemy import MetaData, select

from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    RevisionConflictError,
    UnauthenticatedError,
)
from yoi_bundles.wire.credentials import Credentials, credential_table, hash_token
from yoi_bundles.wire.database import Database

TABLES = MetaData()
TABLE = credential_table(TABLES)


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "c.sqlite3", TABLES)
    yield opened
    opened.close()


@pytest.fixture
def credentials(database):
    return Credentials(database, TABLE)


def test_a_token_verifies_as_its_owner(credentials):
    made = credentials.create("ada", "publisher", now=START)

    found = credentials.verify(made.token)

    assert (found.name, found.role, found.created_at) == ("ada", "publisher", START)
    assert made.token.startswith("yoi_")
    assert len(made.token) >= 40


def test_only_a_hash_is_kept(credentials, database):
    token = credentials.create("ada", "publisher", now=START).token

    with database.read() as connection:
        row = connection.execute(select(TABLE)).one()

    assert token not in tuple(row)
    assert row.token_hash == hash_token(token)


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", str.upper, lambda t: ""])
def test_any_other_token_is_nobodys(credentials, change):
    token = credentials.create("ada", "publisher", now=START).token

    with pytest.raises(UnauthenticatedError) as raised:
        credentials.verify(change(token))

    assert raised.value.code == "unauthenticated"
    assert token not in str(raised.value)


def test_a_revoked_token_is_refused_and_its_name_is_free_again(credentials):
    first = credentials.create("ada", "publisher", now=START).token
    credentials.revoke("ada")

    with pytest.raises(UnauthenticatedError):
        credentials.verify(first)
    second = credentials.create("ada", "browser", now=START).token
    assert credentials.verify(second).role == "browser"


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
    assert credentials.verify("x" * 32).name == "ada"


def test_they_are_listed_by_name_without_anything_to_sign_in_with(credentials):
    tokens = [credentials.create(name, "runtime", now=START).token for name in ("b", "a")]

    listed = credentials.list()

    assert [one.name for one in listed] == ["a", "b"]
    assert not any(token in repr(listed) for token in tokens)
