"""A peer that answers what a test says, whatever it was asked."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest


class Peer:
    """Answers every connection with the next of its answers; the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self.requests.append(connection.recv(65536))
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                connection.sendall(answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture
def peer():
    """Makes peers: `peer(status, body, *headers)` or `peer(raw=[...])`."""
    with contextlib.ExitStack() as stack:

        def make(status="200 OK", body=b"", *headers, raw=()):
            made = Peer(*(raw or [answer(status, body, *headers)]))
            stack.callback(made.close)
            return made

        yield make
