"""All limits of receiving, reading and authoring, in one place, with their units."""

from __future__ import annotations

from typing import NamedTuple

KIB = 1024
MIB = 1024 * KIB


class Limits(NamedTuple):
    """Upper bounds; passing one is `TooLargeError` with its name and value.

    The defaults fit bundles of 10,000 small text files with years of revisions. A host policy may
    set any of them in ``[limits]``.
    """

    header_bytes: int = 64 * KIB
    """Bundle-file header, from its first byte to the empty line."""
    header_line_bytes: int = 1 * KIB
    prerequisites: int = 64
    bundle_bytes: int = 256 * MIB
    """A whole bundle file as it crosses the wire."""
    objects: int = 400_000
    """Objects of one pack."""
    object_bytes: int = 8 * MIB
    """One object, inflated, also as a delta's base or result."""
    inflated_bytes: int = 1024 * MIB
    """All objects of one pack together, inflated and resolved."""
    inflate_ratio: int = 1100
    """Inflated / compressed bytes of one object (zlib cannot pass about 1,032)."""
    delta_depth: int = 64
    """Git's own default is 50."""
    tree_depth: int = 16
    """Directories above a file."""
    tree_entries: int = 20_000
    """Entries of one directory."""
    files: int = 50_000
    """Files of one bundle, counted as they would be materialised."""
    tree_bytes: int = 64 * MIB
    """All files of one bundle together, as they would be materialised."""
    name_bytes: int = 200
    path_bytes: int = 1024
    commit_bytes: int = 64 * KIB
    new_commits: int = 100_000
    """Commits of one bundle file."""
    file_bytes: int = 1 * MIB
    """One file of a workspace."""
    findings: int = 500
    """Findings reported for one tree; the rest are counted."""
    request_bytes: int = 256 * KIB
    """JSON body of one HTTP request, publishing apart."""
    publish_bytes: int = 320 * MIB
    """JSON body of one publish request."""


DEFAULT_LIMITS = Limits()
