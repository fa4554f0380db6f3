"""Files as answers: validators, ranges, and the digest of the whole, from memory and from disk."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from types import SimpleNamespace

import pytest

from yoi_bundles.errors import StoreError
from yoi_bundles.wire.answers import immutable_file
from yoi_bundles.wire.answers.immutable_file import answer_file

CONTENT = bytes(range(200)) * 5
SIZE = len(CONTENT)
ETAG = '"abc"'


@pytest.fixture(params=["memory", "disk"])
def file(request, tmp_path, monkeypatch):
    monkeypatch.setattr(immutable_file, "CHUNK_BYTES", 300)
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    content = CONTENT if request.param == "memory" else None
    digest = hashlib.sha256(CONTENT).digest()
    return SimpleNamespace(path=path, size_bytes=SIZE, etag=ETAG, sha256=digest, content=content)


def ask(file, method="GET", **headers):
    """Status, headers and body of an answer."""
    names = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/", "headers": names}
    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        await answer_file(scope, file, "application/x-test")(scope, None, send)

    asyncio.run(run())
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert not sent[-1].get("more_body", False)
    assert all(one["more_body"] for one in sent[1:-1])
    return sent[0]["status"], head, b"".join(one["body"] for one in sent[1:])


def test_the_whole_file_with_all_that_is_to_be_known_of_it(file):
    status, headers, body = ask(file)

    assert (status, body) == (200, CONTENT)
    assert headers["content-length"] == str(SIZE)
    assert headers["content-type"] == "application/x-test"
    assert (headers["etag"], headers["accept-ranges"]) == (ETAG, "bytes")
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert headers["repr-digest"] == f"sha-256=:{digest}:"


def test_head_is_the_head_of_get(file):
    assert ask(file, "HEAD") == (*ask(file)[:2], b"")
    assert ask(file, "HEAD", range="bytes=0-1")[0] == 200


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=250-", 250, SIZE),
        (f"bytes=0-{SIZE * 9}", 0, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=-{SIZE * 9}", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ],
)
def test_one_range_is_answered(file, asked, start, end):
    status, headers, body = ask(file, range=asked, if_range=ETAG)

    assert (status, body) == (206, CONTENT[start:end])
    assert headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert headers["content-length"] == str(end - start)
    assert headers["repr-digest"] == ask(file)[1]["repr-digest"], "of the whole, always"


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,3-4", "bytes=5-4", "bytes=-", "bytes=a-b", "lines=1-2", "bytes", "bytes=1", ""],
)
def test_what_is_no_single_range_is_not_asked_for(file, asked):
    assert ask(file, range=asked)[::2] == (200, CONTENT)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE * 9}-", "bytes=-0"])
def test_a_range_behind_the_end_is_a_problem_that_says_how_long_the_file_is(file, asked):
    status, headers, body = ask(file, range=asked)

    assert (status, headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["code"] == "invalid_input"


@pytest.mark.parametrize("validator", ['"other"', f"W/{ETAG}", "Sun, 22 Nov 2026 16:26:10 GMT"])
def test_a_range_of_another_file_is_answered_with_this_one(file, validator):
    assert ask(file, range="bytes=1-2", if_range=validator)[::2] == (200, CONTENT)


def test_what_is_known_is_not_sent_whatever_range_is_asked_for(file):
    status, headers, body = ask(file, if_none_match=ETAG, range="bytes=0-1")

    assert (status, body, headers["etag"]) == (304, b"", ETAG)
    assert "content-length" not in headers


def test_a_file_that_is_gone_is_an_error_before_the_head(file):
    file.path.unlink()
    if file.content is not None:
        assert ask(file)[0] == 200
        return

    status, headers, body = ask(file)

    assert (status, json.loads(body)["code"]) == (500, "store_error")
    assert (headers["cache-control"], "etag" in headers) == ("no-store", False)


def test_a_file_that_shrinks_ends_the_answer_with_an_error(file):
    file.path.write_bytes(CONTENT[:400])
    if file.content is None:
        with pytest.raises(StoreError):
            ask(file)
    else:
        assert ask(file)[2] == CONTENT
