"""Servers merge packs behind what they are asked for, and a reader beside misses nothing."""

from __future__ import annotations

import threading

from house import TEAM

from yoi_bundles.store import Repository
from yoi_bundles.store.disk import tidying


def test_a_server_tidies_behind_its_publishes(house, monkeypatch):
    backend = house.backend()
    backend.work_behind()
    for number in range(20):
        house.publish(backend, prompts__role__coder=f"\nTurn {number}.\n")
        assert backend.publishing.workspace(TEAM).head.number == number + 1
    backend._tidying.close()

    packs = list(backend.repository_path(TEAM).glob("objects/pack/*.pack"))
    assert len(packs) <= 17
    assert backend.publishing.store(TEAM).verify().problems == ()


def test_a_server_tidies_behind_what_it_receives(house, monkeypatch):
    backend, runtime = house.backend(), house.runtime()
    runtime.work_behind()
    threads = set()
    merge = tidying.merge_packs
    monkeypatch.setattr(
        tidying,
        "merge_packs",
        lambda *given: threads.add(threading.current_thread().name) or merge(*given),
    )
    for number in range(40):
        revision = house.publish(backend, prompts__role__coder=f"\nTurn {number}.\n").revision
        data = backend.bundle_file(
            revision.digest, workspace=TEAM, haves=runtime.held.haves(TEAM)
        ).path.read_bytes()
        assert runtime.put_bundle(TEAM, revision.digest, [data]).is_new
    runtime.held.close()

    (repository,) = (house.root / "eu-1" / "bundles").glob("*.git")
    assert len(list(repository.glob("objects/pack/*.pack"))) <= 17
    assert "tidy" in threads
    with Repository.open(repository) as store:
        assert store.verify().problems == ()
        assert store.find_head().number == 40
