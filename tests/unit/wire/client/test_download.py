"""Downloads that break off: each byte is written once, and only what the server has is taken."""

from __future__ import annotations

import base64
import hashlib

import pytest

from yoi_bundles.errors import TooLargeError, TransportError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import ClientLimits, HttpClient

CONTENT = b"0123456789" * 10
TEAM, SOME = WorkspaceId("team"), Digest("ab" * 32)
LIMITS = ClientLimits(connect_seconds=2, read_seconds=5, attempts=4, retry_seconds=5)


def head(status: str, length: int, content: bytes = CONTENT, etag: str = '"one"', *more) -> bytes:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    lines = [
        f"HTTP/1.1 {status}", f"Content-Length: {length}", "Connection: close", f"ETag: {etag}",
        f"Repr-Digest: sha-512=:AAAA:, sha-256=:{digest}:", *more, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def part(start: int, end: int, claimed: int | None = None) -> bytes:
    """The rest from ``start`` on, cut off at ``end``."""
    begins = start if claimed is None else claimed
    content_range = f"Content-Range: bytes {begins}-{len(CONTENT) - 1}/{len(CONTENT)}"
    length = len(CONTENT) - start
    return head("206 Partial Content", length, CONTENT, '"one"', content_range) + CONTENT[start:end]


def whole(end: int) -> bytes:
    return head("200 OK", len(CONTENT)) + CONTENT[:end]


@pytest.fixture
def fetch(peer):
    """What was written of some answers, and the peer that gave them."""

    def run(*answers, limits=LIMITS):
        asked, written = peer(raw=answers), []
        http = HttpClient(asked.url, "t" * 43, limits=limits)
        try:
            count = BackendClient(http).fetch_bundle(TEAM, SOME, (), written.append)
        finally:
            http.close()
        assert count == sum(map(len, written))
        return b"".join(written), asked

    return run


def test_a_download_goes_on_where_it_broke_off_again_and_again(fetch):
    written, asked = fetch(whole(30), part(30, 55), part(55, 100))

    assert written == CONTENT
    ranges = [
        [line for line in one.decode().split("\r\n") if line.lower().startswith(("range", "if-r"))]
        for one in asked.requests
    ]
    assert ranges == [
        [],
        ["range: bytes=30-", 'if-range: "one"'],
        ["range: bytes=55-", 'if-range: "one"'],
    ]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((whole(30), head("200 OK", 100, CONTENT, '"two"') + CONTENT), "another file now"),
        ((whole(30), part(30, 100, claimed=31)), "another file now"),
        ((head("200 OK", 100, b"other") + CONTENT,), "its digest is another"),
        ((whole(30), head("206 Partial Content", 70, b"other", '"one"',
                          "Content-Range: bytes 30-99/100") + CONTENT[30:]), "its digest"),
    ],
)  # fmt: skip
def test_what_is_not_what_the_server_has_is_not_taken_and_not_asked_for_again(fetch, answers, said):
    with pytest.raises(TransportError, match=said) as raised:
        fetch(*answers)

    assert raised.value.retryable is False


def test_one_that_never_comes_to_its_end_is_given_up(fetch):
    with pytest.raises(TransportError) as raised:
        fetch(whole(30), *(part(start, start + 1) for start in range(30, 60)))

    assert raised.value.retryable is True


def test_the_limit_holds_for_all_parts_together(fetch):
    limits = ClientLimits(bundle_bytes=60, attempts=3)
    with pytest.raises(TooLargeError) as raised:
        fetch(whole(30), part(30, 100), limits=limits)

    assert raised.value.code == "too_large"
