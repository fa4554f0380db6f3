"""The content check of a publish: what differs from the tree before it, also after a restart.

What checks a whole tree is loaded with the first tree that needs it: the command line publishes an
edited prompt without.

Source: docs/format.md, "Checking a tree"; docs/adr/0019 and 0021.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from yoi_bundles.backend.publishing.kept_checks import KeptChecks, KeptTree
from yoi_bundles.content.check_all import verify_files
from yoi_bundles.content.kept import KeptCheck, check_beside, count_plain_edits, keep_check
from yoi_bundles.errors import InvalidManifestError, StoreCorruptError, StoreError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.tree import TreeReader

if TYPE_CHECKING:
    from yoi_bundles.content.cache import CheckedTreeCache, Rules
    from yoi_bundles.store import Repository

_KEEP_AFTER = 8
"""Changed files after which a process keeps the newest tree again: a check parses what changed."""
_MOST_MEASURES = 10_000
"""Measures kept, also of directories that are gone; with more, they are listed anew."""


class Checked(NamedTuple):
    """What a check found.

    Args:
        findings: Warnings.
        kept: What is worth keeping for the next process, once the tree is held; None if nothing.
    """

    findings: tuple[Finding, ...]
    kept: KeptCheck | None


class PublishChecks:
    """Checks trees before they are published; safe to share between threads.

    Args:
        limits: Bounds of what may be published.
        kept: What earlier processes have checked.
        is_brief: This process ends soon: nothing is read that only later checks would save.
    """

    def __init__(self, limits: Limits, kept: KeptChecks, *, is_brief: bool = False) -> None:
        self._is_brief = is_brief
        self._limits = limits
        self._kept = kept
        self._known: dict[WorkspaceId, KeptTree | None] = {}
        self._saved: set[WorkspaceId] = set()

    # Threads that make one of these twice forget what the other has kept, and check it once more.

    @cached_property
    def _trees(self) -> CheckedTreeCache:
        from yoi_bundles.content.cache import CheckedTreeCache

        return CheckedTreeCache()

    @cached_property
    def _rules(self) -> Rules:
        from yoi_bundles.content.cache import Rules

        return Rules(self._limits, honour_allow_list=True)

    def prepare(self, store: Repository) -> None:
        """Take over what an earlier process knew of a workspace; only the first call reads."""
        if store.workspace not in self._known:
            known = self._known[store.workspace] = self._kept.load(store.workspace)
            if known is not None:
                store.learn_measures(known.measures)

    def check(self, workspace: WorkspaceId, tree: TreeReader) -> Checked:
        """Check a tree; its size as a whole is the store's to check.

        Raises:
            BundleError: The content is refused (with every finding), or it is another workspace's.
            StoreCorruptError: What is held of it is damaged.
        """
        known = self._known.get(workspace)
        is_cold = self._is_brief or self._trees.newest(workspace, self._rules) is None
        found = None
        if is_cold and known is not None:
            # An older tree that is damaged is no reason to refuse a newer one.
            with suppress(StoreCorruptError):
                found = self._check_edits(tree, known.check, is_new=workspace not in self._saved)
                if found is None and self._is_brief:
                    found = self._check_beside(workspace, tree, known.check)
        return found or self._check_all(workspace, tree, is_news=is_cold or known is None)

    def _check_edits(self, tree: TreeReader, before: KeptCheck, *, is_new: bool) -> Checked | None:
        edits = count_plain_edits(tree, before, self._limits)
        if edits is None:
            return None
        is_news = edits >= _KEEP_AFTER or (edits > 0 and is_new)
        return Checked(before.findings, before._replace(digest=tree.digest) if is_news else None)

    def _check_beside(
        self, workspace: WorkspaceId, tree: TreeReader, before: KeptCheck
    ) -> Checked | None:
        from yoi_bundles.content.check import raise_if_refused

        found = check_beside(tree, before, self._limits)
        if found is None:
            return None
        result, kept = found
        _verify_workspace(raise_if_refused(result), workspace)
        return Checked(result.findings, kept)

    def _check_all(self, workspace: WorkspaceId, tree: TreeReader, *, is_news: bool) -> Checked:
        from yoi_bundles.content.check import raise_if_refused
        from yoi_bundles.content.check_tree import check_tree

        checked = check_tree(tree, workspace=workspace, limits=self._limits, cache=self._trees)
        _verify_workspace(raise_if_refused(checked), workspace)
        found = self._trees.find(tree.digest, self._rules) if is_news else None
        return Checked(checked.findings, None if found is None else keep_check(found))

    def check_first(self, workspace: WorkspaceId, files: Mapping[RelativePath, bytes]) -> Digest:
        """Check all files of a workspace that has no revision yet.

        Returns:
            The digest that they make.

        Raises:
            BundleError: As `check`.
        """
        from yoi_bundles.content.memory import MemoryTree
        from yoi_bundles.store import compute_digest

        verify_files(files, self._limits)
        tree = MemoryTree(files, compute_digest(files))
        self.check(workspace, tree)
        return tree.digest

    def keep(self, store: Repository, check: KeptCheck | None) -> None:
        """Let the next process know of a tree that is held now; a failure is not told.

        Args:
            store: Where it is held.
            check: Of `check`.
        """
        if check is None:
            return
        known = self._known.get(store.workspace)
        before = {} if known is None or len(known.measures) > _MOST_MEASURES else known.measures
        with suppress(StoreError):
            tree = KeptTree(check, store.list_measures(check.digest, before))
            self._kept.save(store.workspace, tree)
            self._known[store.workspace] = tree
            self._saved.add(store.workspace)


def _verify_workspace(bundle: Bundle, workspace: WorkspaceId) -> None:
    """A bundle says whose it is.

    Raises:
        InvalidManifestError: It is another workspace's.
    """
    source, written = bundle.manifest.source, bundle.manifest.value.workspace.id
    if written != workspace:
        line = source.line_of(("workspace", "id"))
        raise InvalidManifestError(
            f"bundle.toml:{line} is of the workspace {written}, not {workspace}",
            hint="publish it under its own id, or change the id",
            file="bundle.toml",
            line=line,
        )
