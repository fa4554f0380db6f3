"""A tree that somebody keeps → a bundle, compared with the tree that was checked before it.

Source: docs/format.md, "Checking a tree"; step 9 of receive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from yoi_bundles.content.cache import CheckedTree, CheckedTreeCache, Rules
from yoi_bundles.content.check import (
    CheckResult,
    close_files,
    excess,
    parse_files,
    raise_if_refused,
)
from yoi_bundles.content.findings import finding_at, raise_findings
from yoi_bundles.content.parse import ParsedFile, is_plain_prompt
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.ids import BlobId, PromptKey, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.tree import ContentCheck, TreeChange, TreeReader


def check_tree(
    reader: TreeReader,
    *,
    workspace: WorkspaceId | None = None,
    limits: Limits = DEFAULT_LIMITS,
    honour_allow_list: bool = True,
    cache: CheckedTreeCache | None = None,
) -> CheckResult:
    """Check a tree; never raises for what is in it.

    Args:
        reader: The tree.
        workspace: Whose it is said to be: its last checked tree is what this one is compared with.
            None compares with none.
        limits: As for `check_files`.
        honour_allow_list: As for `check_files`.
        cache: Keeps checked trees from one check to the next.

    Raises:
        StoreCorruptError: The reader's bytes are not those their name says.
    """
    trees, rules = cache or CheckedTreeCache(), Rules(limits, honour_allow_list)
    known = trees.find(reader.digest, rules)
    if known is not None:
        return CheckResult(known.bundle, known.findings)
    before = None if workspace is None else trees.newest(workspace, rules)
    checked = _check_all(reader, rules) if before is None else _check_changes(reader, rules, before)
    if isinstance(checked, CheckResult):
        return checked
    trees.keep(checked, rules)
    return CheckResult(checked.bundle, checked.findings)


def load_bundle(
    reader: TreeReader,
    limits: Limits = DEFAULT_LIMITS,
    *,
    workspace: WorkspaceId | None = None,
    cache: CheckedTreeCache | None = None,
) -> Bundle:
    """The bundle of a tree that was accepted before.

    Args:
        reader: The tree.
        limits: As for `check_files`.
        workspace: As for `check_tree`.
        cache: As for `check_tree`; of a tree that it knows nothing is read.

    Raises:
        BundleError: The class of the first error found (see `raise_findings`).
        StoreCorruptError: The reader's bytes are not those their name says.
    """
    return raise_if_refused(check_tree(reader, workspace=workspace, limits=limits, cache=cache))


def verify_content(
    *,
    workspace: WorkspaceId | None,
    honour_allow_list: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    cache: CheckedTreeCache | None = None,
) -> ContentCheck:
    """Step 9 of receive as a function of a tree.

    Args:
        workspace: The workspace that ``bundle.toml`` must name; None accepts any.
        honour_allow_list: False if the host does not let a tree excuse its own findings.
        limits: As for `check_files`.
        cache: As for `check_tree`.

    Returns:
        A function that raises the error of the first finding (see `raise_findings`).
    """

    def check(reader: TreeReader) -> None:
        result = check_tree(
            reader,
            workspace=workspace,
            limits=limits,
            honour_allow_list=honour_allow_list,
            cache=cache,
        )
        manifest = raise_if_refused(result).manifest
        written = manifest.value.workspace.id
        if workspace is not None and written != workspace:
            message = f"the workspace id is `{written}`, not `{workspace}`"
            raise_findings([finding_at(manifest.source, ("workspace", "id"), message)])

    return check


def _check_all(reader: TreeReader, rules: Rules) -> CheckedTree | CheckResult:
    parsed = parse_files(reader.entries(), reader.read_all, rules.limits, reader.plain_size)
    return parsed if isinstance(parsed, CheckResult) else _close(reader, rules, parsed)


def _close(
    reader: TreeReader, rules: Rules, parsed: Sequence[ParsedFile]
) -> CheckedTree | CheckResult:
    result = close_files(
        parsed,
        digest=reader.digest,
        limits=rules.limits,
        honour_allow_list=rules.honour_allow_list,
    )
    if result.bundle is None:
        return result
    files = {each.source.file: each for each in parsed}
    return CheckedTree(result.bundle, result.findings, files, sum(map(_size_of, parsed)))


@dataclass(frozen=True, slots=True)
class _Edit:
    """One file before and after."""

    old: ParsedFile | None
    new: ParsedFile | None


def _check_changes(
    reader: TreeReader, rules: Rules, before: CheckedTree
) -> CheckedTree | CheckResult:
    """Parse what changed; look at the rest only if the change could matter to it."""
    older = before.bundle.digest
    changes = reader.changes_from(older)
    if changes is None:
        changes = _compare(before.files, reader.entries())
    changed = {one.path: one.new for one in changes if one.new is not None}
    parsed = parse_files(changed, reader.read_all, rules.limits)
    if isinstance(parsed, CheckResult):
        return parsed
    edits = [_Edit(before.files.get(new.source.file), new) for new in parsed]
    edits += [_Edit(before.files[one.path], None) for one in changes if one.new is None]
    files = _apply(before.files, edits)
    size_bytes = before.size_bytes + sum(_size_of(edit.new) - _size_of(edit.old) for edit in edits)
    if len(files) > rules.limits.files:
        return excess(f"{len(files)} files are more than {rules.limits.files}")
    if size_bytes > rules.limits.tree_bytes:
        return excess(f"all files together are larger than {rules.limits.tree_bytes} bytes")
    if not all(_is_seen_alike(edit) for edit in edits):
        return _close(reader, rules, [files[path] for path in sorted(files, key=str)])
    prompts = dict(before.bundle.prompts)
    for edit in edits:
        if edit.new is not None and edit.new.declared is not None and edit.new.place is not None:
            prompts[PromptKey(edit.new.place.name)] = edit.new.declared
    bundle = before.bundle._replace(digest=reader.digest, prompts=prompts)
    return CheckedTree(bundle, before.findings, files, size_bytes)


def _compare(
    before: Mapping[RelativePath, ParsedFile], after: Mapping[RelativePath, BlobId]
) -> tuple[TreeChange, ...]:
    """Files that differ, by a look at all."""
    found = [
        TreeChange(path, "removed", file.source.blob, None)
        for path, file in before.items()
        if path not in after
    ]
    for path, blob in after.items():
        file = before.get(path)
        if file is None:
            found.append(TreeChange(path, "added", None, blob))
        elif file.source.blob != blob:
            found.append(TreeChange(path, "changed", file.source.blob, blob))
    return tuple(found)


def _apply(
    before: Mapping[RelativePath, ParsedFile], edits: Iterable[_Edit]
) -> dict[RelativePath, ParsedFile]:
    files = dict(before)
    for edit in edits:
        if edit.new is not None:
            files[edit.new.source.file] = edit.new
        elif edit.old is not None:
            del files[edit.old.source.file]
    return files


def _size_of(file: ParsedFile | None) -> int:
    return 0 if file is None else file.size_bytes


def _is_seen_alike(edit: _Edit) -> bool:
    """Whether no other file of the tree can tell the new text from the old one.

    Others name a prompt by its key and see nothing of it but whether it is sound; a tree's findings
    quote no prompt that has none of its own. What else could matter is looked at again.
    """
    return is_plain_prompt(edit.old) and is_plain_prompt(edit.new)
