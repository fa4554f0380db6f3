"""`serve` from start to end: a service manager is told, signals are heard, news is pulled."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time

import pytest
from house import serving

from yoi_bundles.backend.app import create_app
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.exit_codes import MACHINE, OK
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient

SECONDS = 20
RULE = 'schema = 1\n[[rule]]\nworkspaces = ["team"]\n'


@pytest.fixture
def serve_until(monkeypatch):
    """Serve until a function returns; what a server does to this process is undone."""
    thresholds = gc.get_threshold()

    def install(act):
        def serve(app, listen, *, announce, **others):
            with serving(app) as url:
                announce(url)
                act(app, url)

        monkeypatch.setattr("yoi_bundles.wire.server.serving.serve", serve)

    yield install
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def visibility(tmp_path, monkeypatch):
    path = tmp_path / "visibility.toml"
    path.write_text(RULE)
    monkeypatch.setenv("YOI_BUNDLES_VISIBILITY", str(path))
    return path


@pytest.fixture
def backend(team, visibility, tmp_path):
    """A served Backend over the data directory of local commands, and its URL."""
    with (
        Backend.open(tmp_path / "data" / "backend", visibility=visibility) as opened,
        serving(create_app(opened)) as url,
    ):
        yield opened, url


def eventually(look):
    """What `look` gives once it is true; looks again and again, with a bound."""
    pause, deadline = threading.Event(), time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        pause.wait(0.02)
    return found


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_service_manager_is_told_when_requests_are_taken(
    yoi, serve_until, tmp_path, monkeypatch, kind
):
    name = str(tmp_path / "notify") if kind == "path" else f"@yoi-cli-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        manager.settimeout(SECONDS)
        serve_until(lambda app, url: said.append((manager.recv(100), url)))

        ran = yoi("backend", "serve")

    assert ran.code == OK
    assert said == [(b"READY=1", ran.out.rpartition(" ")[2].strip())]


def test_a_service_manager_that_cannot_be_told_is_no_silent_start(
    yoi, serve_until, tmp_path, monkeypatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    began = []
    serve_until(lambda app, url: began.append(url))

    with pytest.raises(OSError, match="No such file"):
        yoi("backend", "serve")

    assert began == []


def test_sighup_reads_the_visibility_policy_again_and_a_broken_one_leaves_the_old_in_force(
    team, serve_until, visibility
):
    team("publish", "team")
    team("runtime", "register", "eu-1")
    token = team("backend", "token", "create", "olu", "--role", "operator", "--json").json["token"]
    before, seen = signal.getsignal(signal.SIGHUP), []

    def act(app, url):
        client = BackendClient(HttpClient(url, token))
        for text in (RULE, "broken", "schema = 1\n", RULE):
            visibility.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            seen.append([str(one) for one in client.runtime(RuntimeId("eu-1")).workspaces])
        client.close()

    serve_until(act)

    assert team("backend", "serve").code == OK
    assert seen == [["team"], ["team"], [], ["team"]]
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_following_runtime_pulls_and_the_backend_tells_how_it_is(
    team, policy, backend, serve_until
):
    opened, url = backend
    team("publish", "team", "-m", "First")
    team("runtime", "register", "eu-1", "--label", "region=eu", "-o", "eu-1.token")
    runtime = RuntimeId("eu-1")

    def view():
        return opened.fleet.view(runtime)

    def act(app, where):
        eventually(lambda: [one for one in view().bundles if one.state == "accepted"])
        policy.write_text("schema = 1\ncolour = 1\n")
        os.kill(os.getpid(), signal.SIGHUP)
        eventually(lambda: view().reported and view().reported.policy_error)
        eventually(lambda: any(one.last_error for one in view().reported.following))

    serve_until(act)

    ran = team(
        "runtime", "serve", "--id", "eu-1", "--data", "host", "--poll-seconds", "0.05",
        "--backend", url, "--token-file", "eu-1.token", "--follow", "team", "--follow", "secret",
    )  # fmt: skip
    status = team("runtime", "status", "eu-1")
    listed = team("runtime", "list")

    assert ran.code == OK, ran.err
    assert "available  yes" in status.out
    assert "policy.toml:2" in status.out
    assert "warning    secret:" in status.out
    assert "accepted" in status.out
    assert "1 bundles" in listed.out
    assert "canary" not in status.out


@pytest.fixture
def hears_interrupts():
    """As a terminal's: what runs behind a shell is begun with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interrupts")
def test_an_interrupt_ends_a_server_as_one_and_closes_what_it_opened(yoi, serve_until, tmp_path):
    def interrupt(app, url):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(SECONDS)

    serve_until(interrupt)

    ran = yoi("backend", "serve")

    assert ran.code == 130
    assert ran.err.endswith("interrupted\n")
    with Backend.open(tmp_path / "data" / "backend"):
        pass


def test_a_port_that_is_taken_is_told_and_no_other_is_taken(yoi):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = yoi("backend", "serve", "--port", str(taken.getsockname()[1]))

    assert ran.code == MACHINE, ran.err
    assert "listening" not in ran.out
