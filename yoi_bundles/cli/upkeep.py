"""``yoi-bundles backend|runtime gc|repair``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yoi_bundles.cli.exit_codes import INTEGRITY, OK
from yoi_bundles.cli.options import PATH, data_option, json_option
from yoi_bundles.cli.output import bad, good, print_json, say, warn
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.ids import WorkspaceId

if TYPE_CHECKING:
    from yoi_bundles.runtime.held.upkeep import Upkeep
    from yoi_bundles.store import CollectReport, MendReport, WorkspaceRepositories

_workspace_option = click.option("-w", "--workspace", help="Only this one (default: all).")


def _chosen(named: str | None, found: Sequence[WorkspaceId]) -> tuple[WorkspaceId, ...]:
    if named is None:
        return tuple(found)
    wanted = WorkspaceId.parse(named)
    if wanted not in found:
        raise BundleMissingError(f"nothing is held of the workspace {wanted}")
    return (wanted,)


@contextmanager
def _repositories(data: Path) -> Iterator[WorkspaceRepositories]:
    from yoi_bundles.store import WorkspaceRepositories

    with WorkspaceRepositories(data / "backend" / "workspaces") as opened:
        yield opened


@contextmanager
def _upkeep(data: Path) -> Iterator[Upkeep]:
    from yoi_bundles.runtime.held.catalog import Catalog
    from yoi_bundles.runtime.held.upkeep import Upkeep

    catalog = Catalog(data / "runtime" / "catalog.sqlite3")
    try:
        upkeep = Upkeep.open(data / "runtime", catalog)
        try:
            yield upkeep
        finally:
            upkeep.close()
    finally:
        catalog.close()


@click.command("gc")
@_workspace_option
@data_option
@json_option
def backend_gc(*, workspace: str | None, data: Path, is_json: bool) -> None:
    """Remove objects that no ref reaches, and pack the rest; every revision stays.

    Safe while the Backend is served.
    """
    from yoi_bundles.backend.upkeep import collect

    with _repositories(data) as repositories:
        rows = {
            name: _collected(collect(repositories, name))
            for name in _chosen(workspace, repositories.list())
        }
    _tell_collected(rows, is_json=is_json)


@click.command("gc")
@click.option(
    "--keep",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="How many of the newest bundles of a workspace stay.",
)
@_workspace_option
@data_option
@json_option
def runtime_gc(*, keep: int, workspace: str | None, data: Path, is_json: bool) -> None:
    """Drop bundles beyond the newest ones, and remove what nothing needs any more.

    The newest bundle stays, and each that a Worker was made from. Safe while the Runtime is served.
    """
    with _upkeep(data) as upkeep:
        rows = {}
        for name in _chosen(workspace, upkeep.workspaces()):
            done = upkeep.collect(name, keep)
            rows[name] = _collected(done.report, [str(one) for one in done.dropped])
    _tell_collected(rows, is_json=is_json)


def _collected(report: CollectReport, dropped: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "dropped": list(dropped),
        "objects": report.kept,
        "removed": report.removed,
        "freed_bytes": report.freed_bytes,
    }


def _tell_collected(rows: dict[WorkspaceId, dict[str, Any]], *, is_json: bool) -> None:
    if is_json:
        print_json({"workspaces": {str(name): row for name, row in rows.items()}})
        return
    for name, row in rows.items():
        say(
            f"{good('collected')}  {name}: {len(row['dropped'])} bundles dropped, "
            f"{row['removed']} objects removed, {row['objects']} stay"
        )


@click.command("repair")
@_workspace_option
@click.option("--from", "source", type=PATH, help="A clone, or a full bundle file, to take from.")
@data_option
@json_option
def backend_repair(*, workspace: str | None, source: Path | None, data: Path, is_json: bool) -> int:
    """Set damaged files aside, make lost refs anew, take lacking objects from a copy.

    Each object is verified by its id, whatever the copy is. Exit code 6: something is lacking.
    """
    from yoi_bundles.backend.upkeep import mend

    with _repositories(data) as repositories:
        reports = {
            name: mend(repositories, name, source)
            for name in _chosen(workspace, repositories.list())
        }
    return _tell_mended(reports, is_json=is_json)


@click.command("repair")
@_workspace_option
@click.option("--catalog", "is_catalog", is_flag=True, help="Salvage a damaged catalog first.")
@data_option
@json_option
def runtime_repair(*, workspace: str | None, is_catalog: bool, data: Path, is_json: bool) -> int:
    """Set damaged files aside, make lost refs and changed checkouts anew.

    What is lacking then is fetched by a Runtime that follows its Backend, or sent by the next sync.
    Exit code 6: something is lacking.
    """
    salvaged = _salvage(data) if is_catalog else None
    with _upkeep(data) as upkeep:
        reports = {}
        for name in _chosen(workspace, upkeep.workspaces()):
            reports[name] = upkeep.mend(name)
            upkeep.mend_checkouts(name)
    return _tell_mended(reports, is_json=is_json, catalog=salvaged)


def _salvage(data: Path) -> dict[str, int]:
    from yoi_bundles.ledger.salvage import salvage_database
    from yoi_bundles.runtime.held.catalog_tables import TABLES

    return salvage_database(data / "runtime" / "catalog.sqlite3", TABLES)


def _tell_mended(
    reports: dict[WorkspaceId, MendReport],
    *,
    is_json: bool,
    catalog: dict[str, int] | None = None,
) -> int:
    lacking = sum(len(report.lacking) for report in reports.values())
    if is_json:
        document: dict[str, Any] = {
            "ok": not lacking,
            "workspaces": {str(name): _mended(report) for name, report in reports.items()},
        }
        if catalog is not None:
            document["salvaged"] = catalog
        print_json(document)
        return INTEGRITY if lacking else OK
    for table, rows in (catalog or {}).items():
        say(f"{warn('salvaged')}  {rows} rows of {table}")
    for name, report in reports.items():
        verdict = bad("lacking") if report.lacking else good("whole")
        say(
            f"{verdict}  {name}: {len(report.set_aside)} files set aside, "
            f"{len(report.made)} made anew, {len(report.lacking)} bundles lack objects"
        )
    return INTEGRITY if lacking else OK


def _mended(report: MendReport) -> dict[str, list[str]]:
    return {
        "set_aside": list(report.set_aside),
        "made": list(report.made),
        "lacking": sorted(map(str, report.lacking)),
    }
