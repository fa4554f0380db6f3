"""The files of a tree → a bundle, or everything that is wrong with them.

Source: docs/format.md, "Checking a tree"; step 9 of receive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from yoi_bundles.content.allow_list import find_material
from yoi_bundles.content.assemble import Declarations, collect_declarations, make_bundle
from yoi_bundles.content.findings import (
    INVALID,
    PATH,
    TOO_LARGE,
    cap_findings,
    raise_findings,
    shown_file,
    sort_findings,
)
from yoi_bundles.content.inheritance import find_extends_faults
from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.content.parse import ParsedFile, blob_id_of, parse_file
from yoi_bundles.content.plain import parse_plain
from yoi_bundles.content.profile_rules import find_policy_faults, find_profile_rule_faults
from yoi_bundles.content.references import find_reference_faults
from yoi_bundles.content.unused import find_unused
from yoi_bundles.content.workflow_rules import find_workflow_faults
from yoi_bundles.errors import ForbiddenPathError
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import BlobId, Digest, RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import verify_paths

_MOST_COLLECTED = 4
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


def raise_if_refused(result: CheckResult) -> Bundle:
    """The bundle of a check.

    Raises:
        BundleError: The class of the first error found (see `raise_findings`).
    """
    if result.bundle is None:
        raise_findings(result.findings)
    return result.bundle


def check_files(
    files: Mapping[RelativePath, bytes],
    *,
    digest: Digest | None = None,
    limits: Limits = DEFAULT_LIMITS,
    honour_allow_list: bool = True,
) -> CheckResult:
    """Check all files of a tree; never raises for what is in them.

    Args:
        files: Path → bytes of every file.
        digest: The tree's id; `UNPUBLISHED` stands in for None.
        limits: ``files``, ``tree_bytes``, ``file_bytes``, ``findings`` and those of paths apply.
        honour_allow_list: False reports also what ``policies/allow.toml`` excuses.
    """
    blobs = {path: blob_id_of(data) for path, data in files.items()}
    parsed = parse_files(blobs, lambda paths: ((path, files[path]) for path in paths), limits)
    if isinstance(parsed, CheckResult):
        return parsed
    return close_files(
        parsed, digest=digest or UNPUBLISHED, limits=limits, honour_allow_list=honour_allow_list
    )


def parse_files(
    blobs: Mapping[RelativePath, BlobId],
    read_all: Callable[[Iterable[RelativePath]], Iterable[tuple[RelativePath, bytes]]],
    limits: Limits,
    plain_size: Callable[[BlobId], int | None] = lambda _: None,
) -> list[ParsedFile] | CheckResult:
    """Parse every file, or give up on a tree that is past mending; the result is in path order.

    Args:
        blobs: Path → blob id of every file.
        read_all: Gives the bytes of files, in any order.
        limits: As for `check_files`.
        plain_size: Length of a file that `find_plain` has found plain, which is not read.
    """
    if len(blobs) > limits.files:
        return excess(f"{len(blobs)} files are more than {limits.files}")

    def parse_each() -> Iterator[ParsedFile]:
        waiting: list[RelativePath] = []
        for path, blob in blobs.items():
            size = plain_size(blob)
            made = None if size is None else parse_plain(path, blob, size, limits)
            if made is None:
                waiting.append(path)
            else:
                yield made
        for path, data in read_all(waiting):
            yield parse_file(path, blobs[path], data, limits)

    parsed: list[ParsedFile] = []
    count = size_bytes = 0
    for made in parse_each():
        parsed.append(made)
        size_bytes += made.size_bytes
        count += len(made.findings)
        if size_bytes > limits.tree_bytes:
            return excess(f"all files together are larger than {limits.tree_bytes} bytes")
        if count > limits.findings * _MOST_COLLECTED:
            return _give_up(parsed, limits)
    return sorted(parsed, key=lambda file: str(file.source.file))


def close_files(
    parsed: Iterable[ParsedFile],
    *,
    digest: Digest,
    limits: Limits,
    honour_allow_list: bool = True,
) -> CheckResult:
    """Check what parsed files say about one another.

    Args:
        parsed: Every file of the tree, in path order.
        digest: The tree's id.
        limits: ``findings`` and those of paths apply.
        honour_allow_list: As for `check_files`.
    """
    files = list(parsed)
    declarations = collect_declarations(files)
    found = [finding for each in files for finding in each.findings]
    found += _find_collisions(each.source.file for each in files if each.is_safe)
    found += islice(_find_faults_between(declarations), limits.findings * _MOST_COLLECTED)
    matches = [match for each in files for match in each.matches]
    found += find_material(matches, declarations.allow_list if honour_allow_list else None)
    findings = tuple(cap_findings(sort_findings(found), limits))
    manifest = declarations.manifest
    if manifest is None or any(finding.severity == "error" for finding in findings):
        return CheckResult(None, findings)
    return CheckResult(make_bundle(digest, manifest, declarations), findings)


def excess(message: str) -> CheckResult:
    """A result about the tree as a whole; what it holds is not looked at further."""
    return CheckResult(None, (Finding(file=str(MANIFEST_PATH), code=TOO_LARGE, message=message),))


def _give_up(parsed: list[ParsedFile], limits: Limits) -> CheckResult:
    """A result without a look at the remaining files: this tree is past mending."""
    found = sort_findings(finding for each in parsed for finding in each.findings)
    message = "too many findings: later files were not looked at"
    last = Finding(file=shown_file(parsed[-1].source.file), code=TOO_LARGE, message=message)
    return CheckResult(None, (*cap_findings(found, limits), last))


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
