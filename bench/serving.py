"""What a client costs the server: processor time of a full bundle, an increment, and no news."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2

from bench.scale import Scale
from bench.stage import BRANCH, Stage, git, verify_bare
from bench.table import Record
from bench.workload import WORKSPACE
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.store import Repository, receive_bundle


def measure_serving(stage: Stage, scale: Scale, record: Record) -> None:
    """Server CPU of one size. Each client has a connection of its own and verifies what it gets."""
    clients, size = scale.clients, len(stage.files)
    fresh = _measure(stage, clients, lambda: _receive(stage, None), lambda: _clone(stage, None))
    record.add("server CPU, fresh Runtime", size, *fresh)
    record.add("floor: nginx, finished file", size, fresh[0], _measure_floor(stage, clients))
    ours, theirs = stage.root / "before.git", stage.make_bare()
    base = _receive(stage, None, keep=ours)
    git(theirs, "fetch", "-q", stage.git_url, BRANCH)
    stage.publish_everywhere()
    increment = _measure(
        stage, clients, lambda: _receive(stage, base, ours), lambda: _clone(stage, theirs)
    )
    record.add("server CPU, increment", size, *increment)
    with _connect(stage) as client:
        etag = client.get(f"/v1/workspaces/{WORKSPACE}/channels/main").headers["etag"]
        news = _measure(stage, clients, lambda: _ask(client, etag), lambda: _ls_remote(stage))
    record.add('server CPU, "anything new?"', size, *news)
    shutil.rmtree(ours)
    shutil.rmtree(theirs)


def _measure(
    stage: Stage, clients: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[float, float]:
    """Milliseconds of server CPU for each client, ours and git's, in turn after one of each.

    Taken over the whole time, so that what a server does after its answer counts too.
    """
    ours()
    theirs()
    mine, gits = stage.server.cpu_seconds(), stage.web.cpu_seconds()
    for _ in range(clients):
        ours()
        theirs()
    mine, gits = stage.server.cpu_seconds() - mine, stage.web.cpu_seconds() - gits
    return mine / clients * 1e3, gits / clients * 1e3


def _measure_floor(stage: Stage, clients: int) -> float:
    """Milliseconds of nginx's CPU to hand out the full bundle as a file that lies there."""
    file = stage.backend.bundle_file(stage.head().digest, workspace=WORKSPACE)
    shutil.copyfile(file.path, stage.web.files / "full.bundle")
    before = 0.0
    for turn in range(clients + 1):
        if turn == 1:  # the first one warms up
            before = stage.web.cpu_seconds()
        answer = httpx2.get(f"{stage.web.url}/files/full.bundle")
        assert len(answer.content) == file.size_bytes
    return (stage.web.cpu_seconds() - before) / clients * 1e3


def _connect(stage: Stage) -> httpx2.Client:
    headers = {"authorization": f"Bearer {stage.token}"}
    return httpx2.Client(base_url=stage.url, headers=headers)


def _receive(
    stage: Stage, base: CommitId | None, prepared: Path | None = None, keep: Path | None = None
) -> CommitId:
    """Fetch a bundle file and take it in as a Runtime does; returns the commit it brought."""
    head = stage.head()
    query = {} if base is None else {"have": str(base)}
    with _connect(stage) as client:
        answer = client.get(f"/v1/config-bundles/{head.digest}", params=query)
    assert answer.status_code == 200, answer.text
    path = keep or stage.root / "received.git"
    if prepared is not None:
        shutil.copytree(prepared, path, copy_function=os.link)
    else:
        Repository.create(path, WORKSPACE).close()
    store = Repository.open(path)
    result = receive_bundle(
        store, [answer.content], expected=head.digest, check_advance=lambda advance: None,
        check_content=lambda tree: None, limits=DEFAULT_LIMITS,
    )  # fmt: skip
    store.close()
    assert result.revision == head
    if keep is None:
        shutil.rmtree(path)
    return head.commit


def _clone(stage: Stage, prepared: Path | None) -> None:
    bare = stage.make_bare() if prepared is None else stage.root / "fetched.git"
    if prepared is not None:
        shutil.copytree(prepared, bare, copy_function=os.link)
    git(bare, "fetch", "-q", stage.git_url, BRANCH)
    verify_bare(stage, bare)
    shutil.rmtree(bare)


def _ask(client: httpx2.Client, etag: str) -> None:
    answer = client.get(
        f"/v1/workspaces/{WORKSPACE}/channels/main", headers={"if-none-match": etag}
    )
    assert answer.status_code == 304


def _ls_remote(stage: Stage) -> None:
    assert str(stage.head().commit) in git(stage.root, "ls-remote", stage.git_url)
