"""Large files go by the kernel: over real connections, to readers of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import socket
import threading
from types import SimpleNamespace

import pytest
from house import serving
from raw_http import connect

from yoi_bundles.model.limits import MIB
from yoi_bundles.wire.answers import sendfile
from yoi_bundles.wire.answers.immutable_file import answer_file
from yoi_bundles.wire.answers.sendfile import UNREAD_BYTES, FilePart, send_file_part
from yoi_bundles.wire.at_once.connections import ConnectionLimits

SIZE = 12 * MIB + 345
GIVE_UP_SECONDS = 20
IMPATIENT = ConnectionLimits(unread_seconds=0.2)
GET = b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n"


class Files:
    """An app that answers with a file, and knows how; it is over with each request it says."""

    def __init__(self, path) -> None:
        digest = hashlib.sha256(path.read_bytes()).digest()
        self._file = SimpleNamespace(
            path=path, size_bytes=SIZE, etag='"abc"', sha256=digest, content=None
        )
        self.is_over = threading.Event()
        self.chunks: list[int] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return

        async def noted(message) -> None:
            if message["type"] == "http.response.body":
                self.chunks.append(len(message.get("body", b"")))
            await send(message)

        try:
            await answer_file(scope, self._file, "application/x-test")(scope, receive, noted)
        finally:
            self.is_over.set()


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(os.urandom(SIZE))
    return made


@pytest.fixture
def files(path):
    return Files(path)


def read_answer(connection: socket.socket, rest: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """Head and body of an answer with a length, and what follows them."""
    data = bytearray(rest)
    while b"\r\n\r\n" not in data:
        data += connection.recv(MIB)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    parts, missing = [body], length - len(body)
    while missing > 0:
        parts.append(connection.recv(MIB))
        missing -= len(parts[-1])
        assert parts[-1], "the connection ended before the answer"
    whole = b"".join(parts)
    return head, whole[:length], whole[length:]


def test_a_large_file_comes_whole_and_the_connection_goes_on(files, path):
    with serving(files) as url, connect(url) as connection:
        connection.sendall(GET + b"GET /file HTTP/1.1\r\nHost: here\r\nRange: bytes=5-9\r\n\r\n")
        first, whole, rest = read_answer(connection)
        second, part, rest = read_answer(connection, rest)
        connection.sendall(b"HEAD /file HTTP/1.1\r\nHost: here\r\n\r\n")
        third = connection.recv(4096)

    content = path.read_bytes()
    assert (first.split()[1], second.split()[1], third.split()[1]) == (b"200", b"206", b"200")
    assert (whole, part, rest) == (content, content[5:10], b"")
    # The kernel sends what is large; five bytes are no more work to write than to hand on.
    assert files.chunks[:2] == [0, 5]


def test_many_at_once_all_get_all_of_it(files, path):
    wanted = hashlib.sha256(path.read_bytes()).digest()
    found = []

    def read(url) -> None:
        with connect(url) as connection:
            connection.sendall(GET)
            found.append(hashlib.sha256(read_answer(connection)[1]).digest())

    with serving(files) as url:
        threads = [threading.Thread(target=read, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GIVE_UP_SECONDS)

    assert found == [wanted] * 8


def test_who_takes_nothing_loses_the_connection_and_that_is_no_error(files, caplog):
    with serving(files, IMPATIENT) as url, connect(url) as connection:
        connection.sendall(GET)
        assert connection.recv(1) == b"H"
        assert files.is_over.wait(GIVE_UP_SECONDS)
        read = 1
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(MIB):
                read += len(part)

    assert read < SIZE
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_who_leaves_in_the_middle_is_no_error(files, caplog):
    with serving(files) as url:
        with connect(url) as connection:
            connection.sendall(GET)
            assert connection.recv(1) == b"H"
        assert files.is_over.wait(GIVE_UP_SECONDS)

    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_a_connection_that_ends_in_the_middle_holds_nothing_here(files):
    with serving(files) as url, connect(url) as connection:
        connection.sendall(GET)
        assert connection.recv(1) == b"H"
        connection.shutdown(socket.SHUT_WR)
        # Far sooner than one ends whose reader takes nothing.
        assert files.is_over.wait(GIVE_UP_SECONDS)


def test_a_fault_in_what_follows_is_not_written_into_the_file(files, path):
    with serving(files) as url, connect(url) as connection:
        connection.sendall(GET)
        assert connection.recv(1) == b"H"
        connection.sendall(b"\0\0\r\n\r\n")
        _, whole, rest = read_answer(connection, b"H")
        assert connection.recv(1) == b""

    assert (whole, rest) == (path.read_bytes(), b"")


def test_who_takes_less_than_a_reader_must_loses_the_connection(monkeypatch):
    """Something at each turn, so that it never waits for long."""
    ours, theirs = socket.socketpair()
    turns = itertools.count()

    def trickle(*_) -> int:
        if next(turns) % 2:
            raise BlockingIOError
        return 1

    monkeypatch.setattr(sendfile.os, "sendfile", trickle)
    aborted = []
    transport = SimpleNamespace(
        get_extra_info={"socket": ours}.get,
        is_closing=lambda: False,
        get_write_buffer_size=lambda: 0,
        abort=lambda: aborted.append(True),
    )
    with ours, theirs:
        sending = send_file_part(transport, FilePart(-1, 0, UNREAD_BYTES), 0.01, asyncio.Event())
        assert asyncio.run(sending) is True
    assert aborted == [True]


def test_a_file_that_becomes_shorter_ends_the_connection_early(files, path):
    os.truncate(path, SIZE // 2)
    with serving(files) as url, connect(url) as connection:
        connection.sendall(GET)
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_answer(connection)

    assert files.is_over.is_set()


def test_where_the_kernel_cannot_the_file_is_read_and_written(files, path, monkeypatch):
    monkeypatch.delattr(sendfile.os, "sendfile")
    with serving(files) as url, connect(url) as connection:
        connection.sendall(GET)
        _, whole, _ = read_answer(connection)

    assert whole == path.read_bytes()
    assert sum(files.chunks) == SIZE


@pytest.mark.parametrize("facts", [{"sslcontext": object()}, {}], ids=["tls", "slow-reader"])
def test_nothing_is_sent_past_what_encrypts_or_waits(facts):
    transport = SimpleNamespace(
        get_extra_info=facts.get, is_closing=lambda: False, get_write_buffer_size=lambda: 5
    )

    assert (
        asyncio.run(send_file_part(transport, FilePart(-1, 0, 10), 1.0, asyncio.Event())) is False
    )
