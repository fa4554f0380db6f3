"""``yoi-bundles bundle``: bundle files for hosts without a network."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from yoi_bundles.cli.options import (
    FILE,
    data_option,
    json_option,
    open_backend,
    open_runtime,
    policy_option,
)
from yoi_bundles.cli.output import dim, good, note_work, print_json, say, shown_size
from yoi_bundles.errors import InvalidInputError, StoreError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId


@click.group("bundle")
def command() -> None:
    """Bundle files for hosts without a network.

    A bundle file is a standard git bundle (v3, SHA-256): `git bundle verify` and `git fetch FILE`
    understand it too.
    """


@command.command("create")
@click.argument("workspace")
@click.argument("revision", default="main")
@click.option("-o", "--output", type=FILE, help="File to write  [default: WORKSPACE-rN.bundle]")
@click.option("--have", multiple=True, metavar="COMMIT", help="Commit the receiver has already.")
@click.option("--shallow", is_flag=True, help="Leave out what was before the revision.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@data_option
@json_option
def create(
    *,
    workspace: str,
    revision: str,
    output: Path | None,
    have: tuple[str, ...],
    shallow: bool,
    force: bool,
    data: Path,
    is_json: bool,
) -> None:
    """Write a bundle file of a revision: full, or an increment on what --have names.

    A full file holds all of history, and `git clone FILE` can read it. A shallow one holds the
    revision alone, for a Runtime that holds nothing of the workspace yet.
    """
    with open_backend(data) as backend:
        found = backend.publishing.revision(WorkspaceId.parse(workspace), revision)
        haves = tuple(CommitId.parse(text) for text in have)
        file = backend.bundle_file(
            found.digest, haves=haves, workspace=found.workspace, is_shallow=shallow
        )
        path = output or Path(f"{workspace}-r{found.number}.bundle")
        _copy(file.path, path, force=force)
    if is_json:
        print_json(
            {
                "file": str(path),
                "workspace": workspace,
                "digest": str(file.digest),
                "commit": str(file.target),
                "base": None if file.base is None else str(file.base),
                "is_shallow": file.is_shallow,
                "size_bytes": file.size_bytes,
            }
        )
        return
    kind = "shallow" if file.is_shallow else "full"
    kind = kind if file.base is None else f"increment on {file.base.short}"
    size = shown_size(file.size_bytes)
    say(f"{good('wrote')} {path}: {workspace} r{found.number}, {kind}, {size}")
    say(dim(f"there: yoi-bundles bundle import {path} --workspace {workspace} --policy FILE"))


def _copy(source: Path, target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        raise InvalidInputError(f"{target} exists", hint="--force replaces it")
    temporary = target.with_name(f".{target.name}.part")
    try:
        temporary.write_bytes(source.read_bytes())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot write {target}: {error.strerror}") from None


@command.command("import")
@click.argument("file", type=FILE)
@click.option("-w", "--workspace", required=True, help="Workspace it is of.")
@click.option("--digest", help="Refuse it unless it carries this bundle.")
@policy_option
@data_option
@json_option
def import_(
    *,
    file: Path,
    workspace: str,
    digest: str | None,
    policy: Path | None,
    data: Path,
    is_json: bool,
) -> None:
    """Receive a bundle file into this host's Runtime, verified like one from the network."""
    expected = None if digest is None else Digest.parse(digest)
    with open_runtime(data, policy) as runtime:
        try:
            note_work(f"verifying {file} …")
            with file.open("rb") as stream:
                chunks = iter(lambda: stream.read(256 * 1024), b"")
                result = runtime.put_bundle(WorkspaceId.parse(workspace), expected, chunks)
        except OSError as error:
            raise InvalidInputError(f"{file} cannot be read: {error.strerror}") from None
    if is_json:
        print_json(result)
        return
    status = result.status
    number = "" if status.revision is None else f" r{status.revision.number}"
    verb = good("accepted") if result.is_new else "held already:"
    say(f"{verb} {workspace}{number}, {result.objects} objects verified")
    say(f"  digest  {status.digest}")
