"""A Runtime's process without its Backend: it starts, serves what it holds, and says so."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time

import pytest
from house import START, TEAM, worker_request

from yoi_bundles.wire.client.runtime_client import RuntimeClient

SECONDS = 40


@pytest.fixture
def start(house):
    """Starts a Runtime's server over a directory of the house, as an operator does."""
    started = []

    def call(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "yoi_bundles", "runtime", "serve", *map(str, arguments)],
            env={
                **{key: value for key, value in os.environ.items() if "YOI_BUNDLES" not in key},
                "PYTHONUNBUFFERED": "1",
                "NO_COLOR": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(SECONDS)
        return re.search(r"listening on (\S+)", process.stdout.readline())[1]

    yield call
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            process.stdout.close()


def test_a_runtime_process_starts_and_resolves_without_its_backend(house, start):
    backend = house.backend()
    revision = house.publish(backend).revision
    runtime = house.runtime("runtime")
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    token = runtime.credentials.create("host", "operator", now=START).token
    runtime.close()

    url = start(
        "--id", "eu-1", "--data", house.root, "--policy", house.policy(),
        "--backend", "http://127.0.0.1:1", "--follow", "team", "--poll-seconds", "0.2",
    )  # fmt: skip
    client = RuntimeClient(house.client(url, token))
    made = client.create_worker(worker_request(revision.digest))

    assert made.is_new
    assert made.worker.receipt.commit == revision.commit
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not (status := client.info().following[0]).last_error:
        assert time.monotonic() < deadline
        pause.wait(0.05)
    assert status.last_error.startswith("transport_failed")
    assert (status.workspace, status.last_contact) == (TEAM, START)
