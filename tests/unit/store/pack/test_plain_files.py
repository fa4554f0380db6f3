"""Files of a pack are asked about many at a time, each once, and none is left out."""

import pytest

from yoi_bundles.store.pack.plain_files import PlainFiles
from yoi_bundles.store.tree.objects import Kind, hash_object


def oid_of(data: bytes) -> bytes:
    return hash_object(Kind.BLOB, data)


def look_at(files):
    """What was asked, and which files were found plain: those that begin with p."""
    asked: list[list[bytes]] = []

    def check(batch):
        asked.append(list(batch))
        return [data.startswith(b"p") for data in batch]

    plain = PlainFiles(check)
    for data in files:
        plain.add(oid_of(data), data)
    waiting = sum(map(len, files)) - sum(len(data) for batch in asked for data in batch)
    plain.ask()
    return asked, [data for data in files if oid_of(data) in plain], waiting


def test_every_file_gets_the_answer_that_was_given_for_it():
    files = [b"plain one", b"other", b"plain two", b""]

    asked, plain, _ = look_at(files)

    assert asked == [files]
    assert plain == [b"plain one", b"plain two"]


def test_what_waits_is_bounded_and_each_file_is_asked_about_once():
    files = [b"p%d" % number + b"." * 10_000 for number in range(40)]

    asked, plain, waiting = look_at(files)

    assert [data for batch in asked for data in batch] == files == plain
    assert len(asked) > 4
    assert waiting < 64 * 1024


@pytest.mark.parametrize("files", [[], [b"p" * 70_000]])
def test_nobody_is_asked_about_nothing(files):
    asked, plain, _ = look_at(files)

    assert asked == [files] * bool(files)
    assert plain == files
