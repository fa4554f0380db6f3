"""What a check found, in the little that lets the next process check only what changed.

Source: docs/format.md, "Checking a tree"; docs/adr/0021-what-a-stat-cache-may-vouch-for.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoi_bundles.content.layout import Place, find_place
from yoi_bundles.content.parse import ParsedFile, is_plain_prompt, parse_file
from yoi_bundles.content.plain import parse_plain
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import BlobId, Digest, RelativePath
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.tree import TreeChange, TreeReader

if TYPE_CHECKING:
    from yoi_bundles.content.cache import CheckedTree
    from yoi_bundles.content.check import CheckResult

MOST_CHANGES = 64
"""Changed files that are looked at by themselves; with more, a check of all pays."""


class KeptCheck(NamedTuple):
    """A tree in which no error was found, and what must be known of it to check one like it.

    Args:
        digest: The tree.
        findings: Warnings.
        marked: Prompts that are not plain: others may see more of them than that they are there.
    """

    digest: Digest
    findings: tuple[Finding, ...]
    marked: frozenset[RelativePath]


def keep_check(tree: CheckedTree) -> KeptCheck:
    """What is worth keeping of a checked tree."""
    return KeptCheck(tree.bundle.digest, tree.findings, _list_marked(tree.files.values()))


def _list_marked(files: Iterable[ParsedFile]) -> frozenset[RelativePath]:
    return frozenset(
        file.source.file
        for file in files
        if _is_prompt(file.source.file) and not is_plain_prompt(file)
    )


def count_plain_edits(reader: TreeReader, before: KeptCheck, limits: Limits) -> int | None:
    """How many files differ from an older tree, if a check of all would find just the same.

    It would if all that differs is the text of prompts that are plain before and after (see
    `check_tree`): these are parsed and scanned here, and what others say of them is the same. The
    caller verifies the size of the whole tree.

    Args:
        reader: The tree.
        before: The check of a tree of the same workspace, under the same rules.
        limits: Those of that check.

    Returns:
        None if all files have to be checked.

    Raises:
        StoreCorruptError: The reader's bytes are not those their name says.
    """
    changes = reader.changes_from(before.digest)
    if changes is None or len(changes) > MOST_CHANGES or not _are_edits(changes, before):
        return None
    changed = {one.path: one.new for one in changes if one.new is not None}
    for path, blob in changed.items():
        if not is_plain_prompt(parse_file(path, blob, reader.read(path), limits)):
            return None
    return len(changes)


def check_beside(
    reader: TreeReader, before: KeptCheck, limits: Limits
) -> tuple[CheckResult, KeptCheck] | None:
    """What a check of all files would find in a tree, without reading prompts that did not change.

    A prompt that was plain and is as it was is taken for one: what others see of it is its name.
    The bundle of the result lacks the headers of such prompts, so it is good for nothing but what
    it was checked for. The caller verifies the size of the whole tree.

    Args:
        reader: The tree.
        before: As for `count_plain_edits`.
        limits: As for `count_plain_edits`.

    Returns:
        What was found, and what to keep of it if that is no error. None if the trees cannot be
        compared: all files have to be read.

    Raises:
        StoreCorruptError: The reader's bytes are not those their name says.
    """
    from yoi_bundles.content.check import close_files

    changes = reader.changes_from(before.digest)
    if changes is None:
        return None
    changed = {one.path for one in changes}

    def parse(path: RelativePath, blob: BlobId) -> ParsedFile:
        is_as_it_was = path not in changed and path not in before.marked
        made = parse_plain(path, blob, 0, limits) if is_as_it_was else None
        return parse_file(path, blob, reader.read(path), limits) if made is None else made

    files = [parse(path, blob) for path, blob in reader.entries().items()]
    result = close_files(files, digest=reader.digest, limits=limits)
    return result, KeptCheck(reader.digest, result.findings, _list_marked(files))


def _are_edits(changes: Sequence[TreeChange], before: KeptCheck) -> bool:
    """Whether files were edited, none came or went, and all are prompts that were plain."""
    return all(
        one.old is not None
        and one.new is not None
        and _is_prompt(one.path)
        and one.path not in before.marked
        for one in changes
    )


def _is_prompt(path: RelativePath) -> bool:
    place = find_place(path)
    return isinstance(place, Place) and place.kind == "prompt"
