"""Servers as operators run them: processes of the command line, signals, TLS, many at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from canaries import SECRET_VALUE, WATCH, command_of, look_at_output
from house import POLICY, TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import RevisionConflictError, TransportError
from yoi_bundles.model.ids import WorkerId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient

SECONDS = 40
"""Far more than anything here takes on a busy machine."""


class Process:
    """A server started as an operator does, once it says where it listens."""

    def __init__(self, place, *arguments: str) -> None:
        self.log = place.root / f"log-{len(list(place.root.glob('log-*')))}"
        with self.log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "yoi_bundles", *arguments],
                cwd=place.root, env=place.environment,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.line = self._first_line()
        found = re.search(r"listening on (\S+)", self.line)
        assert found, self.log.read_text()
        self.url = found[1]

    def _first_line(self) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            return self.popen.stdout.readline() if selector.select(SECONDS) else ""

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Exit code after a signal."""
        self.popen.send_signal(number)
        return self.popen.wait(SECONDS)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(SECONDS)
        look_at_output(WATCH, command_of(self.popen.args), self.line + self.log.read_text())
        self.popen.stdout.close()


class Place:
    """A directory with processes and clients in it; all are ended with the test."""

    def __init__(self, root, stack) -> None:
        self.root, self._stack = root, stack
        self.environment = {
            **{key: value for key, value in os.environ.items() if "YOI_BUNDLES" not in key},
            "TEST_MODEL_KEY": SECRET_VALUE,
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }
        (root / "mounted").mkdir()
        self.policy = root / "etc" / "policy.toml"
        self.policy.parent.mkdir()
        self.write_policy(POLICY)
        (root / "visibility.toml").write_text('schema = 1\n[[rule]]\nworkspaces = ["team"]\n')

    def write_policy(self, text: str) -> None:
        self.policy.write_text(text.replace("{mount}", str(self.root / "mounted")))
        self.policy.chmod(0o600)

    def serve(self, *arguments: str) -> Process:
        made = Process(self, *arguments)
        self._stack.callback(made.close)
        return made

    def backend(self, *more: str) -> Process:
        return self.serve(
            "backend", "serve", "--data", "b", "--visibility", "visibility.toml", *more
        )

    def runtime(self, *more: str) -> Process:
        return self.serve(
            "runtime", "serve", "--id", "eu-1", "--data", "r", "--policy", "etc/policy.toml", *more
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "yoi_bundles", *arguments],
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def token(self, server: str, role: str) -> str:
        made = self.run(server, "token", "create", f"a-{role}", "--role", role, "--json",
                        "--data", server[0])  # fmt: skip
        return json.loads(made)["token"]

    def http(self, url: str, token: str, **options) -> HttpClient:
        client = HttpClient(url, token, **options)
        self._stack.callback(client.close)
        return client


@pytest.fixture
def place(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Place(tmp_path, stack)


def eventually(look, wanted=bool):
    """What `look` gives once it is as wanted; looks again and again, with a bound."""
    pause, deadline = threading.Event(), time.monotonic() + SECONDS
    while not wanted(found := look()):
        assert time.monotonic() < deadline, found
        pause.wait(0.05)
    return found


def test_a_following_runtime_pulls_survives_a_restart_and_ends_cleanly(place):
    publisher = place.token("backend", "publisher")
    registered = place.run("runtime", "register", "eu-1", "--data", "b", "-o", "eu-1.token")
    host = place.token("runtime", "operator")
    backend = place.backend()
    following = ("--backend", backend.url, "--token-file", "eu-1.token",
                 "--follow", "team", "--poll-seconds", "0.1")  # fmt: skip
    author = BackendClient(place.http(backend.url, publisher))
    first = author.publish(TEAM, publish_request(workspace_files())).revision
    runtime = place.runtime(*following)
    client = RuntimeClient(place.http(runtime.url, host))

    eventually(lambda: [one.digest for one in client.bundles(TEAM).bundles], bool)
    made = client.create_worker(worker_request(first.digest)).worker
    second = author.publish(
        TEAM, publish_request(workspace_files(prompts__role__coder="\nBe exact.\n"))
    ).revision
    eventually(lambda: client.bundles(TEAM).haves[0].current, lambda now: now == second.digest)
    ended = runtime.stop()
    again = place.runtime(*following)
    reopened = RuntimeClient(place.http(again.url, host))

    assert "registered" in registered
    assert reopened.worker(WorkerId("worker-1")) == made
    assert reopened.bundle_status(second.digest).is_current
    assert reopened.create_worker(worker_request(first.digest)).is_new is False
    assert (ended, again.stop(), backend.stop()) == (0, 0, 0)
    for process in (runtime, again, backend):
        lines = process.log.read_text().splitlines()
        assert all(isinstance(json.loads(line), dict) for line in lines), lines
        assert "Traceback" not in process.log.read_text()


def test_a_policy_is_reloaded_on_sighup_and_a_broken_one_leaves_the_old_in_force(place):
    runtime = place.runtime()
    client = RuntimeClient(place.http(runtime.url, place.token("runtime", "backend")))
    before = client.info()

    place.write_policy(POLICY + '\n[[network]]\nhosts = ["one.example"]\n')
    # Many at once: a signal during a reload must not wait for the reload it interrupts.
    for _ in range(20):
        runtime.popen.send_signal(signal.SIGHUP)
    changed = eventually(client.info, lambda info: info.policy_digest != before.policy_digest)
    place.write_policy("schema = 1\ncolour = 1\n")
    runtime.popen.send_signal(signal.SIGHUP)
    broken = eventually(client.info, lambda info: info.policy_error is not None)
    place.write_policy(POLICY)
    runtime.popen.send_signal(signal.SIGHUP)
    mended = eventually(client.info, lambda info: info.policy_error is None)

    assert (before.policy_error, changed.policy_error) == (None, None)
    assert broken.policy_digest == changed.policy_digest
    assert "policy.toml:2" in broken.policy_error
    assert mended.policy_digest == before.policy_digest
    assert runtime.stop() == 0


def test_an_interrupt_ends_a_server_as_one(place):
    assert place.backend().stop(signal.SIGINT) == 130


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_tls_with_a_certificate_of_our_own(place):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=backend",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=place.root, check=True, capture_output=True,
    )  # fmt: skip
    token = place.token("backend", "operator")
    (place.root / "o.token").write_text(token)
    (place.root / "o.token").chmod(0o600)
    backend = place.backend("--tls-cert", "cert.pem", "--tls-key", "key.pem")
    command = ("runtime", "list", "--backend", backend.url, "--token-file", "o.token")

    trusted = place.run(*command, "--ca-file", "cert.pem")
    untrusted = place.run(*command, code=7)
    plain = place.http(backend.url.replace("https", "http"), token)

    assert backend.url.startswith("https://127.0.0.1:")
    assert "no Runtimes are registered" in trusted
    assert "(transport_failed)" in untrusted
    with pytest.raises(TransportError):
        plain.request("GET", "/v1/runtimes")
    assert backend.stop() == 0


def test_of_two_publishers_at_once_one_wins_and_no_one_breaks_anything(place):
    token = place.token("backend", "publisher")
    backend = place.backend()
    base = BackendClient(place.http(backend.url, token)).publish(
        TEAM, publish_request(workspace_files())
    )
    rounds, results = 4, []
    barrier = threading.Barrier(2)

    def publish(name: str) -> None:
        client = BackendClient(place.http(backend.url, token))
        expected = base.revision.commit
        for number in range(rounds):
            files = workspace_files(prompts__role__coder=f"\n{name} {number}\n")
            barrier.wait(SECONDS)
            try:
                made = client.publish(TEAM, publish_request(files, expected=expected))
                results.append((number, "won", made.revision.number))
            except RevisionConflictError:
                results.append((number, "lost", None))
            barrier.wait(SECONDS)
            expected = client.workspace(TEAM).head.commit

    threads = [threading.Thread(target=publish, args=(name,)) for name in ("ada", "olu")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)

    by_round = [sorted(what for n, what, _ in results if n == one) for one in range(rounds)]
    assert by_round == [["lost", "won"]] * rounds
    assert sorted(number for _, what, number in results if what == "won") == [2, 3, 4, 5]


def test_the_same_files_from_two_publishers_at_once_are_one_revision(place):
    token = place.token("backend", "publisher")
    backend = place.backend()
    barrier, results = threading.Barrier(3), []

    def publish() -> None:
        client = BackendClient(place.http(backend.url, token))
        request = publish_request(workspace_files())
        barrier.wait(SECONDS)
        results.append(client.publish(TEAM, request))

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)

    assert sorted(one.is_new for one in results) == [False, False, True]
    assert len({one.revision.commit for one in results}) == 1


def test_a_port_in_use_is_told_clearly(place):
    backend = place.backend()
    port = backend.url.rpartition(":")[2]

    said = place.run("backend", "serve", "--data", "other", "--port", port, code=8)

    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "(store_error)" in said
    assert "hint:" in said
    assert "Traceback" not in said
    assert backend.stop() == 0


def test_git_is_ended_when_the_caller_of_a_clone_goes_away(place):
    """A git that never stops sending stands for a large clone whose caller gives up."""
    publisher = place.token("backend", "publisher")
    pid = place.root / "pid"
    fake = place.root / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec yes\n")
    fake.chmod(0o755)
    place.environment["PATH"] = f"{fake.parent}:{place.environment['PATH']}"
    backend = place.backend()
    author = BackendClient(place.http(backend.url, publisher))
    author.publish(TEAM, publish_request(workspace_files()))

    host, port = backend.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /git/team.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            b"Authorization: Bearer " + publisher.encode() + b"\r\n\r\n0000"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        number = eventually(lambda: pid.exists() and pid.read_text().strip())
    git = Path("/proc") / number

    eventually(lambda: is_running(git), lambda running: not running)
    assert backend.stop() == 0


def is_running(process: Path) -> bool:
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
