"""What a Runtime remembers, and that it is there after a restart."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta

import pytest
from house import OTHER, START, TEAM, publish_request, worker_request

from yoi_bundles.errors import BundleMissingError, RevisionConflictError, StoreCorruptError
from yoi_bundles.model.canonical import canonical_hash
from yoi_bundles.model.ids import CommitId, Digest, WorkerId
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.held.catalog import BundleNotes, Catalog
from yoi_bundles.wire.messages.runtimes import NackReason

SOME = Digest("ab" * 32)
WHY = NackReason(code="forbidden_mode", message="no links", hint="replace it")
LATER = START + timedelta(minutes=5)


def make_revision(number=1, commit="cd" * 32):
    return Revision(
        commit=CommitId(commit),
        digest=SOME,
        workspace=TEAM,
        number=number,
        created_at=START,
        provenance=publish_request({}).provenance,
        parent=None,
    )


@pytest.fixture
def catalog(tmp_path):
    opened = Catalog(tmp_path / "catalog.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def view(house):
    """A real Worker, made elsewhere."""
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    return runtime.create_worker(worker_request(revision.digest)).worker


def test_nothing_is_remembered_of_what_was_never_seen(catalog):
    assert catalog.bundle_notes(TEAM, SOME) == BundleNotes()
    assert catalog.contact(TEAM) == (None, None)
    assert (catalog.contacts(), catalog.rejections(None)) == ((), ())
    assert catalog.workers(after=0, limit=10) == ()
    with pytest.raises(BundleMissingError) as raised:
        catalog.get_worker(WorkerId("w"))
    assert raised.value.code == "bundle_missing"


def test_a_worker_is_kept_as_it_was_and_makes_its_bundle_active_once(catalog, view):
    kept = catalog.add_worker(view)
    later = view.model_copy(update={"worker_id": WorkerId("worker-2"), "created_at": LATER})
    catalog.add_worker(later)

    assert kept == (view, True)
    assert catalog.get_worker(view.worker_id) == view
    assert catalog.bundle_notes(TEAM, view.receipt.bundle).workers == 2
    assert catalog.bundle_notes(OTHER, view.receipt.bundle).workers == 0
    assert catalog.bundle_notes(TEAM, view.receipt.bundle).activated_at == view.created_at


def test_the_same_request_finds_its_worker_and_another_is_a_conflict(catalog, view):
    catalog.add_worker(view)
    request = view.receipt.request_digest
    other = canonical_hash(worker_request(SOME))

    assert catalog.find_worker(view.worker_id, request) == view
    assert catalog.add_worker(view.model_copy(update={"created_at": LATER})) == (view, False)
    assert catalog.find_worker(WorkerId("nobody"), request) is None
    with pytest.raises(RevisionConflictError) as raised:
        catalog.find_worker(view.worker_id, other)
    assert raised.value.code == "revision_conflict"


def test_workers_come_in_the_order_they_were_made(catalog, view):
    for name in ("c", "a", "b"):
        catalog.add_worker(view.model_copy(update={"worker_id": WorkerId(name)}))

    first = catalog.workers(after=0, limit=2)
    rest = catalog.workers(after=first[-1][0], limit=2)

    assert [str(one.worker_id) for _, one in (*first, *rest)] == ["c", "a", "b"]


def test_acceptance_takes_a_rejection_back(catalog):
    catalog.note_rejected(TEAM, SOME, WHY, START)
    rejected = (catalog.rejections(TEAM), catalog.bundle_notes(TEAM, SOME).rejection)
    catalog.note_received(make_revision(), LATER)

    assert rejected == (((TEAM, SOME),), WHY)
    assert catalog.rejections(OTHER) == ()
    assert catalog.rejections(None) == ()
    assert catalog.bundle_notes(TEAM, SOME) == BundleNotes(received_at=LATER)


def test_a_contact_takes_the_failure_before_it_back_and_a_failure_keeps_the_contact(catalog):
    catalog.note_contact_failure(OTHER, "x" * 900)
    catalog.note_contact(TEAM, START)
    catalog.note_contact_failure(TEAM, "gone")
    failed = catalog.contact(TEAM)
    catalog.note_contact(TEAM, LATER)

    assert failed == (START, "gone")
    assert catalog.contact(TEAM) == (LATER, None)
    assert (catalog.contact(OTHER)[0], len(catalog.contact(OTHER)[1])) == (None, 500)
    assert catalog.contacts() == (OTHER, TEAM)


def test_everything_is_there_after_reopening(catalog, view, tmp_path):
    catalog.add_worker(view)
    catalog.note_rejected(OTHER, SOME, WHY, START)
    catalog.note_contact(TEAM, START)
    catalog.close()

    again = Catalog(tmp_path / "catalog.sqlite3")

    assert again.get_worker(view.worker_id) == view
    assert again.bundle_notes(OTHER, SOME).rejection == WHY
    assert again.contact(TEAM) == (START, None)
    again.close()


def test_the_newest_revision_that_was_accepted_never_becomes_an_older_one(catalog):
    catalog.note_received(make_revision(5, "05" * 32), START)
    catalog.note_received(make_revision(3, "03" * 32), LATER)

    assert catalog.find_newest(TEAM) == (CommitId("05" * 32), 5)
    assert catalog.find_newest(OTHER) is None
    assert catalog.received(TEAM) == {SOME}


@pytest.mark.parametrize("column", ["spec", "receipt", "decisions", "request_digest"])
def test_a_record_of_a_worker_that_was_changed_is_not_given_out(catalog, view, tmp_path, column):
    catalog.add_worker(view)
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as database:
        (text,) = database.execute(f"select {column} from workers").fetchone()
        place = text.index(":") + 9
        changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        database.execute(f"update workers set {column} = ?", (changed,))
        database.commit()

    with pytest.raises(StoreCorruptError) as raised:
        catalog.get_worker(view.worker_id)

    assert raised.value.code == "store_corrupt"
