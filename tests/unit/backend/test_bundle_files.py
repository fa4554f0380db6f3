"""Bundle files: built once for (target, base), kept, and the oldest go."""

from __future__ import annotations

import os
import threading

import pytest
from house import TEAM

from yoi_bundles.backend import bundle_files
from yoi_bundles.backend.bundle_files import BundleFiles
from yoi_bundles.errors import StorageFullError, StoreError
from yoi_bundles.model.ids import CommitId


@pytest.fixture
def store(house):
    """A repository with two revisions, and how often a bundle of it was built."""
    backend = house.backend()
    house.publish(backend)
    house.publish(backend, prompts__role__coder="\nBe exact.\n")
    return backend.publishing.store(TEAM)


@pytest.fixture
def files(tmp_path):
    return BundleFiles(tmp_path / "files")


class Counting:
    """A store that counts what is built of it."""

    def __init__(self, store) -> None:
        self.built = 0
        self._store = store

    def write_bundle(self, *args, **kwargs):
        self.built += 1
        return self._store.write_bundle(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_file_is_built_once_and_then_handed_out(store, files):
    counting, head = Counting(store), store.find_head()

    first = files.get(counting, head, ())
    again = files.get(counting, head, ())

    assert (counting.built, first) == (1, again)
    assert first.path.stat().st_size == first.size_bytes
    assert (first.target, first.digest, first.base) == (head.commit, head.digest, None)


def test_a_holder_of_the_parent_gets_an_increment_with_an_etag_of_its_own(store, files):
    head = store.find_head()

    full, increment = files.get(store, head, ()), files.get(store, head, (head.parent,))

    assert increment.base == head.parent
    assert increment.size_bytes < full.size_bytes / 5
    assert full.etag == f'"{head.commit}.full"'
    assert increment.etag == f'"{head.commit}.{head.parent}"'


def test_who_holds_nothing_may_have_the_tip_alone(store, files):
    head = store.find_head()

    full, tip = files.get(store, head, ()), files.get(store, head, (), is_shallow=True)

    assert (full.is_shallow, tip.is_shallow, tip.base) == (False, True, None)
    assert tip.size_bytes < full.size_bytes
    assert (full.etag, tip.etag) == (f'"{head.commit}.full"', f'"{head.commit}.tip"')


def test_who_holds_something_else_gets_whole_history(store, files):
    head, elsewhere = store.find_head(), CommitId("ab" * 32)

    file = files.get(store, head, (elsewhere,), is_shallow=True)

    assert file == files.get(store, head, ())


def test_a_first_revision_has_one_full_file(store, files):
    first = store.find_commit(store.find_head().parent)

    assert files.get(store, first, (), is_shallow=True) == files.get(store, first, ())


def test_many_who_ask_at_once_cost_one_build(store, files):
    counting, head = Counting(store), store.find_head()
    start, found = threading.Barrier(6), []

    def ask() -> None:
        start.wait(10)
        found.append(files.get(counting, head, ()))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert counting.built == 1
    assert len(found) == 6
    assert len(set(found)) == 1


def test_the_files_used_least_recently_go(store, files, monkeypatch):
    monkeypatch.setattr(bundle_files, "KEEP_FILES", 1)
    head = store.find_head()
    old = files.get(store, head, ()).path
    os.utime(old, ns=(1, 1))

    new = files.get(store, head, (head.parent,)).path

    assert not old.exists()
    assert new.exists()


class Failing(Counting):
    def __init__(self, store, error: BaseException) -> None:
        super().__init__(store)
        self.error = error

    def write_bundle(self, out, **kwargs):
        out.write(b"half")
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OSError(28, "No space left"), StorageFullError), (OSError(13, "Denied"), StoreError)],
)
def test_a_build_that_fails_leaves_nothing_and_says_whose_fault_it_is(store, files, error, kind):
    head = store.find_head()

    with pytest.raises(StoreError) as raised:
        files.get(Failing(store, error), head, ())

    assert type(raised.value) is kind
    left = [path.name for path in (files._root / "team").iterdir()]
    assert left == ["lock"]
    assert files.get(store, head, ()).size_bytes > 0


def test_a_place_where_no_directory_can_be_is_a_store_error(store, tmp_path):
    (tmp_path / "in-the-way").write_text("x")

    with pytest.raises(StoreError) as raised:
        BundleFiles(tmp_path / "in-the-way").get(store, store.find_head(), ())

    assert raised.value.code == "store_error"
