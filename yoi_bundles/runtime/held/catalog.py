"""What a Runtime remembers: Workers with their receipts, bundles, contacts, credentials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    Row,
    Select,
    Table,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from yoi_bundles.errors import (
    BundleError,
    BundleMissingError,
    RevisionConflictError,
    StoreCorruptError,
)
from yoi_bundles.ledger.cache import EpochCache
from yoi_bundles.ledger.credentials import Credentials
from yoi_bundles.ledger.database import Database
from yoi_bundles.ledger.statements import Statement
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.ids import CommitId, ContentHash, Digest, WorkerId, WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.model.spec import Decision, Receipt, ResolvedWorkerSpec
from yoi_bundles.runtime.held.catalog_tables import (
    BUNDLES,
    CONTACTS,
    CREDENTIALS,
    NEWEST,
    TABLES,
    WORKERS,
)
from yoi_bundles.wire.messages.runtimes import NackReason
from yoi_bundles.wire.messages.workers import WorkerView

KEPT_NEWEST = 1024
"""Workspaces whose newest revision is kept in memory."""


def _noting(table: Table, keys: list[str], columns: list[str]) -> Statement:
    """Inserts a row, or changes these columns of the one that is there."""
    statement = upsert(table)
    changed = {name: statement.excluded[name] for name in columns}
    return Statement(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _noting_newest() -> Statement:
    statement = upsert(NEWEST)
    new = statement.excluded
    return Statement(
        statement.on_conflict_do_update(
            index_elements=["workspace"],
            set_={"number": new.number, "commit_id": new.commit_id},
            where=NEWEST.c.number < new.number,
        )
    )


_BUNDLE = ["workspace", "digest"]
_NOTE_RECEIVED = _noting(BUNDLES, _BUNDLE, ["received_at", "reason"])
_NOTE_REJECTED = _noting(BUNDLES, _BUNDLE, ["rejected_at", "reason"])
_NOTE_NEWEST = _noting_newest()
_NOTE_CONTACT = _noting(CONTACTS, ["workspace"], ["last_contact", "last_error"])
_NOTE_FAILURE = _noting(CONTACTS, ["workspace"], ["last_error"])
_FIND_NOTES = Statement(
    select(BUNDLES).where(
        BUNDLES.c.workspace == bindparam("of_workspace"), BUNDLES.c.digest == bindparam("of_digest")
    )
)
_COUNT_WORKERS = Statement(
    select(func.count())
    .select_from(WORKERS)
    .where(
        WORKERS.c.digest == bindparam("of_digest"),
        WORKERS.c.workspace == bindparam("of_workspace"),
    )
)
_FIND_NEWEST = Statement(select(NEWEST).where(NEWEST.c.workspace == bindparam("of_workspace")))


@dataclass(frozen=True, slots=True)
class BundleNotes:
    """What is remembered of one bundle.

    Args:
        received_at: When it was accepted.
        activated_at: When the first Worker was made from it.
        rejection: Why the newest upload was refused, if it was.
        workers: How many Workers were made from it.
    """

    received_at: datetime | None = None
    activated_at: datetime | None = None
    rejection: NackReason | None = None
    workers: int = 0


class Catalog:
    """The Runtime's SQLite database.

    Args:
        path: The database file; made if missing.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, TABLES)
        self.credentials = Credentials(self._database, CREDENTIALS)
        self._newest = EpochCache(self._database, self._read_newest, KEPT_NEWEST)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # --- Workers ---

    def find_worker(self, worker_id: WorkerId, request_digest: ContentHash) -> WorkerView | None:
        """The Worker of this id, if there is one.

        Raises:
            RevisionConflictError: It was made by another request.
        """
        with self._database.read() as connection:
            row = connection.execute(_by_id(worker_id)).one_or_none()
        return None if row is None else _same_request(row, request_digest)

    def get_worker(self, worker_id: WorkerId) -> WorkerView:
        """One Worker.

        Raises:
            BundleMissingError: There is none of this id.
        """
        with self._database.read() as connection:
            row = connection.execute(_by_id(worker_id)).one_or_none()
        if row is None:
            raise BundleMissingError(f"there is no worker {worker_id}")
        return _worker(row)

    def workers(self, *, after: int, limit: int) -> tuple[tuple[int, WorkerView], ...]:
        """Workers with their numbers, oldest first, from after the given number on."""
        query = select(WORKERS).where(WORKERS.c.number > after).order_by(WORKERS.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return tuple((row.number, _worker(row)) for row in rows)

    def add_worker(
        self, view: WorkerView, verify_held: Callable[[], object] = lambda: None
    ) -> tuple[WorkerView, bool]:
        """Keep a Worker and mark its bundle active, durably and at once.

        Args:
            view: The Worker.
            verify_held: Raises if its bundle was dropped meanwhile; see `used`.

        Returns:
            The Worker that is kept, and whether it is this one: the same request may have been
            faster elsewhere.

        Raises:
            RevisionConflictError: The id was taken by another request meanwhile.
            StorageFullError: No room left; nothing was changed.
        """
        receipt = view.receipt
        row = {
            "worker_id": str(view.worker_id),
            "request_digest": str(receipt.request_digest),
            "workspace": str(receipt.workspace),
            "digest": str(receipt.bundle),
            "created_at": view.created_at.isoformat(),
            "receipt": receipt.model_dump_json(),
            "spec": view.spec.model_dump_json(by_alias=True),
            "decisions": json.dumps([one.model_dump(mode="json") for one in view.decisions]),
            "warnings": json.dumps(view.warnings),
        }
        row["checksum"] = _checksum(row)
        with self._database.write() as connection:
            known = connection.execute(_by_id(view.worker_id)).one_or_none()
            if known is not None:
                return _same_request(known, receipt.request_digest), False
            verify_held()
            connection.execute(insert(WORKERS).values(row))
            if receipt.mode == "synced":
                first = {"activated_at": func.coalesce(BUNDLES.c.activated_at, row["created_at"])}
                statement = upsert(BUNDLES).values(
                    workspace=row["workspace"],
                    digest=row["digest"],
                    activated_at=row["created_at"],
                )
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["workspace", "digest"], set_=first
                    )
                )
        return view, True

    # --- bundles and contacts ---

    def note_received(self, revision: Revision, now: datetime, *, is_contact: bool = False) -> None:
        """Remember that a revision was accepted, and that it is the newest if it is.

        Args:
            is_contact: Whether this confirms what is held, as `note_contact` does.
        """
        workspace = str(revision.workspace)
        received = {"digest": str(revision.digest), "received_at": now.isoformat(), "reason": None}
        newest = {"number": revision.number, "commit_id": str(revision.commit)}
        with self._database.write() as connection:
            _NOTE_RECEIVED.run(connection, {"workspace": workspace} | received)
            _NOTE_NEWEST.run(connection, {"workspace": workspace} | newest)
            if is_contact:
                _NOTE_CONTACT.run(connection, _confirmed(revision.workspace, now))
            self._database.advance_epoch(connection)

    def find_newest(self, workspace: WorkspaceId) -> tuple[CommitId, int] | None:
        """Commit and number of the newest revision that was ever accepted, if one was."""
        return next(iter(self._newest.get(workspace)), None)

    def _read_newest(self, workspace: WorkspaceId) -> tuple[tuple[CommitId, int], ...]:
        with self._database.read() as connection:
            rows = _FIND_NEWEST.run(connection, {"of_workspace": str(workspace)}).all()
        return tuple((CommitId(row.commit_id), row.number) for row in rows)

    def received(self, workspace: WorkspaceId) -> frozenset[Digest]:
        """Every bundle that was accepted."""
        query = select(BUNDLES.c.digest).where(
            BUNDLES.c.workspace == str(workspace), BUNDLES.c.received_at.is_not(None)
        )
        with self._database.read() as connection:
            return frozenset(Digest(row.digest) for row in connection.execute(query))

    @contextmanager
    def used(self, workspace: WorkspaceId) -> Iterator[frozenset[Digest]]:
        """Bundles that Workers were made from; no Worker is added until the block ends.

        Raises:
            StoreError: The database failed.
        """
        query = select(WORKERS.c.digest).where(WORKERS.c.workspace == str(workspace)).distinct()
        with self._database.write() as connection:
            yield frozenset(Digest(row.digest) for row in connection.execute(query))

    def note_rejected(
        self, workspace: WorkspaceId, digest: Digest, reason: NackReason, now: datetime
    ) -> None:
        """Remember that a bundle was refused, and why."""
        values = {
            "workspace": str(workspace),
            "digest": str(digest),
            "rejected_at": now.isoformat(),
            "reason": reason.model_dump_json(),
        }
        with self._database.write() as connection:
            _NOTE_REJECTED.run(connection, values)

    def bundle_notes(self, workspace: WorkspaceId, digest: Digest) -> BundleNotes:
        """What is remembered of one bundle."""
        values = {"of_workspace": str(workspace), "of_digest": str(digest)}
        with self._database.read() as connection:
            row = _FIND_NOTES.run(connection, values).one_or_none()
            workers = int(_COUNT_WORKERS.run(connection, values).scalar_one())
        return replace(BundleNotes() if row is None else _notes(row), workers=workers)

    def rejections(self, workspace: WorkspaceId | None) -> tuple[tuple[WorkspaceId, Digest], ...]:
        """Bundles whose last upload was refused."""
        query = select(BUNDLES).where(BUNDLES.c.reason.is_not(None))
        if workspace is not None:
            query = query.where(BUNDLES.c.workspace == str(workspace))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(BUNDLES.c.rejected_at)).all()
        return tuple((WorkspaceId(row.workspace), Digest(row.digest)) for row in rows)

    def note_contact(self, workspace: WorkspaceId, now: datetime) -> None:
        """Remember that the Backend was heard of a workspace."""
        self._contact(_NOTE_CONTACT, _confirmed(workspace, now))

    def note_contact_failure(self, workspace: WorkspaceId, reason: str) -> None:
        """Remember that the Backend could not be asked."""
        self._contact(_NOTE_FAILURE, {"workspace": str(workspace), "last_error": reason[:500]})

    def _contact(self, statement: Statement, values: Mapping[str, str | None]) -> None:
        with self._database.write() as connection:
            statement.run(connection, values)

    def contact(self, workspace: WorkspaceId) -> tuple[datetime | None, str | None]:
        """Last confirmed contact with the Backend for a workspace, and the last failure since."""
        query = select(CONTACTS).where(CONTACTS.c.workspace == str(workspace))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return (None, None) if row is None else (_time(row.last_contact), row.last_error)

    def contacts(self) -> tuple[WorkspaceId, ...]:
        """Workspaces a Backend was asked about, by name."""
        query = select(CONTACTS.c.workspace).order_by(CONTACTS.c.workspace)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(WorkspaceId(row.workspace) for row in rows)


def _confirmed(workspace: WorkspaceId, now: datetime) -> dict[str, str | None]:
    return {"workspace": str(workspace), "last_contact": now.isoformat(), "last_error": None}


def _by_id(worker_id: WorkerId) -> Select[tuple[str, ...]]:
    return select(WORKERS).where(WORKERS.c.worker_id == str(worker_id))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _same_request(row: Row[tuple[str, ...]], request_digest: ContentHash) -> WorkerView:
    if row.request_digest != str(request_digest):
        raise RevisionConflictError(
            f"the worker {row.worker_id} was made by another request",
            hint="a worker id belongs to one request; take a new id",
        )
    return _worker(row)


def _worker(row: Row[tuple[str, ...]]) -> WorkerView:
    """The Worker of a row that is as it was written.

    Raises:
        StoreCorruptError: It is not.
    """
    with suppress(ValueError, TypeError, KeyError, BundleError):
        view = _parse_worker(row)
        is_spec = canonical_hash(view.spec) == view.receipt.spec_digest
        if is_spec and row.checksum in {None, _checksum(row._asdict())}:
            return view
    raise StoreCorruptError(
        "the record of a worker is damaged", hint="`yoi-bundles runtime repair --catalog`"
    )


def _checksum(row: Mapping[str, str]) -> str:
    texts = {key: value for key, value in row.items() if key not in {"number", "checksum"}}
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def _parse_worker(row: Row[tuple[str, ...]]) -> WorkerView:
    receipt = Receipt.model_validate_json(row.receipt)
    spec = ResolvedWorkerSpec.model_validate_json(row.spec)
    return WorkerView(
        worker_id=WorkerId(row.worker_id),
        created_at=datetime.fromisoformat(row.created_at),
        mode=receipt.mode,
        profile=spec.profile,
        receipt=receipt,
        spec=spec,
        decisions=tuple(Decision.model_validate(one) for one in json.loads(row.decisions)),
        warnings=tuple(json.loads(row.warnings)),
    )


def _notes(row: Row[tuple[str, ...]]) -> BundleNotes:
    reason = None if row.reason is None else NackReason.model_validate_json(row.reason)
    return BundleNotes(_time(row.received_at), _time(row.activated_at), reason)
