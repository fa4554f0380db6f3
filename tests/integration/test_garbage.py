"""Garbage is collected while bundles come and are read, by us and by the stock git."""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from house import TEAM, worker_request

from yoi_bundles.errors import BundleError, BundleMissingError
from yoi_bundles.wire.client.runtime_client import RuntimeClient


def fsck(repository):
    done = subprocess.run(
        ["git", "--git-dir", str(repository), "fsck", "--full", "--strict"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.replace("dangling", ""), done.stderr


@pytest.fixture
def sent(house):
    """A served Runtime, sixteen revisions as full bundle files, and clients."""
    backend, runtime = house.backend(), house.runtime()
    url, token = house.serve_runtime(runtime)
    files = []
    for turn in range(16):
        revision = house.publish(backend, prompts__role__coder=f"\nTurn {turn}.\n").revision
        files.append((revision, backend.bundle_file(revision.digest, workspace=TEAM).path))
    return runtime, [RuntimeClient(house.client(url, token)) for _ in range(4)], files


def _ours(runtime, repository):
    runtime.held.upkeep.collect(TEAM, 16)


def _git(*arguments):
    def run(runtime, repository):
        # It may lose a race against our own merging, and says so; it must not lose an object.
        command = ["git", "--git-dir", str(repository), *arguments]
        subprocess.run(command, capture_output=True, check=False)

    return run


COLLECTORS = {
    "ours": _ours,
    "git repack -ad": _git("repack", "-a", "-d", "-q"),
    "git gc": _git("gc", "--prune=now", "--quiet"),
}


@pytest.mark.needs_git
@pytest.mark.parametrize("name", COLLECTORS)
def test_nothing_fails_and_nothing_is_lost_while_garbage_is_collected(sent, name, tell):
    runtime, clients, files = sent
    first, path = files[0]
    clients[0].put_bundle(TEAM, first.digest, path)
    repository = runtime.held._repositories.get(TEAM).path
    is_done = threading.Event()
    rounds = []

    def put_all():
        try:
            return [clients[0].put_bundle(TEAM, r.digest, p).is_new for r, p in files[1:]]
        finally:
            is_done.set()

    def read(client, name):
        count = 0
        while not is_done.is_set():
            client.bundles(TEAM)
            client.create_worker(worker_request(first.digest, worker_id=f"{name}-{count}"))
            count += 1
        return count

    def collect():
        while not is_done.is_set():
            COLLECTORS[name](runtime, repository)
            rounds.append(1)

    with ThreadPoolExecutor(4) as pool:
        writing = pool.submit(put_all)
        readers = [pool.submit(read, clients[n], f"r{n}") for n in (1, 2)]
        collecting = pool.submit(collect)
        results = [writing.result(60), *(reader.result(60) for reader in readers)]
        collecting.result(60)

    assert results[0] == [True] * 15
    assert all(results[1:])
    assert fsck(repository)[0] == 0
    store = runtime.held._repositories.get(TEAM)
    assert store.verify().problems == ()
    assert [one.digest for one in store.revisions()] == [r.digest for r, _ in reversed(files)]
    tell(f"damage: while {name} runs: 15 PUTs, {sum(results[1:])} reads, {len(rounds)} rounds")


def test_old_bundles_go_and_those_of_workers_and_the_newest_stay(sent):
    runtime, clients, files = sent
    for revision, path in files[:6]:
        clients[0].put_bundle(TEAM, revision.digest, path)
    used, dropped, newest = files[1][0], files[0][0], files[5][0]
    runtime.create_worker(worker_request(used.digest))
    runtime.held.trees.get(TEAM, dropped.digest)

    done = runtime.held.upkeep.collect(TEAM, 2)

    assert set(done.dropped) == {r.digest for n, (r, _) in enumerate(files[:4]) if n != 1}
    assert runtime.bundle_status(newest.digest).is_current
    assert runtime.bundle_status(used.digest).state == "active"
    assert not (runtime.held._checkouts._root / str(dropped.digest)).exists()
    with pytest.raises(BundleMissingError):
        runtime.create_worker(worker_request(dropped.digest, worker_id="late"))
    with pytest.raises(BundleError) as raised:
        clients[0].put_bundle(TEAM, dropped.digest, files[0][1])
    assert raised.value.code == "rollback_refused"
    assert clients[0].put_bundle(TEAM, files[6][0].digest, files[6][1]).is_new
