"""HTTP by hand over a socket, for what no client library sends."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass


@dataclass
class Answer:
    """What came back before the other side closed."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str | None:
        """Of the problem document."""
        assert self.headers["content-type"] == "application/problem+json"
        document = json.loads(self.body)
        assert document["status"] == self.status
        return document["code"]


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(request: str, token: str, *lines: str) -> bytes:
    fixed = [f"{request} HTTP/1.1", "Host: here", f"Authorization: Bearer {token}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def answer_of(connection: socket.socket) -> Answer:
    """One answer, then the end of the connection: a server that keeps it open fails the test."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    assert connection.recv(1) == b""
    return Answer(response.status, response.headers, body)


def ask(url: str, data: bytes) -> Answer:
    with connect(url) as connection:
        connection.sendall(data)
        return answer_of(connection)
