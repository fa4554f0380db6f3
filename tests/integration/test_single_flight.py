"""One builds a bundle file, whoever asks for it: threads, requests and processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from house import OTHER, TEAM, serving
from raw_http import answer_of, ask, connect, head

from yoi_bundles.backend import delivery
from yoi_bundles.backend.app import create_app
from yoi_bundles.store import Repository

GIVE_UP_SECONDS = 20
MORE_THAN_THREADS = 60
"""A server has 40 threads for work that waits for a disk."""

BUILDER = """\
import json, sys
from pathlib import Path
from yoi_bundles.backend.service import Backend
from yoi_bundles.model.ids import Digest, WorkspaceId

data, digest = Path(sys.argv[1]), Digest(sys.argv[2])
with Backend.open(data) as backend:
    file = backend.bundle_file(digest, workspace=WorkspaceId("team"), is_shallow=True)
    print(json.dumps([file.path.stat().st_ino, file.sha256.hex()]))
"""


@contextlib.contextmanager
def held_up(backend, workspace=TEAM):
    """Let nobody build for a workspace until the block ends; gives how many wait for their turn.

    Source: proc(5), ``/proc/locks``: a lock that is waited for has an arrow.
    """
    directory = backend._files._root / str(workspace)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        inode = os.fstat(lock.fileno()).st_ino

        def waiting() -> int:
            lines = Path("/proc/locks").read_text().splitlines()
            return sum("->" in line and f":{inode} " in line for line in lines)

        yield waiting


def until(condition) -> None:
    end = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.005)


def test_of_two_processes_one_builds_and_the_other_takes_its_file(house):
    backend = house.backend()
    digest = house.publish(backend).revision.digest
    command = [sys.executable, "-c", BUILDER, str(house.root / "backend"), str(digest)]
    with contextlib.ExitStack() as stack:
        with held_up(backend) as waiting:
            builders = [
                stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
                for _ in range(2)
            ]
            until(lambda: waiting() == 2)
        answers = [builder.communicate(timeout=GIVE_UP_SECONDS)[0] for builder in builders]

    # A second build would have put another file in its place.
    assert answers[0] == answers[1]
    file = backend.bundle_file(digest, workspace=TEAM, is_shallow=True)
    assert json.loads(answers[0]) == [file.path.stat().st_ino, file.sha256.hex()]


@pytest.fixture
def stage(house):
    """A served Backend with two workspaces, a Runtime that may see one, and an operator."""
    backend = house.backend()
    revisions = [house.publish(backend, workspace).revision for workspace in (TEAM, OTHER)]
    operator = backend.credentials.create("olu", "operator", now=house.clock()).token
    return backend, house.serve_backend(backend), house.register(backend, "eu-1"), operator, (
        f"/v1/config-bundles/{revisions[0].digest}?workspace={TEAM}",
        f"/v1/config-bundles/{revisions[1].digest}?workspace={OTHER}",
    )  # fmt: skip


def test_many_who_wait_for_a_build_leave_threads_for_others(stage):
    backend, url, runtime, operator, (path, _) = stage
    request = head(f"GET {path}", runtime, "Connection: close")
    with contextlib.ExitStack() as stack:
        with held_up(backend) as waiting:
            connections = []
            for _ in range(MORE_THAN_THREADS):
                connections.append(stack.enter_context(connect(url)))
                connections[-1].sendall(request)
            until(lambda: waiting() == 1)
            listed = ask(url, head("GET /v1/workspaces", operator, "Connection: close"))
            assert (listed.status, waiting()) == (200, 1)
        answers = [answer_of(connection) for connection in connections]

    assert {one.status for one in answers} == {200}
    assert {one.body for one in answers} == {answers[0].body}
    assert answers[0].body.startswith(b"# v3 git bundle\n")


def test_what_may_not_be_seen_is_answered_while_it_is_built(stage):
    """Whoever waited for it would know that it is there."""
    backend, url, runtime, operator, (_, hidden) = stage
    with held_up(backend, OTHER) as waiting, connect(url) as building:
        building.sendall(head(f"GET {hidden}", operator, "Connection: close"))
        until(lambda: waiting() == 1)
        refused = ask(url, head(f"GET {hidden}", runtime, "Connection: close"))
        missing = hidden.replace(hidden[19:29], "0123456789")
        unknown = ask(url, head(f"GET {missing}", runtime, "Connection: close"))

    assert (refused.status, refused.code) == (404, unknown.code)
    assert refused.body == unknown.body


def test_a_build_that_fails_is_tried_again_by_who_waited(stage):
    backend, url, runtime, _, (path, _) = stage
    request = head(f"GET {path}", runtime, "Connection: close")
    with contextlib.ExitStack() as stack:
        with held_up(backend) as waiting:
            connections = [stack.enter_context(connect(url)) for _ in range(5)]
            for connection in connections:
                connection.sendall(request)
            until(lambda: waiting() == 1)
            directory = backend._files._root / "team"
            directory.rename(directory.with_name("elsewhere"))
            directory.write_text("in the way")
        answers = [answer_of(connection) for connection in connections]

    assert {one.status for one in answers} == {500}
    assert {one.code for one in answers} == {"store_error"}


@pytest.fixture
def endless(monkeypatch):
    """Builds go on until somebody ends them; says when one has begun."""
    begun = threading.Event()

    def write_bundle(self, out, **_) -> None:
        end = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < end:
            out.write(b"")
            begun.set()
        raise AssertionError("nobody ended it")

    monkeypatch.setattr(Repository, "write_bundle", write_bundle)
    return begun


def test_who_waits_for_a_build_is_told_when_the_server_stops(house, monkeypatch, endless):
    monkeypatch.setattr(delivery, "BUILD_SECONDS", 0.05)
    backend = house.backend()
    digest = house.publish(backend).revision.digest
    token = house.register(backend, "eu-1")
    request = head(f"GET /v1/config-bundles/{digest}?workspace={TEAM}", token)

    with contextlib.ExitStack() as stack:
        with serving(create_app(backend)) as url:
            connections = [stack.enter_context(connect(url)) for _ in range(3)]
            for connection in connections:
                connection.sendall(request)
            assert endless.wait(GIVE_UP_SECONDS)
        answers = [answer_of(connection) for connection in connections]

    assert [(one.status, one.code) for one in answers] == [(502, "transport_failed")] * 3


def test_a_backend_that_builds_ahead_closes_at_once(house, endless, caplog):
    backend = house.backend()
    backend.work_behind()
    house.publish(backend)
    assert endless.wait(GIVE_UP_SECONDS)

    backend.close()

    assert not backend._prebuilding._first._due
    assert [one for one in caplog.records if one.levelname in {"WARNING", "ERROR"}] == []
