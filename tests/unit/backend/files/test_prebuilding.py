"""Files built ahead: for what Runtimes hold, bounded, and never in the way."""

from __future__ import annotations

import shutil

import pytest
from house import OTHER, START, TEAM

from yoi_bundles.backend.files import prebuilding as warming
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.messages.runtimes import BundleOnRuntime


@pytest.fixture
def backend(house):
    opened = house.backend()
    opened.work_behind()
    return opened


def hold(house, backend, name, *revisions) -> None:
    """A Runtime that took these revisions, one an hour."""
    house.register(backend, name)
    for revision in revisions:
        house.clock.advance(hours=1)
        noted = BundleOnRuntime(
            workspace=TEAM, digest=revision.digest, state="accepted", last_fetched=house.clock()
        )
        backend._registry.note_bundle(RuntimeId(name), noted)


def built(backend, target=None) -> set[str]:
    """Scopes of the files that were built, or of those for one revision."""
    for errands in (backend._prebuilding._increments, backend._prebuilding._first):
        thread = errands._thread
        if thread is not None:
            thread.join(20)
    stems = [path.stem for path in backend._files._root.rglob("*.bundle")]
    wanted = "" if target is None else str(target.commit)
    return {stem.partition("-")[2] for stem in stems if stem.startswith(wanted)}


def test_what_most_runtimes_took_last_is_built_for_the_next_revision(house, backend, monkeypatch):
    monkeypatch.setattr(warming, "WARMED_BASES", 2)
    line = [house.publish(backend, prompts__role__coder=f"\n{text}\n").revision for text in "abcd"]
    for number, held in enumerate([line[:1], line[:2], line[1:2], line[1:3], line[:3]]):
        hold(house, backend, f"rt-{number}", *held)

    head = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision

    assert built(backend, head) == {"tip", *(str(line[place].commit) for place in (1, 2, 3))}


def test_the_first_bundle_is_there_before_a_fresh_runtime_asks(house, backend):
    parent = house.publish(backend).revision
    assert built(backend) == {"full"}
    head = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    assert built(backend) == {"full", "tip", str(parent.commit)}

    file = backend._files.find_ready(head, (), is_shallow=True)
    assert file == backend.bundle_file(head.digest, is_shallow=True)


def test_a_server_that_starts_builds_what_is_there(house):
    writer = house.backend()
    for workspace in (TEAM, OTHER):
        house.publish(writer, workspace)
    opened = house.backend()
    opened.work_behind()

    assert built(opened) == {"full"}
    assert {path.parent.name for path in opened._files._root.rglob("*.bundle")} == {"team", "other"}


def test_a_build_that_fails_is_logged_and_the_next_one_goes_on(house, backend, caplog, monkeypatch):
    first = house.publish(backend).revision
    hold(house, backend, "rt-1", first)
    built(backend)
    place = house.root / "backend" / "bundle-files"
    shutil.rmtree(place)
    place.write_text("in the way")
    second = house.publish(backend, prompts__role__coder="\nBe exact.\n").revision
    built(backend)
    assert "store_error" in caplog.text

    place.unlink()
    house.publish(backend, prompts__role__coder="\nBe quick.\n")

    assert built(backend) == {str(first.commit), str(second.commit), "tip"}


def test_after_the_close_nothing_is_built(house, backend):
    hold(house, backend, "rt-1", house.publish(backend).revision)
    before = built(backend)
    backend._prebuilding.close()

    house.publish(backend, prompts__role__coder="\nBe exact.\n")

    assert (built(backend), house.clock() > START) == (before, True)
