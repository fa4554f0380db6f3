"""Checkouts: read-only, checked on every read, made whole or not at all."""

import json
import os
from pathlib import Path

import pytest
from store_factories import make_draft, make_files, snapshot

from yoi_bundles.errors import (
    InvalidInputError,
    MissingObjectError,
    StorageFullError,
    StoreCorruptError,
)
from yoi_bundles.model.ids import Digest, RelativePath
from yoi_bundles.store import CheckoutArea

CODER = RelativePath("prompts/role/coder.md")


@pytest.fixture
def source(published):
    return published.tree(published.find_head().digest)


@pytest.fixture
def area(tmp_path):
    return CheckoutArea(tmp_path / "checkouts")


@pytest.fixture
def checkout(area, source):
    return area.ensure(source.digest, source)


def thaw(path):
    """Make a checkout writable for a test that damages it."""
    for directory, _, files in os.walk(path):
        Path(directory).chmod(0o755)
        for name in files:
            (Path(directory) / name).chmod(0o644)


def test_a_checkout_holds_exactly_the_bundle(checkout, source):
    checkout.verify()
    assert checkout.digest == source.digest == checkout.reader.digest
    assert dict(checkout.reader.entries()) == dict(source.entries())
    for path, data in make_files().items():
        assert checkout.reader.read(path) == data
        assert (checkout.path / str(path)).read_bytes() == data


def test_nothing_in_a_checkout_is_writable(checkout):
    modes = {path.stat().st_mode & 0o777 for path in checkout.path.rglob("*") if path.is_file()}
    assert modes == {0o444}
    modes = {path.stat().st_mode & 0o777 for path in checkout.path.rglob("*") if path.is_dir()}
    assert modes | {checkout.path.stat().st_mode & 0o777} == {0o555}


def test_a_second_ensure_makes_nothing(area, checkout, source):
    inode = checkout.path.stat().st_ino
    assert area.ensure(source.digest, source).path.stat().st_ino == inode


def test_what_was_not_made_is_not_found(area):
    assert area.find(Digest("00" * 32)) is None


def test_a_file_that_the_bundle_does_not_have_is_missing(checkout):
    with pytest.raises(MissingObjectError):
        checkout.reader.read(RelativePath("nope"))


def change(path):
    (path / str(CODER)).write_bytes(b"changed")


def remove(path):
    (path / str(CODER)).unlink()


def link(path):
    (path / str(CODER)).rename(path / "elsewhere")
    (path / str(CODER)).symlink_to(path / "elsewhere")


def link_directory(path):
    (path / "prompts").rename(path / "elsewhere")
    (path / "prompts").symlink_to(path / "elsewhere")


def pipe(path):
    (path / str(CODER)).unlink()
    os.mkfifo(path / str(CODER))


def directory(path):
    (path / str(CODER)).unlink()
    (path / str(CODER)).mkdir()


@pytest.mark.parametrize("damage", [change, remove, link, link_directory, pipe, directory])
def test_a_damaged_file_is_never_handed_out(area, checkout, source, damage):
    thaw(checkout.path)
    damage(checkout.path)
    with pytest.raises(StoreCorruptError) as caught:
        checkout.reader.read(CODER)
    assert caught.value.code == "store_corrupt"
    assert caught.value.facts["file"] == str(CODER)
    with pytest.raises(StoreCorruptError):
        checkout.verify()
    repaired = area.repair(source.digest, source)
    repaired.verify()
    assert repaired.reader.read(CODER) == make_files()[CODER]


def extra_file(path):
    (path / "extra").write_bytes(b"")


def extra_directory(path):
    (path / "extra").mkdir()


@pytest.mark.parametrize(
    "damage", [remove, link, link_directory, pipe, extra_file, extra_directory]
)
def test_missing_or_extra_names_stop_a_start(area, checkout, source, damage):
    thaw(checkout.path)
    damage(checkout.path)
    with pytest.raises(StoreCorruptError):
        area.ensure(source.digest, source)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"../x": "00"}', '{"a":"zz"}', None])
def test_an_index_that_does_not_make_the_digest_is_refused(area, checkout, source, text):
    index = checkout.path.with_name(f"{source.digest}.index.json")
    index.unlink()
    if text is not None:
        index.write_text(text)
    with pytest.raises(StoreCorruptError):
        area.find(source.digest)
    area.repair(source.digest, source)
    assert area.find(source.digest) is not None


def test_an_index_with_another_id_for_a_file_is_refused(area, checkout, source):
    index = checkout.path.with_name(f"{source.digest}.index.json")
    table = json.loads(index.read_bytes())
    table[str(CODER)] = "11" * 32
    index.unlink()
    index.write_text(json.dumps(table))
    with pytest.raises(StoreCorruptError):
        area.find(source.digest)


def test_removing_leaves_nothing_and_may_be_repeated(area, checkout, source, tmp_path):
    area.remove(source.digest)
    area.remove(source.digest)
    assert list(snapshot(tmp_path / "checkouts")) == ["yoi.lock"]


def test_a_source_of_another_bundle_is_refused(area, source):
    with pytest.raises(InvalidInputError):
        area.ensure(Digest("11" * 32), source)


class FailingSource:
    """A source whose last file cannot be read."""

    def __init__(self, source, error):
        self._source, self._error, self.digest = source, error, source.digest

    def entries(self):
        return self._source.entries()

    def read(self, path):
        if path == CODER:
            raise self._error
        return self._source.read(path)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [(StoreCorruptError("x"), StoreCorruptError), (OSError(28, "full"), StorageFullError)],
)
def test_a_checkout_that_cannot_be_finished_leaves_nothing(area, source, error, wanted, tmp_path):
    before = snapshot(tmp_path / "checkouts")
    with pytest.raises(wanted):
        area.ensure(source.digest, FailingSource(source, error))
    assert snapshot(tmp_path / "checkouts") == before


def test_a_failed_repair_keeps_what_was_there(area, checkout, source):
    with pytest.raises(StoreCorruptError):
        area.repair(source.digest, FailingSource(source, StoreCorruptError("x")))
    checkout.verify()


def test_leftovers_of_a_crash_are_swept_at_start(area, checkout, tmp_path):
    leftover = tmp_path / "checkouts" / "yoi_tmp_0123"
    (leftover / "sub").mkdir(parents=True)
    (leftover / "sub" / "file").write_bytes(b"x")
    (leftover / "sub").chmod(0o555)
    (tmp_path / "checkouts" / "yoi_tmp_4567").write_bytes(b"")
    CheckoutArea(tmp_path / "checkouts")
    assert not list((tmp_path / "checkouts").glob("tmp_*"))
    checkout.verify()


def test_an_empty_bundle_can_be_checked_out(area, repository):
    digest = repository.publish({}, make_draft()).revision.digest
    checkout = area.ensure(digest, repository.tree(digest))
    checkout.verify()
    assert checkout.reader.entries() == {}
