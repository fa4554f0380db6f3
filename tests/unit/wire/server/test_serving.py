"""Where a server may listen, and that it does when it says so."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import stamina
import stamina.instrumentation
from starlette.applications import Starlette

from yoi_bundles.errors import InvalidInputError, StoreError
from yoi_bundles.wire.server import serving
from yoi_bundles.wire.server.serving import Listen, bind, configure_logging, serve, verify_listen

pytestmark = pytest.mark.floors


@pytest.fixture
def kept_logging():
    """Puts the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = ("httpx2", "httpcore2", "uvicorn.error")
    levels = {name: logging.getLogger(name).level for name in names}
    hooks = stamina.instrumentation.get_on_retry_hooks()
    yield root
    stamina.instrumentation.set_on_retry_hooks(hooks)
    root.handlers = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tls(host):
    verify_listen(Listen(host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "backend.example", ""])
def test_any_other_address_needs_tls_or_a_word_for_it(host):
    with pytest.raises(InvalidInputError, match="without TLS") as raised:
        verify_listen(Listen(host))

    assert "--insecure" in raised.value.hint
    verify_listen(Listen(host, insecure=True))
    verify_listen(Listen(host, certificate=Path("c"), key=Path("k")))


@pytest.mark.parametrize("half", [{"certificate": Path("c")}, {"key": Path("k")}])
def test_half_a_tls_pair_is_refused(half):
    with pytest.raises(InvalidInputError, match="belong together"):
        verify_listen(Listen(**half))


def test_the_scheme_follows_the_certificate():
    assert Listen().scheme == "http"
    assert Listen(certificate=Path("c"), key=Path("k")).scheme == "https"


def test_a_bound_socket_takes_connections_at_once():
    with bind(Listen()) as sock, socket.create_connection(sock.getsockname(), timeout=2):
        pass


def test_ipv6_is_bound_as_such():
    with bind(Listen("::1")) as sock:
        assert sock.family == socket.AF_INET6


def test_a_port_that_is_taken_is_told_with_a_hint():
    with bind(Listen()) as first:
        port = first.getsockname()[1]
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}") as raised:
            bind(Listen(port=port))

    assert raised.value.code == "store_error"
    assert "--port 0" in raised.value.hint


def test_tls_files_that_are_none_are_refused_before_anything_is_bound(tmp_path, kept_logging):
    (tmp_path / "c.pem").write_text("no certificate")
    said = []

    for name in ("c.pem", "missing.pem"):
        with pytest.raises(InvalidInputError, match="TLS") as raised:
            serve(
                Starlette(),
                Listen(certificate=tmp_path / name, key=tmp_path / name),
                announce=said.append,
            )
        assert str(tmp_path) not in raised.value.message

    assert said == []


@pytest.fixture
def running(monkeypatch, kept_logging):
    """Serves an app in a thread; stops it at the end."""
    servers, threads = [], []
    real = serving.uvicorn.Server

    class Server(real):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(serving.uvicorn, "Server", Server)

    def start(listen: Listen) -> str:
        urls, ready = [], threading.Event()

        def announce(url: str) -> None:
            urls.append(url)
            ready.set()

        thread = threading.Thread(
            target=serve, args=(Starlette(), listen), kwargs={"announce": announce}, daemon=True
        )
        thread.start()
        threads.append(thread)
        assert ready.wait(20)
        return urls[0]

    yield start
    for server in servers:
        server.should_exit = True
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_the_announced_url_answers(running):
    url = running(Listen("::1"))

    assert url.startswith("http://[::1]:")
    host, port = "::1", int(url.rpartition(":")[2])
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = connection.recv(4096)
    assert head.startswith(b"HTTP/1.1 404")
    assert b"\r\nserver:" not in head.lower()


def test_with_tls_the_url_is_https_and_speaks_it(running, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", "k.pem", "-out", "c.pem", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip

    url = running(Listen(certificate=tmp_path / "c.pem", key=tmp_path / "k.pem"))

    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
    port = int(url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_announcement_and_the_start_stops_the_server(kept_logging, number):
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    interrupted = pytest.raises(KeyboardInterrupt)

    with interrupted if number is signal.SIGINT else contextlib.nullcontext():
        serve(Starlette(), Listen(), announce=lambda url: signal.raise_signal(number))

    assert {one: signal.getsignal(one) for one in before} == before


def test_every_logged_line_is_a_json_object(kept_logging, capsys):
    configure_logging("info")
    logging.getLogger("tests.serving").info("two\nlines %s", "and\x1b[31m")
    logging.getLogger("tests.serving").debug("not this")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("tests.serving").exception("failed")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [line["event"] for line in lines] == ["two\nlines and\x1b[31m", "failed"]
    assert [line["level"] for line in lines] == ["info", "error"]
    assert lines[0]["logger"] == "tests.serving"
    assert "ValueError: why" in lines[1]["exception"]
    assert logging.getLogger("httpx2").level == logging.WARNING


def test_a_retry_is_logged_like_everything_else(kept_logging, capsys):
    configure_logging("info")

    for attempt in stamina.retry_context(on=ValueError, attempts=2, wait_initial=0, wait_max=0):
        with attempt:
            if attempt.num == 1:
                raise ValueError("not yet")

    said = capsys.readouterr()
    assert said.out == ""
    assert [json.loads(line)["level"] for line in said.err.splitlines()] == ["warning"]
