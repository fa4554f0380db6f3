"""Bundle files: built once for (target, base), kept, and the oldest go."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from house import OTHER, TEAM

from yoi_bundles.backend.files import bundle_files
from yoi_bundles.backend.files.bundle_files import BundleFiles
from yoi_bundles.errors import StorageFullError, StoreError, TransportError
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
        self.learnt: list[Path] = []
        self._store = store

    def write_bundle(self, *args, **kwargs):
        self.built += 1
        return self._store.write_bundle(*args, **kwargs)

    def learn_packing(self, path):
        self.learnt.append(path)
        return self._store.learn_packing(path)

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
    for file, scope in ((full, "full"), (increment, head.parent)):
        found = hashlib.sha256(file.path.read_bytes())
        assert file.sha256 == found.digest()
        assert file.etag == f'"{head.commit}.{scope}.{found.hexdigest()[:16]}"'


def test_who_holds_nothing_may_have_the_tip_alone(store, files):
    head = store.find_head()

    full, tip = files.get(store, head, ()), files.get(store, head, (), is_shallow=True)

    assert (full.is_shallow, tip.is_shallow, tip.base) == (False, True, None)
    assert tip.size_bytes < full.size_bytes
    assert tip.etag.startswith(f'"{head.commit}.tip.')


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


def test_the_files_used_least_recently_go(house, tmp_path):
    """Bounded over all workspaces, in bytes."""
    backend = house.backend()
    stores = []
    for workspace in (TEAM, OTHER):
        for text in ("", "\nBe exact.\n", "\nBe quick.\n"):
            house.publish(backend, workspace, prompts__role__coder=text)
        stores.append(backend.publishing.store(workspace))
    size = BundleFiles(tmp_path / "measured").get(stores[0], stores[0].find_head(), ()).size_bytes
    files = BundleFiles(tmp_path / "files", int(size * 2.5))
    paths = []
    for used, store in enumerate(stores):
        paths.append(files.get(store, store.find_head(), ()).path)
        os.utime(paths[-1], ns=(used + 1, paths[-1].stat().st_mtime_ns))

    before = stores[1].find_commit(stores[1].find_head().parent)
    newest = files.get(stores[1], before, ()).path

    assert [path.exists() for path in (*paths, newest)] == [False, True, True]
    assert not paths[0].with_suffix(".sha256").exists()


def test_a_file_that_is_used_is_not_the_one_to_go(store, tmp_path):
    head, clock = store.find_head(), Ticking()
    files = BundleFiles(tmp_path / "files", timer=clock)
    path = files.get(store, head, ()).path
    os.utime(path, ns=(1, path.stat().st_mtime_ns))

    files.get(store, head, ())
    assert path.stat().st_atime_ns == 1, "noting it costs a write, so not every use does"
    clock.seconds += bundle_files.RECHECK_SECONDS + 1
    files.get(store, head, ())

    assert path.stat().st_atime_ns > 1


class Ticking:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def damage(path, how: str) -> None:
    if how == "flipped":
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "flipped silently":
        before = path.stat()
        damage(path, "flipped")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "without its digest":
        path.with_suffix(".sha256").unlink()
    else:
        path.unlink()


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    "how", ["flipped", "flipped silently", "cut", "without its digest", "gone"]
)
def test_what_is_not_what_was_built_is_built_again(store, tmp_path, how, is_known):
    counting, head, clock = Counting(store), store.find_head(), Ticking()
    files = BundleFiles(tmp_path / "files", timer=clock)
    built = files.get(counting, head, ())
    content = built.path.read_bytes()
    damage(built.path, how)
    clock.seconds += bundle_files.RECHECK_SECONDS + 1

    again = (files if is_known else BundleFiles(tmp_path / "files")).get(counting, head, ())

    assert counting.built == 2
    assert (again.path.read_bytes(), again) == (content, built)


def test_ready_is_only_what_needs_no_work(store, tmp_path):
    head, clock = store.find_head(), Ticking()
    files = BundleFiles(tmp_path / "files", timer=clock)
    assert files.find_ready(head, ()) is None

    built = files.get(store, head, (head.parent,))
    ready = files.find_ready(head, (head.parent,))
    assert (ready, ready.content) == (built, built.path.read_bytes())
    assert files.find_ready(head, ()) is None, "another question has another file"

    damage(built.path, "flipped")
    assert files.find_ready(head, (head.parent,)) is None
    files.get(store, head, (head.parent,))
    assert files.find_ready(head, (head.parent,)) == built
    clock.seconds += bundle_files.RECHECK_SECONDS + 1
    assert files.find_ready(head, (head.parent,)) is None


def test_a_large_file_is_not_kept_in_memory(store, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_files, "SMALL_BYTES", 100)
    files = BundleFiles(tmp_path / "files")

    assert files.get(store, store.find_head(), ()).content is None


def test_whether_a_file_is_sound_is_asked_of_the_disk(store, files):
    file = files.get(store, store.find_head(), ())
    assert files.is_sound(file)
    damage(file.path, "flipped silently")
    assert not files.is_sound(file)
    file.path.unlink()
    assert not files.is_sound(file)


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


def test_what_a_killed_builder_left_behind_is_swept_by_the_next(store, files, tmp_path):
    directory = tmp_path / "files" / str(TEAM)
    directory.mkdir(parents=True)
    (directory / "tmp-abandoned").write_bytes(b"half a file")

    made = files.get(store, store.find_head(), ())

    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["lock", made.path.name, made.path.with_suffix(".sha256").name]
    )


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_new_process_learns_once_from_the_newest_file_of_an_older_one(
    store, house, tmp_path, is_damaged
):
    older = BundleFiles(tmp_path / "files").get(store, store.find_head(), (), is_shallow=True)
    if is_damaged:
        damage(older.path, "cut")
    house.publish(house.backend(), prompts__role__coder="\nBe quick.\n")
    counting, files = Counting(store), BundleFiles(tmp_path / "files")
    head = store.find_head()

    tip = files.get(counting, head, (), is_shallow=True)
    files.get(counting, head, ())
    files.get(counting, head, (head.parent,))

    assert counting.learnt == [older.path]
    assert (counting.built, tip.target) == (3, head.commit)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow(Counting):
    """A store whose bundle files take an hour, after the first bytes."""

    def __init__(self, store, clock) -> None:
        super().__init__(store)
        self._clock = clock

    def write_bundle(self, out, **kwargs):
        out.write(b"# v3 git bundle\n")
        self._clock.now += 3600
        return super().write_bundle(out, **kwargs)


def test_a_build_that_takes_longer_than_the_server_has_is_given_up(store, tmp_path):
    clock = Clock()
    files = BundleFiles(tmp_path / "files", timer=clock)
    files.end_builds(3.0)

    with pytest.raises(TransportError) as caught:
        files.get(Slow(store, clock), store.find_head(), ())

    assert caught.value.retryable
    assert [path.name for path in (tmp_path / "files" / str(TEAM)).iterdir()] == ["lock"]


def test_a_build_that_is_done_in_time_is_handed_out(store, tmp_path):
    clock = Clock()
    files = BundleFiles(tmp_path / "files", timer=clock)
    files.end_builds(3.0)

    assert files.get(store, store.find_head(), ()).path.is_file()


def test_when_builds_have_ended_none_begins_and_what_is_there_is_handed_out(store, tmp_path):
    files = BundleFiles(tmp_path / "files", timer=Clock())
    made = files.get(store, store.find_head(), ())
    files.end_builds()
    files.end_builds(60.0)
    counting = Counting(store)

    with pytest.raises(TransportError):
        files.get(counting, store.find_head(), (store.find_head().parent,))

    assert counting.built == 0
    assert files.get(counting, store.find_head(), ()) == made
