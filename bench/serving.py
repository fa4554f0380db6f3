"""What a client costs the server: processor time of a full bundle, an increment, and no news."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from bench.leftovers import set_aside
from bench.processes import start_bare
from bench.receiving import receive_bytes
from bench.scale import Scale
from bench.stage import BRANCH, Stage, git, verify_bare
from bench.table import Record, median_ms
from bench.workload import WORKSPACE
from yoi_bundles.model.ids import CommitId
from yoi_bundles.store import Repository
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient


def measure_serving(stage: Stage, scale: Scale, record: Record) -> None:
    """Server CPU of one size. Each client has a connection of its own and verifies what it gets."""
    clients, size = scale.clients, len(stage.files)
    if not stage.web.sees_all:
        record.absent.add("a cgroup, so git's processor time on the server is not known")
    theirs = stage.make_bare()
    git(theirs, "fetch", "-q", stage.git_url, BRANCH)
    with _Receiver(stage) as receiver:
        fresh = _measure(stage, clients, receiver.fetch_full, lambda: _clone(stage, None))
        record.add("server CPU, fresh Runtime", size, *fresh)
        record.add("floor: nginx, finished file", size, fresh[0], _measure_floor(stage, clients))
        tip = _measure(
            stage,
            min(clients, _SHALLOW_CLIENTS),
            receiver.fetch_full,
            lambda: _clone(stage, None, "--depth=1"),
        )
        record.add("server CPU, fresh Runtime, git --depth=1", size, *tip)
        stage.publish_everywhere()
        increment = _measure(
            stage, clients, receiver.fetch_increment, lambda: _clone(stage, theirs)
        )
        record.add("server CPU, increment", size, *increment)
    with _connect(stage) as client:
        etag = client.get(f"/v1/workspaces/{WORKSPACE}/channels/main").headers["etag"]
        news = _measure(stage, clients, lambda: _ask(client, etag), lambda: _ls_remote(stage))
    record.add('server CPU, "anything new?"', size, *news)
    record.add("floor: uvicorn, bare 304", size, news[0], _measure_bare(stage, clients))
    set_aside(theirs)


def _measure(
    stage: Stage, clients: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[float, float | None]:
    """Milliseconds of server CPU for each client, ours and git's, after one of each.

    Rounds of ours and of git's in turn; the median of the rounds. A round is counted as a whole, so
    that what a server does after its answer counts too. None for git's if its processes cannot all
    be seen.
    """
    ours()
    theirs()
    rounds = min(clients, _ROUNDS)
    mine, gits = [], []
    for _ in range(rounds):
        mine.append(_round(stage.server.cpu_seconds, clients // rounds, ours))
        gits.append(_round(stage.web.cpu_seconds, clients // rounds, theirs))
    return median_ms(mine), median_ms(gits) if stage.web.sees_all else None


def _measure_alone(
    cpu_seconds: Callable[[], float], clients: int, work: Callable[[], object]
) -> float:
    """Milliseconds for each client, as `_measure` counts them."""
    work()
    rounds = min(clients, _ROUNDS)
    return median_ms([_round(cpu_seconds, clients // rounds, work) for _ in range(rounds)])


def _round(cpu_seconds: Callable[[], float], clients: int, work: Callable[[], object]) -> float:
    """Seconds for each client."""
    before = cpu_seconds()
    for _ in range(clients):
        work()
    return (cpu_seconds() - before) / clients


def _measure_floor(stage: Stage, clients: int) -> float:
    """Milliseconds of nginx's CPU to hand out the full bundle as a file that lies there."""
    file = stage.backend.bundle_file(stage.head().digest, workspace=WORKSPACE)
    shutil.copyfile(file.path, stage.web.files / "full.bundle")

    def fetch() -> None:
        answer = httpx2.get(f"{stage.web.url}/files/full.bundle")
        assert len(answer.content) == file.size_bytes

    return _measure_alone(stage.web.cpu_seconds, clients, fetch)


def _measure_bare(stage: Stage, clients: int) -> float:
    """Milliseconds of CPU to answer 304 on an open connection and know nothing."""
    server, url = start_bare(stage.root)
    try:
        with httpx2.Client(base_url=url) as client:
            assert client.get("/").status_code == 304
            return _measure_alone(server.cpu_seconds, clients, lambda: client.get("/"))
    finally:
        server.stop()


def _connect(stage: Stage) -> httpx2.Client:
    headers = {"authorization": f"Bearer {stage.token}"}
    return httpx2.Client(base_url=stage.url, headers=headers)


_ROUNDS = 10
_SHALLOW_CLIENTS = 20
"""Of those that only inform."""


class _Receiver:
    """Clients of ours: a file is taken in by a Runtime's store, or is byte by byte one that was.

    Each client has a connection of its own.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._store = Repository.create(stage.root / "received.git", WORKSPACE)
        self._base: CommitId | None = None
        self._verified: dict[CommitId, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()
        set_aside(self._store.path)

    def fetch_full(self) -> None:
        """What a fresh Runtime does."""
        self._base = self._fetch(())

    def fetch_increment(self) -> None:
        """What a Runtime does that holds what `fetch_full` brought."""
        assert self._base is not None
        self._fetch((self._base,))

    def _fetch(self, haves: tuple[CommitId, ...]) -> CommitId:
        head = self._stage.head()
        received: list[bytes] = []
        client = BackendClient(HttpClient(self._stage.url, self._stage.token))
        client.fetch_bundle(WORKSPACE, head.digest, haves, received.append)
        client.close()
        data = b"".join(received)
        if head.commit not in self._verified:
            result = receive_bytes(self._store, head.digest, data)
            assert result.revision == head
            self._verified[head.commit] = data
        assert data == self._verified[head.commit]
        return head.commit


def _clone(stage: Stage, prepared: Path | None, *options: str) -> None:
    bare = stage.make_bare() if prepared is None else stage.root / "fetched.git"
    if prepared is not None:
        shutil.copytree(prepared, bare, copy_function=os.link)
    git(bare, "fetch", "-q", *options, stage.git_url, BRANCH)
    verify_bare(stage, bare)
    set_aside(bare)


def _ask(client: httpx2.Client, etag: str) -> None:
    answer = client.get(
        f"/v1/workspaces/{WORKSPACE}/channels/main", headers={"if-none-match": etag}
    )
    assert answer.status_code == 304


def _ls_remote(stage: Stage) -> None:
    assert str(stage.head().commit) in git(stage.root, "ls-remote", stage.git_url)
