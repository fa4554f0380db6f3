"""``yoi-bundles publish``."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yoi_bundles import __version__
from yoi_bundles.cli.options import (
    PATH,
    Remote,
    backend_options,
    data_option,
    json_option,
    publishing_port,
    values_from_options,
)
from yoi_bundles.cli.output import dim, good, print_finding, print_json, say
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.ids import CommitId, WorkspaceId

if TYPE_CHECKING:
    from yoi_bundles.cli.ports import PublishingPort
    from yoi_bundles.wire.messages import PublishReply, PublishRequest


@click.command("publish")
@click.argument("directory", type=PATH, default=".")
@click.option("-m", "--message", default="", help="What changed, for `log`.")
@click.option(
    "--author",
    envvar="YOI_BUNDLES_AUTHOR",
    show_envvar=True,
    help="Who publishes, 'Name <mail>'  [default: git's user, or the login name]",
)
@click.option(
    "--sign",
    metavar="KEY",
    help="Sign with the SSH key of this file, or with `agent`'s.",
)
@click.option("--expected", metavar="COMMIT", help="Fail if the newest revision is another one.")
@click.option("--dry-run", is_flag=True, help="Check and print the digest; change nothing.")
@data_option
@backend_options
@json_option
def command(
    *,
    directory: Path,
    message: str,
    author: str | None,
    sign: str | None,
    expected: str | None,
    dry_run: bool,
    data: Path,
    remote: Remote | None,
    is_json: bool,
) -> None:
    """Publish a workspace as a new revision.

    Checks DIRECTORY, makes a commit of its files in the workspace's repository, and prints its
    digest. The same files again are the same revision. A signature is made here, with KEY, also
    if the revision is published to a Backend.
    """
    from yoi_bundles.backend.provenance import read_provenance
    from yoi_bundles.backend.publishing import texts_of
    from yoi_bundles.backend.source import read_workspace
    from yoi_bundles.content import check_files, raise_findings
    from yoi_bundles.store import compute_digest
    from yoi_bundles.wire.messages import PublishRequest

    files = read_workspace(directory).files
    checked = check_files(files)
    if checked.bundle is None:
        raise_findings(checked.findings)
    workspace = checked.bundle.manifest.value.workspace.id
    if dry_run:
        digest = str(compute_digest(files))
        if is_json:
            print_json({"workspace": str(workspace), "digest": digest, "dry_run": True})
        else:
            say(f"{workspace} would be published as digest {digest}")
        return
    with values_from_options():
        request = PublishRequest(
            files=texts_of(files),
            provenance=read_provenance(
                directory,
                published_by=author or _author(directory),
                built_with=f"yoi-bundles {__version__}",
            ),
            message=message,
            expected=None if expected is None else CommitId.parse(expected),
        )
    port = publishing_port(data, remote)
    try:
        if sign is not None:
            request = _signed(request, workspace, port, sign)
        reply = port.publish(workspace, request)
    finally:
        port.close()
    _print_reply(reply, len(files), is_json=is_json)


def _signed(
    request: PublishRequest, workspace: WorkspaceId, port: PublishingPort, key: str
) -> PublishRequest:
    from yoi_bundles.backend.presigned import sign_request
    from yoi_bundles.backend.signing import AGENT, SshCommitSigner
    from yoi_bundles.model.clock import utc_now

    try:
        head = port.workspace(workspace).head
    except BundleMissingError:
        head = None
    signer = SshCommitSigner(
        AGENT if key == AGENT else Path(key).expanduser(),
        is_interactive=sys.stdin.isatty() and sys.stderr.isatty(),
    )
    return sign_request(request, workspace, head, created_at=utc_now(), sign=signer)


def _print_reply(reply: PublishReply, files: int, *, is_json: bool) -> None:
    if is_json:
        print_json(reply)
        return
    for warning in reply.warnings:
        print_finding(warning)
    revision = reply.revision
    if reply.is_new:
        say(f"{good('published')} {revision.workspace} r{revision.number}, {files} files")
    else:
        say(f"{revision.workspace} is at r{revision.number} already: {dim('same tree, no commit')}")
    say(f"  digest  {revision.digest}")
    say(f"  commit  {revision.commit}{dim(' (signed)') if revision.is_signed else ''}")


def _author(directory: Path) -> str:
    import subprocess

    words = []
    for key in ("user.name", "user.email"):
        try:
            found = subprocess.run(
                ["git", "-C", str(directory), "config", key],
                capture_output=True,
                text=True,
                timeout=5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            break
        words.append(found.stdout.strip())
    if len(words) == 2 and all(words):
        return f"{words[0]} <{words[1]}>"
    return os.environ.get("USER") or getpass.getuser()
