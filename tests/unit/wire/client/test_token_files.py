"""Token files: only their owner's, one token, never repeated in a message."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.wire.client.token_files import MAX_BYTES, read_token_file, write_token_file
from yoi_bundles.wire.messages.runtimes import RegisterRuntime


def test_a_written_token_is_read_back_and_belongs_to_its_owner(tmp_path):
    path = tmp_path / "a.token"

    write_token_file(path, "yoi_abc")

    assert read_token_file(path) == "yoi_abc"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_replaced(tmp_path):
    path = tmp_path / "a.token"
    path.write_text("mine")

    with pytest.raises(InvalidInputError, match=r"a\.token") as raised:
        write_token_file(path, "yoi_abc")

    assert path.read_text() == "mine"
    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"two words", b"two\nlines", b"caf\xc3\xa9", b"nul\0", b"x" * (MAX_BYTES + 1)],
    ids=["empty", "blank", "words", "lines", "not-ascii", "control", "long"],
)
def test_a_file_that_does_not_hold_one_token_is_refused_and_not_repeated(tmp_path, data):
    path = tmp_path / "a.token"
    path.write_bytes(data)
    path.chmod(0o600)

    with pytest.raises(InvalidInputError) as raised:
        read_token_file(path)

    assert "one token" in raised.value.message
    assert not data.strip() or data.decode("latin-1") not in raised.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_others_can_reach_is_refused(tmp_path, mode):
    path = tmp_path / "a.token"
    path.write_text("yoi_abc")
    path.chmod(mode)

    with pytest.raises(InvalidInputError, match="others"):
        read_token_file(path)


def test_links_directories_and_pipes_are_refused(tmp_path):
    write_token_file(tmp_path / "real", "yoi_abc")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "directory").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", mode=0o600)

    for name in ("link", "directory", "pipe", "missing"):
        with pytest.raises(InvalidInputError) as raised:
            read_token_file(tmp_path / name)
        assert name in raised.value.message


def test_a_device_is_no_token_file():
    with pytest.raises(InvalidInputError):
        read_token_file(Path(os.devnull))


@pytest.mark.parametrize("odd", ["\xe9", "\u2059", " ", "\n", "\x00"])
def test_a_push_token_that_could_not_be_read_back_from_its_file_is_no_token(odd):
    whole = RegisterRuntime(runtime_id="eu-1", push_token="x" * 32)

    with pytest.raises(ValidationError, match="push_token"):
        RegisterRuntime(runtime_id="eu-1", push_token="x" * 32 + odd)
    assert whole.push_token == "x" * 32
