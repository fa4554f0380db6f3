"""Codec of the header of a git bundle file, version 3.

Source: gitformat-bundle; docs/format.md, "Bundle file".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits

MAIN_REF = "refs/heads/main"
"""The one ref of a workspace's revisions, in a repository and in a bundle file."""

_SIGNATURE = b"# v3 git bundle\n"
_FORMAT = b"@object-format=sha256"
_PREREQUISITE = re.compile(rb"-([0-9a-f]{64})( [^\0\r]*)?")
_REF = re.compile(rb"([0-9a-f]{64}) ([!-~]{1,255})")


@dataclass(frozen=True, slots=True)
class BundleHeader:
    """What a bundle file says about itself before its pack.

    Args:
        target: The commit that the one ref names.
        prerequisites: Commits that the receiver must already have.
        size_bytes: Length of the header with its empty line.
        ref: Name of the one ref.
    """

    target: CommitId
    prerequisites: tuple[CommitId, ...] = ()
    size_bytes: int = 0
    ref: str = MAIN_REF


@dataclass(frozen=True, slots=True)
class BundleFileInfo:
    """What was written to a bundle file.

    Args:
        target: Its tip.
        digest: Tree of the tip.
        base: The commit that the receiver must hold, or None for a full bundle.
        size_bytes: Length of the whole file.
        objects: Objects in its pack.
        is_shallow: Whether the tip's parent is named and left out, with all before it.
    """

    target: CommitId
    digest: Digest
    base: CommitId | None
    size_bytes: int
    objects: int
    is_shallow: bool = False


def encode_bundle_header(target: CommitId, prerequisites: Sequence[CommitId] = ()) -> bytes:
    """The header of a bundle file that carries ``refs/heads/main``.

    Args:
        target: The tip.
        prerequisites: Commits that the receiver must have.
    """
    lines = [_SIGNATURE, _FORMAT + b"\n"]
    lines += [b"-%s\n" % commit.hex_ascii for commit in prerequisites]
    lines += [b"%s %s\n" % (target.hex_ascii, MAIN_REF.encode("ascii")), b"\n"]
    return b"".join(lines)


def read_bundle_header(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> BundleHeader:
    """Read the header and leave the stream at the first byte of the pack.

    Args:
        stream: At the beginning of the file.
        limits: Bounds of header, lines and prerequisites.

    Raises:
        MalformedBundleError: Another version or hash, an unknown capability, not exactly one
            branch, a truncated header or a prerequisite named twice.
        TooLargeError: A bound was passed.
    """
    if _read_line(stream, limits) + b"\n" != _SIGNATURE:
        raise MalformedBundleError("not a git bundle file of version 3")
    size = len(_SIGNATURE)
    prerequisites: list[CommitId] = []
    refs: list[tuple[CommitId, str]] = []
    has_format = False
    while line := _read_line(stream, limits):
        size += len(line) + 1
        if size > limits.header_bytes:
            raise _too_large("header_bytes", limits.header_bytes)
        if line.startswith(b"@") and not refs and not prerequisites:
            has_format = _verify_capability(line, has_format)
        elif line.startswith(b"-") and not refs:
            prerequisites.append(_parse_prerequisite(line))
        else:
            refs.append(_parse_ref(line))
        if len(prerequisites) > limits.prerequisites:
            raise _too_large("prerequisites", limits.prerequisites)
    if not has_format:
        raise MalformedBundleError("the bundle file does not say object-format=sha256")
    return _make_header(refs, prerequisites, size + 1)


def _make_header(
    refs: list[tuple[CommitId, str]], prerequisites: list[CommitId], size: int
) -> BundleHeader:
    if len(refs) != 1:
        raise MalformedBundleError("a bundle file carries exactly one ref")
    if len(set(prerequisites)) != len(prerequisites):
        raise MalformedBundleError("a prerequisite is named twice")
    (target, ref) = refs[0]
    return BundleHeader(target, tuple(prerequisites), size, ref)


def _read_line(stream: BinaryIO, limits: Limits) -> bytes:
    line = stream.readline(limits.header_line_bytes + 1)
    if line.endswith(b"\n"):
        return line[:-1]
    if len(line) > limits.header_line_bytes:
        raise _too_large("header_line_bytes", limits.header_line_bytes)
    raise MalformedBundleError("the bundle file ends inside its header")


def _verify_capability(line: bytes, has_format: bool) -> bool:
    if line != _FORMAT or has_format:
        raise MalformedBundleError(
            f"unknown capability {line[:60]!a}; only object-format=sha256 is known"
        )
    return True


def _parse_prerequisite(line: bytes) -> CommitId:
    match = _PREREQUISITE.fullmatch(line)
    if match is None:
        raise MalformedBundleError("a prerequisite line has no commit id")
    return CommitId(match[1].decode("ascii"))


def _parse_ref(line: bytes) -> tuple[CommitId, str]:
    match = _REF.fullmatch(line)
    if match is None:
        raise MalformedBundleError("a ref line has no commit id and name")
    name = match[2].decode("ascii")
    if not name.startswith("refs/heads/"):
        raise MalformedBundleError("the one ref of a bundle file must be a branch")
    return CommitId(match[1].decode("ascii")), name


def _too_large(name: str, limit: int) -> TooLargeError:
    return TooLargeError("the header of the bundle file is too large", limit=limit, limit_name=name)
