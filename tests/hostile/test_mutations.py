"""Good bundle files, changed at random: only errors of this project, and never a trace."""

from __future__ import annotations

from hashlib import sha256

import pytest
from builder import Upload, World
from depth import times
from families.controls import CONTROLS
from harness import judge, listing, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from yoi_bundles.errors import error_classes
from yoi_bundles.store import Repository

CODES = {cls.code for cls in error_classes()}
OURS = {"internal_error", "store_error", "store_corrupt"}
"""Codes that blame this machine: no sender may bring them about."""
SEEDS = ("plain", "offset-delta", "reference-delta-before-its-base")


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A store that never changes here, and good files that it would take."""
    world = World()
    with make_store(tmp_path_factory.mktemp("mutations") / "s.git", world) as store:
        good = {name: CONTROLS[name](World()) for name in SEEDS}
        good["increment"] = world.next(files={"prompts/new.md": b"New.\n" * 30})
        good["full"] = world.setup()[0]
        yield store, good


@st.composite
def changes(draw: st.DrawFn, good: dict[str, Upload]) -> bytes:
    """One good file with a few changes."""
    raw = bytearray(draw(st.sampled_from(sorted(good.items())))[1].raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        end = draw(st.integers(at, min(len(raw), at + 80)))
        match draw(st.sampled_from(["flip", "cut", "double", "splice", "fill", "end"])):
            case "flip" if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[at:end]
            case "double":
                raw[at:at] = raw[at:end]
            case "splice":
                other = draw(st.sampled_from(sorted(good.items())))[1].raw
                raw[at:end] = other[at:end]
            case "fill":
                raw[at:end] = draw(st.binary(max_size=80))
            case _:
                del raw[at:]
    return bytes(raw)


def resum(raw: bytes) -> bytes:
    """The same with a right checksum at its end, so that it is looked into."""
    at = raw.find(b"PACK")
    return raw if at < 0 or len(raw) < at + 44 else raw[:-32] + sha256(raw[at:-32]).digest()


def refuse(store: Repository, upload: Upload) -> None:
    verdict = judge(store, "mutation", upload)
    assert verdict.code in CODES - OURS, verdict
    assert verdict.has_hint, verdict
    assert verdict.left == []


@settings(max_examples=times(400))
@given(data=st.data(), is_mended=st.booleans())
def test_a_mutated_file_is_refused_and_leaves_nothing(held, data, is_mended):
    """Announced by a digest that none of them has, so that an unchanged one is refused too."""
    store, good = held
    raw = data.draw(changes(good))
    refuse(store, Upload(resum(raw) if is_mended else raw, "ab" * 32))


def test_every_cut_and_every_flipped_byte_of_an_increment_is_refused(held):
    store, good = held
    raw, digest = good["increment"].raw, good["increment"].digest
    before = listing(store.path)
    for at in range(len(raw)):
        refuse(store, Upload(raw[:at], digest))
        flipped = resum(raw[:at] + bytes([raw[at] ^ 0x41]) + raw[at + 1 :])
        if flipped != raw:  # else it was the checksum, and is mended
            refuse(store, Upload(flipped, digest))
    assert listing(store.path) == before
