"""What a measurement is done with takes no room, and no file of another one changes."""

from __future__ import annotations

import os

from bench.leftovers import set_aside


def test_the_name_is_free_and_the_room_too(tmp_path):
    directory = tmp_path / "bare"
    (directory / "objects").mkdir(parents=True)
    packed = directory / "objects" / "a.pack"
    packed.write_bytes(b"x" * 5000)
    packed.chmod(0o444)

    set_aside(directory)

    assert not directory.exists()
    (gone,) = tmp_path.iterdir()
    assert (gone / "objects" / "a.pack").stat().st_size == 0


def test_what_others_have_too_stays_as_it_is(tmp_path):
    shared = tmp_path / "shared"
    shared.write_bytes(b"shared")
    directory = tmp_path / "copy"
    directory.mkdir()
    os.link(shared, directory / "linked")
    (directory / "pointing").symlink_to(shared)

    set_aside(directory)

    assert shared.read_bytes() == b"shared"
