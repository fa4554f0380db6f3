"""``yoi-bundles publish``."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from yoi_bundles.author.git_answers import GitQuestion
from yoi_bundles.cli.options import (
    PATH,
    Remote,
    backend_options,
    data_option,
    json_option,
    publishing_port,
    values_from_options,
)
from yoi_bundles.version import VERSION

if TYPE_CHECKING:
    from yoi_bundles.model.revision import CommitSigner
    from yoi_bundles.wire.messages.publishing import PublishReply


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
    if dry_run:
        _print_dry_run(directory, is_json=is_json)
        return
    # This process ends in a moment, and looking for garbage takes a tenth of it.
    gc.disable()
    reply, count = _publish(directory, data, remote, _Words(message, author, expected, sign))
    _print_reply(reply, count, is_json=is_json)


class _Words(NamedTuple):
    """What was given on the command line."""

    message: str
    author: str | None
    expected: str | None
    sign: str | None


def _publish(
    directory: Path, data: Path, remote: Remote | None, words: _Words
) -> tuple[PublishReply, int]:
    """Publish; returns what came of it, and how many files there are."""
    # git answers while the rest is loaded.
    asked = GitQuestion(directory, asks_user=not words.author)
    from yoi_bundles.author.provenance import read_provenance
    from yoi_bundles.author.publisher import DirectoryPublisher
    from yoi_bundles.author.stat_cache import open_stat_cache
    from yoi_bundles.model.ids import CommitId

    git = asked.wait()
    with values_from_options():
        provenance = read_provenance(
            directory,
            published_by=words.author or git.user or _login_name(),
            built_with=f"yoi-bundles {VERSION}",
            git=git,
        )
        wanted = None if words.expected is None else CommitId.parse(words.expected)
    port = publishing_port(data, remote)
    cache = open_stat_cache(data, directory, place="" if remote is None else remote.url)
    publisher = DirectoryPublisher(directory, is_near=remote is None, cache=cache)
    try:
        with values_from_options():
            reply = publisher.publish(
                port,
                provenance=provenance,
                message=words.message,
                expected=wanted,
                sign=None if words.sign is None else _signer(words.sign),
            )
    finally:
        port.close()
    return reply, publisher.count


def _print_dry_run(directory: Path, *, is_json: bool) -> None:
    from yoi_bundles.author.source import read_workspace
    from yoi_bundles.cli.output import print_json, say
    from yoi_bundles.content.check import check_files, raise_if_refused
    from yoi_bundles.store import compute_digest

    files = read_workspace(directory)
    workspace = raise_if_refused(check_files(files)).manifest.value.workspace.id
    digest = str(compute_digest(files))
    if is_json:
        print_json({"workspace": str(workspace), "digest": digest, "dry_run": True})
    else:
        say(f"{workspace} would be published as digest {digest}")


def _signer(key: str) -> CommitSigner:
    from yoi_bundles.author.signing import AGENT, SshCommitSigner

    return SshCommitSigner(
        AGENT if key == AGENT else Path(key).expanduser(),
        is_interactive=sys.stdin.isatty() and sys.stderr.isatty(),
    )


def _print_reply(reply: PublishReply, files: int, *, is_json: bool) -> None:
    from yoi_bundles.cli.output import dim, good, print_findings, print_json, say

    if is_json:
        print_json(reply)
        return
    print_findings(reply.warnings)
    revision = reply.revision
    if reply.is_new:
        say(f"{good('published')} {revision.workspace} r{revision.number}, {files} files")
    else:
        say(f"{revision.workspace} is at r{revision.number} already: {dim('same tree, no commit')}")
    say(f"  digest  {revision.digest}")
    say(f"  commit  {revision.commit}{dim(' (signed)') if revision.is_signed else ''}")


def _login_name() -> str:
    import getpass

    return os.environ.get("USER") or getpass.getuser()
