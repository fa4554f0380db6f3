"""Processor time of a server with its children, and that none of them is left."""

import contextlib
import os
import subprocess
import sys
import threading

import pytest

import bench.cpu
from bench.cpu import ServerProcess

BUSY = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)"

LINGERS = '("$0" -c "$1; import signal; signal.pause()" &); exec cat'
"""A member that ends only when it is told to; what runs in the background has no input."""


@pytest.fixture(params=["as it can be had here", "without a cgroup"])
def start(request, monkeypatch):
    if request.param == "without a cgroup":
        monkeypatch.setattr(bench.cpu, "_make_group", lambda name, process: None)
    made = []

    def start(script: str) -> ServerProcess:
        command = ["sh", "-c", script, sys.executable, BUSY]
        made.append(
            ServerProcess(command, "test", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        return made[-1]

    yield start
    for server in made:
        server.stop()
        server.popen.stdin.close()
        server.popen.stdout.close()


def test_the_time_of_an_ended_child_counts(start):
    server = start('"$0" -c "$1"; echo over; exec cat')

    assert [server.popen.stdout.readline() for _ in range(2)] == ["done\n", "over\n"]
    # Ticks of a clock are a hundredth of a second, where there is no cgroup.
    assert 0.15 <= server.cpu_seconds() < 5


def test_the_time_of_an_orphan_counts_if_it_is_said_so(start):
    server = start('("$0" -c "$1" &); exec cat')

    assert server.popen.stdout.readline() == "done\n"
    assert server.cpu_seconds() >= 0.15 or not server.sees_all


def test_no_member_runs_on_when_it_has_stopped(start):
    server = start(LINGERS)
    server.popen.stdout.readline()

    server.stop()

    assert [fields[0] for _, fields in bench.cpu._list_session(server.popen.pid)] in ([], ["Z"])


def test_it_has_stopped_when_the_slowest_to_obey_has(start, monkeypatch):
    server = start(LINGERS)
    server.popen.stdout.readline()
    kill = os.kill

    def kill_later(process: int, number: int) -> None:
        is_first = process == server.popen.pid
        threading.Timer(0 if is_first else 0.3, kill_if_there, (process, number)).start()

    def kill_if_there(process: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            kill(process, number)

    monkeypatch.setattr(bench.cpu.os, "kill", kill_later)
    server.stop()

    assert [fields[0] for _, fields in bench.cpu._list_session(server.popen.pid)] in ([], ["Z"])
