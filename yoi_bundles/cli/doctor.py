"""``yoi-bundles doctor``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from yoi_bundles.cli.exit_codes import NEGATIVE, OK
from yoi_bundles.cli.options import data_option, json_option, policy_option, visibility_option
from yoi_bundles.cli.output import bad, dim, good, note_work, print_json, safe, say, warn
from yoi_bundles.errors import BundleError
from yoi_bundles.version import VERSION

LOW_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Literal["ok", "warning", "error"]
    detail: str
    hint: str = ""


@click.command("doctor")
@policy_option
@visibility_option
@data_option
@json_option
def command(*, policy: Path | None, visibility: Path | None, data: Path, is_json: bool) -> int:
    """Say what is missing or damaged on this machine, and what to do.

    Exit code 1: something is wrong.
    """
    checks = [
        _python(),
        *_programs(),
        _data(data),
        _policy(policy, data),
        _visibility(visibility),
        *_databases(data),
        *_repositories(data),
    ]
    is_well = all(check.verdict != "error" for check in checks)
    if is_json:
        rows = [
            {"name": c.name, "verdict": c.verdict, "detail": c.detail, "hint": c.hint}
            for c in checks
        ]
        print_json({"ok": is_well, "version": VERSION, "checks": rows})
        return OK if is_well else NEGATIVE
    colour = {"ok": good, "warning": warn, "error": bad}
    for check in checks:
        say(f"{colour[check.verdict](f'{check.verdict:<8}')} {check.name}: {safe(check.detail)}")
        if check.hint:
            say(dim(f"         {safe(check.hint)}"))
    return OK if is_well else NEGATIVE


def _python() -> Check:
    return Check("python", "ok", f"{sys.version.split()[0]}, yoi-bundles {VERSION}")


def _programs() -> Iterator[Check]:
    uses = {
        "git": "operators' inspection, provenance, and `git clone` over HTTP",
        "ssh-keygen": "checking signatures under [trust]",
    }
    for program, use in uses.items():
        if shutil.which(program) is None:
            yield Check(program, "warning", "not installed", f"needed for {use}")
            continue
        flag = ["--version"] if program == "git" else ["-?"]
        found = subprocess.run([program, *flag], capture_output=True, timeout=10, check=False)
        first = (found.stdout or b"installed").decode("utf-8", "replace").splitlines()[:1]
        yield Check(program, "ok", first[0] if program == "git" and first else "installed")


def _data(data: Path) -> Check:
    nearest = next(path for path in [data, *data.resolve().parents] if path.exists())
    if not os.access(nearest, os.W_OK):
        return Check("data", "error", f"{data} cannot be written", "--data, or fix its owner")
    free = shutil.disk_usage(nearest).free
    if free < LOW_BYTES:
        return Check("data", "warning", f"{data}: {free // 1024 // 1024} MiB free")
    return Check("data", "ok", f"{data}, {free // 1024 // 1024:,} MiB free")


def _policy(policy: Path | None, data: Path) -> Check:
    from yoi_bundles.runtime.host.policy_file import load_host_policy

    if policy is None:
        return Check(
            "host policy", "warning", "none found", "a Runtime on this host needs one: --policy"
        )
    try:
        loaded = load_host_policy(policy, state_directory=data / "runtime")
    except BundleError as error:
        return Check("host policy", "error", error.message, error.hint or "")
    return Check("host policy", "ok", f"{policy.name}, {loaded.digest}")


def _visibility(visibility: Path | None) -> Check:
    from yoi_bundles.backend.fleet.visibility_file import read_visibility

    if visibility is None:
        return Check("visibility", "ok", "none: a Backend here shows no Runtime anything")
    try:
        found = read_visibility(visibility)
    except BundleError as error:
        return Check("visibility", "error", error.message, error.hint or "")
    return Check("visibility", "ok", f"{visibility.name}, {len(found.rule)} rules")


def _databases(data: Path) -> Iterator[Check]:
    from sqlalchemy import MetaData

    from yoi_bundles.ledger.database import Database

    for file in (data / "backend" / "registry.sqlite3", data / "runtime" / "catalog.sqlite3"):
        if not file.is_file():
            continue
        try:
            opened = Database(file, MetaData())
            try:
                opened.verify()
            finally:
                opened.close()
        except BundleError as error:
            yield Check(file.name, "error", error.message, error.hint or "")
        else:
            yield Check(file.name, "ok", "every page is sound")


def _repositories(data: Path) -> Iterator[Check]:
    from yoi_bundles.upkeep.verification import verify_data

    try:
        reports = verify_data(data, tell=lambda what: note_work(f"verifying {what} …"))
    except BundleError as error:
        yield Check("repositories", "error", error.message, error.hint or "")
        return
    for report in reports:
        name = f"{report.where} {report.workspace}"
        if report.problems:
            hint = f"`yoi-bundles {report.where} repair`, then publish or sync it again"
            yield Check(name, "error", report.problems[0], hint)
        else:
            yield Check(name, "ok", f"{report.objects} objects are sound")
        if report.set_aside:
            kept = (
                f"{len(report.set_aside)} damaged files are kept, the newest {report.set_aside[-1]}"
            )
            yield Check(name, "warning", kept, "look why the disk fails; then remove `damaged/`")
