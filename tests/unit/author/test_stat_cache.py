"""The stat cache on disk: it spares reading what did not change, and is believed for no more."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from yoi_bundles.author import publisher as publisher_module
from yoi_bundles.author import stat_cache
from yoi_bundles.author.publisher import DirectoryPublisher
from yoi_bundles.author.source import RACY_NANOSECONDS, take_snapshot
from yoi_bundles.author.stat_cache import Published, StatCache, open_stat_cache
from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.content.check import check_files
from yoi_bundles.kept import file as kept_file
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.revision import Provenance
from yoi_bundles.store import compute_digest

PROVENANCE = Provenance(
    source_kind="directory", source_uri="team", published_by="Ada", built_with="tests"
)
CODER = "prompts/role/coder.md"


@pytest.fixture
def looks(monkeypatch):
    """Every look at the directory, each as if what it found had been left alone for long."""
    found = []

    def look(*arguments, **options):
        # Kept: the next process must believe it. Files touched in this test are newer than 2000.
        found.append(take_snapshot(*arguments, **options))
        return found[-1]._replace(began_ns=found[-1].began_ns + 2 * RACY_NANOSECONDS)

    monkeypatch.setattr(publisher_module, "take_snapshot", look)
    return found


@pytest.fixture
def publish(tmp_path, directory):
    """Publishes as a process of its own would: nothing is kept in memory."""

    def call():
        publishing, repositories = open_publishing(tmp_path / "data" / "backend")
        cache = open_stat_cache(tmp_path / "data", directory, place="")
        publisher = DirectoryPublisher(directory, is_near=True, cache=cache)
        try:
            return publisher.publish(publishing, provenance=PROVENANCE)
        finally:
            repositories.close()

    return call


def files_of(directory):
    return {
        RelativePath(str(file.relative_to(directory))): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }


def cache_file(tmp_path):
    [file] = (tmp_path / "data" / "stat-cache").iterdir()
    return file


def test_the_next_process_reads_what_changed_and_nothing_else(publish, directory, looks):
    publish()
    (directory / CODER).write_text("Be exact.\n")

    made = publish()

    assert sorted(looks[1].read) == [CODER]
    assert (made.is_new, made.revision.digest) == (True, compute_digest(files_of(directory)))


def test_a_file_that_was_published_right_after_it_was_written_is_read_again(publish, directory):
    publish()
    cache = open_stat_cache(directory.parent / "data", directory, place="")
    published = cache.load()

    again = take_snapshot(directory, published.snapshot)

    assert sorted(again.read) == sorted(published.snapshot.stamps)


def test_the_cache_is_for_its_owner_alone_and_holds_no_content(publish, tmp_path):
    publish()

    assert cache_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert cache_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert b"bundle.toml" in cache_file(tmp_path).read_bytes()
    assert b"schema = 1" not in cache_file(tmp_path).read_bytes()


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def link(file):
    file.rename(file.with_suffix(".real"))
    file.symlink_to(file.with_suffix(".real"))


def pipe(file):
    file.unlink()
    os.mkfifo(file, 0o600)


def grow(file):
    with file.open("r+b") as opened:
        opened.truncate(kept_file.KEPT_BYTES + 1)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        cut,
        flip,
        pytest.param(lambda file: file.chmod(0o640), id="others-may-read"),
        pytest.param(lambda file: file.chmod(0o620), id="others-may-write"),
        pytest.param(lambda file: os.chown(file, 12345, -1), id="of-another-user"),
        link,
        pipe,
        grow,
    ],
)
def test_a_cache_that_is_not_whole_and_ours_is_as_if_it_were_not_there(
    publish, directory, looks, tmp_path, spoil
):
    publish()
    if os.geteuid() != 0 and spoil not in (cut, flip, link, pipe, grow):
        pytest.skip("only root gives files away")
    spoil(cache_file(tmp_path))
    (directory / CODER).write_text("Be exact.\n")

    made = publish()

    assert sorted(looks[1].read) == sorted(map(str, files_of(directory)))
    assert made.revision.digest == compute_digest(files_of(directory))


@pytest.mark.parametrize(
    "change",
    [{"rules": "f" * 64}, {"inode": 1}, {"device": -1}, {"count": 3}, {"count": 10**9},
     {"count": -1}, {"digest": "../x"}, {"workspace": None}, {"began_ns": None}],
)  # fmt: skip
def test_a_whole_cache_of_something_else_is_not_used(publish, directory, tmp_path, change):
    publish()
    payload = kept_file.read_kept(cache_file(tmp_path), stat_cache._MAGIC)
    line, _, rest = payload.partition(b"\n")
    about = json.dumps(json.loads(line) | change).encode()
    kept_file.write_kept(cache_file(tmp_path), stat_cache._MAGIC, about + b"\n" + rest)

    cache = open_stat_cache(tmp_path / "data", directory, place="")

    assert cache.load() is None


def test_a_directory_that_took_the_place_of_another_is_read(publish, directory, looks, tmp_path):
    publish()
    shutil.copytree(directory, tmp_path / "copy")
    shutil.rmtree(directory)
    (tmp_path / "copy").rename(directory)

    publish()

    assert sorted(looks[1].read) == sorted(map(str, files_of(directory)))


def test_each_place_has_a_cache_of_its_own(publish, directory, tmp_path):
    publish()

    assert open_stat_cache(tmp_path / "data", directory, place="").load() is not None
    assert open_stat_cache(tmp_path / "data", directory, place="https://b.example").load() is None
    assert open_stat_cache(tmp_path / "data", tmp_path, place="").load() is None


@pytest.mark.parametrize("name", ["stat-cache", "backend/checks"])
def test_where_nothing_can_be_kept_a_publish_goes_on(publish, directory, tmp_path, name):
    (tmp_path / "data" / "backend").mkdir(parents=True)
    (tmp_path / "data" / name).write_text("in the way")

    made = publish()
    (directory / CODER).write_text("Be exact.\n")
    again = publish()

    assert (made.is_new, again.is_new) == (True, True)
    assert again.revision.digest == compute_digest(files_of(directory))


def test_a_write_that_fails_leaves_nothing_and_is_not_told(tmp_path, monkeypatch):
    kept_file.write_kept(tmp_path / "kept" / "a", b"kind 1\n", b"before")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_file.Path, "rename", fail)
    kept_file.write_kept(tmp_path / "kept" / "a", b"kind 1\n", b"after")

    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["a"]
    assert kept_file.read_kept(tmp_path / "kept" / "a", b"kind 1\n") == b"before"
    assert kept_file.read_kept(tmp_path / "kept" / "a", b"kind 2\n") is None


def test_what_is_kept_is_bounded_in_files_and_leftovers_go(tmp_path):
    for number in range(kept_file.KEPT_FILES + 3):
        kept_file.write_kept(tmp_path / str(number), b"k\n", b"")
        os.utime(tmp_path / str(number), (number, number))
    (tmp_path / "yoi_tmp_1_2").write_text("of a killed writer")
    os.utime(tmp_path / "yoi_tmp_1_2", (1, 1))

    kept_file.write_kept(tmp_path / "new", b"k\n", b"x" * kept_file.KEPT_BYTES)
    kept_file.write_kept(tmp_path / "new", b"k\n", b"")

    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"new", *map(str, range(4, kept_file.KEPT_FILES + 3))}


def test_stamps_come_back_as_they_were(directory, tmp_path):
    bundle = check_files(files_of(directory)).bundle
    kept = Published(
        bundle.manifest.value.workspace.id,
        compute_digest(files_of(directory)),
        take_snapshot(directory)._replace(read={}),
    )
    cache = StatCache(tmp_path / "kept", directory, place="", rules="r")

    cache.save(kept)

    assert cache.load() == kept
    assert StatCache(tmp_path / "kept", directory, place="", rules="s").load() is None
