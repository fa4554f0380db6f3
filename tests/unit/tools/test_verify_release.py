"""A release is verified by building it anew: what differs is told, and how."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools.verify_release import build_clean, content_of, difference, verify

ROOT = Path(__file__).parents[3]


def test_the_same_bytes_come_out_of_two_clones_and_match_what_was_given(tmp_path, capsys):
    (tmp_path / "one").mkdir()
    _, files = build_clean("HEAD", tmp_path / "one", "given")

    assert verify("HEAD", files, tmp_path) == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in lines] == [file.name for file in files]


def make_sdist(path, files, *, level=9):
    """An archive of our own making, so that any part of it can differ."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, (mode, data) in files.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(data)
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(raw.getvalue(), level, mtime=0))
    return path


FILES = {"x-1/a": (0o644, b"a\n" * 500), "x-1/b": (0o755, b"b\n" * 500)}


@pytest.fixture
def sdist(tmp_path):
    (tmp_path / "mine").mkdir()
    return make_sdist(tmp_path / "mine" / "x-1.tar.gz", FILES)


def test_equal_bytes_do_not_differ(sdist, tmp_path):
    assert difference(sdist, make_sdist(tmp_path / "x-1.tar.gz", FILES)) is None


def test_another_compression_of_the_same_content_is_told_apart(sdist, tmp_path):
    other = make_sdist(tmp_path / "x-1.tar.gz", FILES, level=0)

    assert content_of(sdist) == content_of(other)
    assert "the same content" in str(difference(sdist, other))


@pytest.mark.parametrize(
    "change",
    [
        {"x-1/a": (0o644, b"changed")},
        {"x-1/a": (0o755, FILES["x-1/a"][1])},
        {"x-1/c": (0o644, b"more")},
    ],
    ids=["bytes", "mode", "a file more"],
)
def test_another_content_is_told(sdist, tmp_path, change):
    other = make_sdist(tmp_path / "x-1.tar.gz", FILES | change)

    assert difference(sdist, other) == "x-1.tar.gz: another content"


def test_a_tag_of_another_version_and_a_file_of_another_name_are_told(tmp_path, monkeypatch):
    clone = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", "--shared", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "tag", "v9.9.9"], check=True)
    monkeypatch.setattr("tools.verify_release.ROOT", clone)
    stray = tmp_path / "yoi_bundles-9.9.9.tar.gz"
    stray.write_bytes(b"")

    told = verify("v9.9.9", [stray], tmp_path)

    assert [line.partition(" ")[0] for line in told] == ["the", stray.name + ":"]
