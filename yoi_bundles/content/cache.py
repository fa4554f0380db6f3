"""Trees that were checked and found sound, so that the next one costs what changed.

What a check says of a tree depends on its files, the limits and one setting alone, and the digest
stands for the files: an entry never goes stale. It holds no opinion on who may see a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from yoi_bundles.content.parse import ParsedFile
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import Limits

CACHE_FILES = 100_000
"""Bound of one cache in files, a file of two trees counted twice though it is kept once."""


class Rules(NamedTuple):
    """What a check depends on beside the files."""

    limits: Limits
    honour_allow_list: bool


@dataclass(frozen=True, slots=True)
class CheckedTree:
    """A tree in which no error was found.

    Args:
        bundle: What it declares.
        findings: Warnings.
        files: Every file, parsed.
        size_bytes: Of all files together.
    """

    bundle: Bundle
    findings: tuple[Finding, ...]
    files: Mapping[RelativePath, ParsedFile]
    size_bytes: int


class CheckedTreeCache:
    """Least recently used checked trees; safe to share between threads.

    Args:
        files: Bound of what is kept.
    """

    def __init__(self, files: int = CACHE_FILES) -> None:
        self._trees: LRUCache[tuple[Digest, Rules], CheckedTree] = LRUCache(
            files, getsizeof=lambda tree: len(tree.files)
        )
        self._newest: dict[tuple[WorkspaceId, Rules], Digest] = {}
        self._rules: dict[Digest, Rules] = {}
        self._lock = Lock()

    def find(self, digest: Digest, rules: Rules) -> CheckedTree | None:
        """A tree that was checked under the same rules."""
        with self._lock:
            return self._trees.get((digest, rules))

    def find_bundle(self, digest: Digest) -> Bundle | None:
        """What a tree declares that was found sound; the rules of its check do not matter here."""
        with self._lock:
            rules = self._rules.get(digest)
            tree = None if rules is None else self._trees.get((digest, rules))
            return None if tree is None else tree.bundle

    def newest(self, workspace: WorkspaceId, rules: Rules) -> CheckedTree | None:
        """The tree of a workspace that was checked last, to compare the next one with."""
        with self._lock:
            digest = self._newest.get((workspace, rules))
            return None if digest is None else self._trees.get((digest, rules))

    def keep(self, tree: CheckedTree, rules: Rules) -> None:
        """Remember a tree, unless it alone is larger than the bound."""
        digest = tree.bundle.digest
        with self._lock:
            if len(tree.files) > self._trees.maxsize:
                return
            self._trees[digest, rules] = tree
            self._newest[tree.bundle.manifest.value.workspace.id, rules] = digest
            self._rules[digest] = rules
            if len(self._rules) > 2 * len(self._trees):
                self._forget()

    def _forget(self) -> None:
        """Drop what is known of trees that are no longer kept."""
        self._rules = {
            one: rules for one, rules in self._rules.items() if (one, rules) in self._trees
        }
        self._newest = {
            key: digest for key, digest in self._newest.items() if (digest, key[1]) in self._trees
        }
