"""The files of a tree → a bundle, or everything that is wrong with them.

Source: docs/format.md, "Checking a tree"; step 9 of receive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from yoi_bundles.content.allow_list import find_material
from yoi_bundles.content.assemble import Declarations, collect_declarations, make_bundle
from yoi_bundles.content.cache import ParseCache
from yoi_bundles.content.findings import (
    INVALID,
    PATH,
    TOO_LARGE,
    cap_findings,
    finding_at,
    raise_findings,
    shown_file,
    sort_findings,
)
from yoi_bundles.content.inheritance import find_extends_faults
from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.content.parse import ParsedFile, blob_id_of, parse_file
from yoi_bundles.content.profile_rules import find_policy_faults, find_profile_rule_faults
from yoi_bundles.content.references import find_reference_faults
from yoi_bundles.content.unused import find_unused
from yoi_bundles.content.workflow_rules import find_workflow_faults
from yoi_bundles.errors import ForbiddenPathError
from yoi_bundles.model.bundle import Bundle, Finding
from yoi_bundles.model.ids import BlobId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import verify_paths
from yoi_bundles.model.tree import ContentCheck, TreeReader

_PATIENCE = 4
"""Times ``limits.findings`` that are collected before a check stops."""

UNPUBLISHED = Digest("0" * 64)
"""Stands for the digest of files that are not a tree yet."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Args:
        bundle: None if and only if a finding is an error.
        findings: In file and line order, errors and warnings.
    """

    bundle: Bundle | None
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether the files are no bundle."""
        return self.bundle is None


def check_files(
    files: Mapping[RelativePath, bytes],
    *,
    digest: Digest | None = None,
    blob_ids: Mapping[RelativePath, BlobId] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    honour_allow_list: bool = True,
    cache: ParseCache | None = None,
) -> CheckResult:
    """Check all files of a tree; never raises for what is in them.

    Args:
        files: Path → bytes of every file.
        digest: The tree's id; `UNPUBLISHED` stands in for None.
        blob_ids: Ids of the files' bytes where they are known; the rest are computed.
        limits: ``files``, ``tree_bytes``, ``file_bytes``, ``findings`` and those of paths apply.
        honour_allow_list: False reports also what ``policies/allow.toml`` excuses.
        cache: Keeps parsed files from one check to the next.
    """
    known = blob_ids or {}
    blobs = {path: known.get(path) or blob_id_of(data) for path, data in files.items()}
    return _check(
        blobs,
        files.__getitem__,
        digest=digest or UNPUBLISHED,
        limits=limits,
        honour_allow_list=honour_allow_list,
        cache=cache,
    )


def _check(
    blobs: Mapping[RelativePath, BlobId],
    read: Callable[[RelativePath], bytes],
    *,
    digest: Digest,
    limits: Limits,
    honour_allow_list: bool,
    cache: ParseCache | None,
) -> CheckResult:
    """Parse every file, reading only those the cache does not know, and close them."""
    if len(blobs) > limits.files:
        return _excess(f"{len(blobs)} files are more than {limits.files}")
    kept = cache or ParseCache()
    parsed: list[ParsedFile] = []
    count = size_bytes = 0
    for path in sorted(blobs):
        blob = blobs[path]
        made = kept.get(path, blob, limits, partial(_read_and_parse, path, blob, read, limits))
        parsed.append(made)
        size_bytes += made.size_bytes
        count += len(made.findings)
        if size_bytes > limits.tree_bytes:
            return _excess(f"all files together are larger than {limits.tree_bytes} bytes")
        if count > limits.findings * _PATIENCE:
            return _give_up(parsed, limits)
    return close_files(parsed, digest=digest, limits=limits, honour_allow_list=honour_allow_list)


def _read_and_parse(
    path: RelativePath, blob: BlobId, read: Callable[[RelativePath], bytes], limits: Limits
) -> ParsedFile:
    return parse_file(path, blob, read(path), limits)


def close_files(
    parsed: list[ParsedFile], *, digest: Digest, limits: Limits, honour_allow_list: bool = True
) -> CheckResult:
    """Check what parsed files say about one another.

    Args:
        parsed: Every file of the tree.
        digest: The tree's id.
        limits: ``findings`` and those of paths apply.
        honour_allow_list: As for `check_files`.
    """
    declarations = collect_declarations(parsed)
    found = [finding for each in parsed for finding in each.findings]
    found += _find_collisions(each.source.file for each in parsed if each.is_safe)
    found += islice(_find_faults_between(declarations), limits.findings * _PATIENCE)
    matches = [match for each in parsed for match in each.matches]
    found += find_material(matches, declarations.allow_list if honour_allow_list else None)
    findings = tuple(cap_findings(sort_findings(found), limits))
    manifest = declarations.manifest
    if manifest is None or any(finding.severity == "error" for finding in findings):
        return CheckResult(None, findings)
    return CheckResult(make_bundle(digest, manifest, declarations), findings)


def _give_up(parsed: list[ParsedFile], limits: Limits) -> CheckResult:
    """A result without a look at the remaining files: this tree is past mending."""
    found = sort_findings(finding for each in parsed for finding in each.findings)
    message = "too many findings: later files were not looked at"
    last = Finding(file=shown_file(parsed[-1].source.file), code=TOO_LARGE, message=message)
    return CheckResult(None, (*cap_findings(found, limits), last))


def load_bundle(
    reader: TreeReader, limits: Limits = DEFAULT_LIMITS, *, cache: ParseCache | None = None
) -> Bundle:
    """The bundle of a tree that was accepted before.

    Args:
        reader: The tree.
        limits: As for `check_files`.
        cache: As for `check_files`; a file it knows is not read.

    Raises:
        BundleError: The class of the first error found (see `raise_findings`).
        StoreCorruptError: The reader's bytes are not those their name says.
    """
    return _read_bundle(reader, limits, honour_allow_list=True, cache=cache)


def _read_bundle(
    reader: TreeReader, limits: Limits, *, honour_allow_list: bool, cache: ParseCache | None
) -> Bundle:
    result = _check(
        reader.entries(),
        reader.read,
        digest=reader.digest,
        limits=limits,
        honour_allow_list=honour_allow_list,
        cache=cache,
    )
    if result.bundle is None:
        raise_findings(result.findings)
    return result.bundle


def verify_content(
    *,
    workspace: WorkspaceId | None,
    honour_allow_list: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    cache: ParseCache | None = None,
) -> ContentCheck:
    """Step 9 of receive as a function of a tree.

    Args:
        workspace: The workspace that ``bundle.toml`` must name; None accepts any.
        honour_allow_list: False if the host does not let a tree excuse its own findings.
        limits: As for `check_files`.
        cache: As for `check_files`; a file it knows is not read.

    Returns:
        A function that raises the error of the first finding (see `raise_findings`).
    """

    def check(reader: TreeReader) -> None:
        bundle = _read_bundle(reader, limits, honour_allow_list=honour_allow_list, cache=cache)
        written = bundle.manifest.value.workspace.id
        if workspace is not None and written != workspace:
            message = f"the workspace id is `{written}`, not `{workspace}`"
            path = ("workspace", "id")
            raise_findings([finding_at(bundle.manifest.source, path, message)])

    return check


def _excess(message: str) -> CheckResult:
    """A result about the tree as a whole; what it holds is not looked at further."""
    return CheckResult(None, (Finding(file=str(MANIFEST_PATH), code=TOO_LARGE, message=message),))


def _find_collisions(paths: Iterable[RelativePath]) -> Iterator[Finding]:
    """Paths that are two here and one on some file system."""
    try:
        verify_paths(list(paths))
    except ForbiddenPathError as error:
        yield Finding(file=str(MANIFEST_PATH), code=PATH, message=error.message)


def _find_faults_between(declarations: Declarations) -> Iterator[Finding]:
    if not declarations.has("manifest", "bundle"):
        message = "there is no bundle.toml"
        hint = "`yoi-bundles init` makes a workspace"
        yield Finding(file=str(MANIFEST_PATH), code=INVALID, message=message, hint=hint)
    yield from find_reference_faults(declarations)
    yield from find_extends_faults(declarations)
    yield from find_profile_rule_faults(declarations)
    yield from find_policy_faults(declarations)
    yield from find_workflow_faults(declarations)
    yield from find_unused(declarations)
