"""What the Backend knows of its Runtimes: identity, labels, credentials, bundle by bundle state."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import Field
from sqlalchemy import (
    Row,
    delete,
    func,
    insert,
    select,
    update,
)

from yoi_bundles.backend.fleet.registry_tables import (
    BUNDLES,
    CREDENTIALS,
    NOTE_SEEN,
    RUNTIMES,
    TABLES,
    UPSERT_BUNDLES,
    bundle_row,
)
from yoi_bundles.errors import (
    BundleError,
    BundleMissingError,
    InvalidInputError,
    RevisionConflictError,
)
from yoi_bundles.ledger.cache import EpochCache
from yoi_bundles.ledger.credentials import Credentials
from yoi_bundles.ledger.database import Database
from yoi_bundles.ledger.group_commit import GroupCommit
from yoi_bundles.model.ids import ContentHash, Digest, Name, RuntimeId, WorkspaceId
from yoi_bundles.model.texts import Label
from yoi_bundles.wire.messages.roles import CredentialView
from yoi_bundles.wire.messages.runtimes import (
    BundleOnRuntime,
    NackReason,
    RuntimeInfo,
)

_KEPT_LABELS = 4096
IDENTITIES = 16_384
"""Runtimes whose identity is kept in memory."""


@dataclass(frozen=True, slots=True)
class RuntimeIdentity:
    """What decides what a registered Runtime may see."""

    runtime_id: RuntimeId
    labels: Mapping[Name, Label]


class RegistryCaller(CredentialView):
    """A Runtime's credential, with who that is."""

    runtime: RuntimeIdentity = Field(exclude=True)


_CALLER_FIELDS = set(RegistryCaller.model_fields)
"""One set for all: it would weigh more than the rest of a caller, and there is one each Runtime."""


@dataclass(frozen=True, slots=True)
class KnownRuntime(RuntimeIdentity):
    """A registered Runtime as the Backend itself uses it."""

    endpoint: str | None
    last_seen: datetime | None
    last_failure: datetime | None
    last_error: str | None
    reported: RuntimeInfo | None

    @property
    def is_available(self) -> bool | None:
        """Whether the last contact succeeded; None before the first."""
        if self.last_seen is None:
            return None if self.last_failure is None else False
        return self.last_failure is None or self.last_failure < self.last_seen


@dataclass(frozen=True, slots=True)
class Reported:
    """What a Runtime said of itself, and what of its bundles is to be remembered."""

    info: RuntimeInfo
    at: datetime
    bundles: tuple[BundleOnRuntime, ...]


class Registry:
    """The Backend's SQLite database.

    Args:
        path: The database file; made if missing.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, TABLES)
        self.credentials = Credentials(self._database, CREDENTIALS, self._with_runtime)
        self.reports = GroupCommit(self._write_reports)
        """What Runtimes say, with what others say now in one transaction; unknown ones are
        `BundleMissingError`."""
        self._identities = EpochCache(self._database, self._read_identity, IDENTITIES)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(
        self,
        runtime_id: RuntimeId,
        *,
        endpoint: str | None,
        labels: dict[Name, Label],
        now: datetime,
    ) -> None:
        """Register a Runtime.

        Raises:
            RevisionConflictError: The id is taken.
        """
        row = {
            "runtime_id": str(runtime_id),
            "endpoint": endpoint,
            "labels": json.dumps({str(k): v for k, v in labels.items()}),
            "registered_at": now.isoformat(),
        }
        with self._database.write() as connection:
            known = select(RUNTIMES.c.runtime_id).where(RUNTIMES.c.runtime_id == str(runtime_id))
            if connection.execute(known).first() is not None:
                raise RevisionConflictError(
                    f"the runtime {runtime_id} is registered already",
                    hint="`runtime unregister` it first, or take another id",
                )
            connection.execute(insert(RUNTIMES).values(row))
            self._database.advance_epoch(connection)

    def remove(self, runtime_id: RuntimeId) -> None:
        """Forget a Runtime and all that was known of it.

        Raises:
            BundleMissingError: It is not registered.
        """
        with self._database.write() as connection:
            done = connection.execute(
                delete(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id))
            )
            self._database.advance_epoch(connection)
        if done.rowcount == 0:
            raise _unknown(runtime_id)

    def get(self, runtime_id: RuntimeId) -> KnownRuntime:
        """One Runtime.

        Raises:
            BundleMissingError: It is not registered.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id))
            ).one_or_none()
        if row is None:
            raise _unknown(runtime_id)
        return _known(row)

    def identify(self, runtime_id: RuntimeId) -> RuntimeIdentity:
        """Who a Runtime is; from memory while nothing of that has changed.

        Raises:
            BundleMissingError: It is not registered.
        """
        return self._identities.get(runtime_id)

    def _with_runtime(self, owner: CredentialView) -> CredentialView:
        if owner.role != "runtime":
            return owner
        # Without, if it is not registered, or not any more.
        with contextlib.suppress(BundleMissingError, InvalidInputError):
            identity = self.identify(RuntimeId.parse(owner.name))
            return RegistryCaller.model_construct(_CALLER_FIELDS, **dict(owner), runtime=identity)
        return owner

    def _read_identity(self, runtime_id: RuntimeId) -> RuntimeIdentity:
        known = self.get(runtime_id)
        return RuntimeIdentity(known.runtime_id, known.labels)

    def all(
        self,
        labels: Mapping[Name, Label] = MappingProxyType({}),
        *,
        after: RuntimeId | None = None,
        limit: int | None = None,
    ) -> tuple[KnownRuntime, ...]:
        """Runtimes, by id.

        Args:
            labels: Only those that have all of these.
            after: Only those behind this one.
            limit: At most so many.
        """
        query = select(RUNTIMES).order_by(RUNTIMES.c.runtime_id).limit(limit)
        for key, value in labels.items():
            # A name holds nothing that ends the quotes.
            query = query.where(func.json_extract(RUNTIMES.c.labels, f'$."{key}"') == value)
        if after is not None:
            query = query.where(RUNTIMES.c.runtime_id > str(after))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(_known(row) for row in rows)

    def note_seen(
        self, runtime_id: RuntimeId, *, now: datetime, reported: RuntimeInfo | None = None
    ) -> None:
        """Remember a contact that succeeded, and what the Runtime said of itself."""
        values: dict[str, str | None] = {"last_seen": now.isoformat(), "last_error": None}
        if reported is not None:
            values["reported"] = reported.model_dump_json()
        self._set(runtime_id, values)

    def note_failure(self, runtime_id: RuntimeId, reason: str, *, now: datetime) -> None:
        """Remember a contact that failed."""
        self._set(runtime_id, {"last_failure": now.isoformat(), "last_error": reason[:500]})

    def _set(self, runtime_id: RuntimeId, values: dict[str, str | None]) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(RUNTIMES).where(RUNTIMES.c.runtime_id == str(runtime_id)).values(values)
            )

    def note_bundle(self, runtime_id: RuntimeId, noted: BundleOnRuntime) -> None:
        """Remember the state of one bundle on one Runtime; times not given stay as they were."""
        with self._database.write() as connection:
            connection.execute(UPSERT_BUNDLES, [bundle_row(runtime_id, noted)])

    def _write_reports(self, reports: Sequence[Reported]) -> list[BundleError | None]:
        seen = [
            {
                "id": str(one.info.runtime_id),
                "last_seen": one.at.isoformat(),
                "last_error": None,
                "reported": one.info.model_dump_json(),
            }
            for one in reports
        ]
        with self._database.write() as connection:
            ids = [row["id"] for row in seen]
            query = select(RUNTIMES.c.runtime_id).where(RUNTIMES.c.runtime_id.in_(ids))
            known = set(connection.execute(query).scalars())
            seen = [row for row in seen if row["id"] in known]
            if seen:
                connection.execute(NOTE_SEEN, seen)
            rows = [
                bundle_row(one.info.runtime_id, noted)
                for one in reports
                if str(one.info.runtime_id) in known
                for noted in one.bundles
            ]
            if rows:
                connection.execute(UPSERT_BUNDLES, rows)
        return [
            None if str(one.info.runtime_id) in known else _unknown(one.info.runtime_id)
            for one in reports
        ]

    def bundles_on(self, runtime_id: RuntimeId) -> tuple[BundleOnRuntime, ...]:
        """All that is known of the bundles on one Runtime."""
        return self._bundles([runtime_id]).get(runtime_id, ())

    def find_rejection(
        self,
        runtime_id: RuntimeId,
        workspace: WorkspaceId,
        digest: Digest,
        policy_digest: ContentHash,
        trust_digest: ContentHash | None,
    ) -> NackReason | None:
        """Why a Runtime refused a bundle under this very policy and these signers, if it did.

        What was refused under them is refused again, so it is not sent in a loop; another host
        policy, or other files of allowed signers or revoked keys, are a new chance.
        """
        for known in self.bundles_on(runtime_id):
            if known.state != "rejected" or (known.workspace, known.digest) != (workspace, digest):
                continue
            if (known.policy_digest, known.trust_digest) == (policy_digest, trust_digest):
                return known.last_error
        return None

    def bundles(
        self, only: Sequence[RuntimeId] | None = None
    ) -> dict[RuntimeId, tuple[BundleOnRuntime, ...]]:
        """All that is known of the bundles on every Runtime, or on some."""
        return self._bundles(only)

    def newest_held(self, workspace: WorkspaceId, limit: int) -> tuple[Digest, ...]:
        """The bundles that Runtimes took last, those of most Runtimes first."""
        newest = (
            # SQLite takes the other columns from the row that has the maximum.
            select(BUNDLES.c.digest, func.max(BUNDLES.c.last_fetched))
            .where(BUNDLES.c.workspace == str(workspace))
            .where(BUNDLES.c.state.in_(("accepted", "active")))
            .group_by(BUNDLES.c.runtime_id)
            .subquery()
        )
        query = (
            select(newest.c.digest)
            .group_by(newest.c.digest)
            .order_by(func.count().desc(), newest.c.digest)
            .limit(limit)
        )
        with self._database.read() as connection:
            return tuple(Digest(text) for text in connection.execute(query).scalars())

    def _bundles(
        self, only: Sequence[RuntimeId] | None
    ) -> dict[RuntimeId, tuple[BundleOnRuntime, ...]]:
        query = select(BUNDLES).order_by(BUNDLES.c.workspace, BUNDLES.c.digest)
        if only is not None:
            query = query.where(BUNDLES.c.runtime_id.in_([str(one) for one in only]))
        found: dict[RuntimeId, list[BundleOnRuntime]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                found.setdefault(RuntimeId(row.runtime_id), []).append(_bundle(row))
        return {key: tuple(value) for key, value in found.items()}


def _unknown(runtime_id: RuntimeId) -> BundleMissingError:
    return BundleMissingError(
        f"the runtime {runtime_id} is not registered", hint="`runtime list` names those that are"
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@functools.lru_cache(_KEPT_LABELS)
def _parse_labels(text: str) -> Mapping[Name, Label]:
    """Labels as they are kept; the same ones of many Runtimes are one value."""
    return MappingProxyType({Name(key): value for key, value in json.loads(text).items()})


def _known(row: Row[tuple[str, ...]]) -> KnownRuntime:
    return KnownRuntime(
        runtime_id=RuntimeId(row.runtime_id),
        endpoint=row.endpoint,
        labels=_parse_labels(row.labels),
        last_seen=_time(row.last_seen),
        last_failure=_time(row.last_failure),
        last_error=row.last_error,
        reported=None if row.reported is None else RuntimeInfo.model_validate_json(row.reported),
    )


def _bundle(row: Row[tuple[str, ...]]) -> BundleOnRuntime:
    return BundleOnRuntime(
        workspace=WorkspaceId(row.workspace),
        digest=Digest(row.digest),
        state=row.state,
        last_checked=_time(row.last_checked),
        last_fetched=_time(row.last_fetched),
        last_activated=_time(row.last_activated),
        last_error=None
        if row.last_error is None
        else NackReason.model_validate_json(row.last_error),
        policy_digest=None if row.policy_digest is None else ContentHash(row.policy_digest),
        trust_digest=None if row.trust_digest is None else ContentHash(row.trust_digest),
    )
