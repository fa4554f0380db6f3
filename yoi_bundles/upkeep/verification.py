"""Hashing everything in a data directory again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoi_bundles.errors import BundleError, BundleMissingError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.store import (
    CheckoutArea,
    StoreProblem,
    WorkspaceRepositories,
    get_spelled_revision,
)

DIGEST_DIGITS = 64


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was looked at in one repository, and what is wrong there.

    Args:
        where: ``backend`` or ``runtime``.
        objects: Objects and checked-out files hashed.
        problems: A line each.
        set_aside: Names of damaged files that were found before and are kept.
    """

    where: str
    workspace: WorkspaceId
    objects: int
    problems: tuple[str, ...]
    set_aside: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "where": self.where,
            "workspace": str(self.workspace),
            "objects": self.objects,
            "problems": list(self.problems),
            "set_aside": list(self.set_aside),
        }


def list_areas(data: Path) -> dict[str, Path]:
    """Where a data directory keeps repositories: `backend` and `runtime`, as far as they exist."""
    areas = {"backend": data / "backend" / "workspaces", "runtime": data / "runtime" / "bundles"}
    return {where: root for where, root in areas.items() if root.is_dir()}


def each_repository(
    data: Path, only: WorkspaceId | None
) -> Generator[tuple[str, WorkspaceId, WorkspaceRepositories], None, None]:
    """Every repository of a data directory, of both sides, and where it is; or one workspace's.

    What opens them is closed with the iterator, whatever becomes of the caller.
    """
    for where, root in list_areas(data).items():
        with closing(WorkspaceRepositories(root)) as repositories:
            for name in [one for one in repositories.list() if only in {None, one}]:
                yield where, name, repositories


def verify_data(
    data: Path,
    only: WorkspaceId | None = None,
    revision: str | None = None,
    *,
    tell: Callable[[str], None] = lambda where: None,
) -> tuple[VerificationReport, ...]:
    """Hash everything the Backend and the Runtime keep in a data directory.

    Args:
        only: Look at this workspace alone.
        revision: Look at this revision alone; wants ``only``.
        tell: Called with what is looked at next, as it may take long.

    Raises:
        BundleMissingError: There is no such revision in any of the two.
    """
    reports: list[VerificationReport] = []
    missing: BundleMissingError | None = None
    checkouts = data / "runtime" / "checkouts"
    area = CheckoutArea(checkouts) if checkouts.is_dir() else None  # Who looks makes nothing.
    with closing(each_repository(data, only)) as found:
        for where, name, repositories in found:
            tell(f"{where} {name}")
            try:
                beside = area if where == "runtime" else None
                reports.append(_verify(where, name, repositories, beside, revision))
            except BundleMissingError as error:
                missing = error
    if missing is not None and not reports:
        raise missing
    return tuple(reports)


def _verify(
    where: str,
    name: WorkspaceId,
    repositories: WorkspaceRepositories,
    checkouts: CheckoutArea | None,
    spelled: str | None,
) -> VerificationReport:
    problems: list[str] = []
    kept: tuple[str, ...] = ()
    seen = 0
    try:
        store = repositories.get(name)
        digest = None if spelled is None else get_spelled_revision(store, spelled).digest
        kept = store.list_set_aside()
        report = store.verify(digest)
        seen = report.objects
        problems += [_shown(one) for one in report.problems]
        if checkouts is not None:
            chosen = [one.digest for one in store.held() if digest in {None, one.digest}]
            seen += sum(1 for one in chosen for _ in _checked_files(checkouts, one))
    except BundleMissingError:
        raise
    except BundleError as error:
        problems.append(f"{error.code}: {error.message}")
    return VerificationReport(where, name, seen, tuple(problems), kept)


def _shown(problem: StoreProblem) -> str:
    """A problem as a line; an object by as much of its id as people read."""
    name = problem.object_id
    if len(name) != DIGEST_DIGITS:
        return f"{name}: {problem.message}" if name else problem.message
    return f"object {name[:12]}: {problem.message}"


def _checked_files(checkouts: CheckoutArea, digest: Digest) -> Iterator[bytes]:
    checkout = checkouts.find(digest)
    if checkout is not None:
        checkout.verify_names()
        for path in checkout.reader.entries():
            yield checkout.reader.read(path)
