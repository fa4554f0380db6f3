"""Work behind others: once for many calls, logged if it fails, ended by close."""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
import threading

import pytest
from house import OTHER, TEAM

from yoi_bundles.errors import StoreError
from yoi_bundles.wire.errands import Errands


@pytest.fixture
def gate():
    return threading.Event()


def test_what_is_due_again_while_it_is_done_is_done_once_more(gate):
    done, begun = [], threading.Event()

    def work(workspace):
        begun.set()
        assert gate.wait(20)
        done.append((workspace, errands.is_outdated(workspace)))

    errands = Errands("test", work)
    errands.begin(TEAM)
    assert begun.wait(20)
    for _ in range(5):
        errands.begin(TEAM)
    gate.set()
    errands._thread.join(20)

    assert done == [(TEAM, True), (TEAM, False)]


def test_work_that_fails_is_logged_and_the_next_is_done(caplog):
    done = []

    def work(workspace):
        done.append(workspace)
        raise StoreError("no room in /srv/secret")

    errands = Errands("test", work)
    with caplog.at_level(logging.WARNING):
        for workspace in (TEAM, OTHER):
            errands.begin(workspace)
        thread = errands._thread
        if thread is not None:
            thread.join(20)

    assert sorted(done) == [OTHER, TEAM]
    assert [record.getMessage() for record in caplog.records] == [
        f"test of {workspace}: store_error" for workspace in done
    ]


def test_after_close_nothing_is_begun_and_what_is_under_way_ends(gate):
    done, begun = [], threading.Event()

    def work(workspace):
        begun.set()
        assert gate.wait(20)
        done.append(workspace)

    errands = Errands("test", work)
    errands.begin(TEAM)
    assert begun.wait(20)
    closing = threading.Thread(target=errands.close)
    closing.start()
    gate.set()
    closing.join(20)
    errands.begin(OTHER)

    assert (done, errands.is_outdated(TEAM), errands._thread) == ([TEAM], True, None)


HEAPS = """
import ctypes, threading
from yoi_bundles.wire.errands import share_heap
if {is_shared}:
    share_heap()
started = threading.Barrier(5)
def work():
    kept = bytearray(50_000)
    started.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
started.wait()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only there threads have heaps")
@pytest.mark.parametrize("is_shared", [False, True])
def test_threads_share_one_heap(is_shared):
    program = HEAPS.format(is_shared=is_shared)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert (run.stderr.count("Arena ") == 1) == is_shared, run.stderr
