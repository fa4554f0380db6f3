"""Publishing from a program: a directory, and where its revisions are made.

Source: docs/embedding.md.
"""

from __future__ import annotations

from pathlib import Path

from yoi_bundles.author.git_answers import ask_git
from yoi_bundles.author.provenance import read_provenance
from yoi_bundles.author.publisher import DirectoryPublisher, PublishTarget
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import CommitSigner, Provenance
from yoi_bundles.version import VERSION
from yoi_bundles.wire.messages.publishing import PublishReply

NOBODY = "unknown"
"""Stands for who publishes where neither the caller nor git says it."""


class WorkspacePublisher:
    """Publishes directories, and remembers what each was when it was published.

    From the second time on only what changed is read, checked and sent. Not safe to share between
    threads.

    Args:
        target: Where revisions are made: a `Backend`, or a client of one.
        limits: Bounds of what is read.
    """

    def __init__(self, target: PublishTarget, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._target = target
        self._limits = limits
        self._directories: dict[Path, DirectoryPublisher] = {}

    def publish(
        self,
        directory: Path | str,
        *,
        message: str = "",
        provenance: Provenance | None = None,
        published_by: str | None = None,
        expected: CommitId | str | None = None,
        sign: CommitSigner | None = None,
    ) -> PublishReply:
        """Make a directory's files the newest revision; the same files are the same revision.

        Args:
            directory: Holds ``bundle.toml``.
            message: What changed.
            provenance: Where the files come from; None asks git, as the command line does.
            published_by: Who publishes, if ``provenance`` does not say it; None: git's user.
            expected: The newest revision that the caller knows; another one is a conflict.
            sign: Signs the commit.

        Raises:
            BundleError: See `DirectoryPublisher.publish`.
        """
        place = Path(directory).resolve()
        if provenance is None:
            git = ask_git(place)
            provenance = read_provenance(
                place,
                published_by=published_by or git.user or NOBODY,
                built_with=f"yoi-bundles {VERSION}",
                git=git,
            )
        one = self._directories.get(place)
        if one is None:
            one = self._directories[place] = DirectoryPublisher(place, limits=self._limits)
        return one.publish(
            self._target,
            provenance=provenance,
            message=message,
            expected=None if expected is None else CommitId.coerce(expected),
            sign=sign,
        )


def publish(
    directory: Path | str,
    *,
    to: PublishTarget,
    message: str = "",
    provenance: Provenance | None = None,
    published_by: str | None = None,
    expected: CommitId | str | None = None,
    sign: CommitSigner | None = None,
) -> PublishReply:
    """Publish a directory once; a program that does so again keeps a `WorkspacePublisher`.

    Args:
        directory: Holds ``bundle.toml``.
        to: Where revisions are made: a `Backend`, or a client of one.
        message: As for `WorkspacePublisher.publish`, and so the others.
        provenance: Likewise.
        published_by: Likewise.
        expected: Likewise.
        sign: Likewise.

    Raises:
        BundleError: See `WorkspacePublisher.publish`.
    """
    return WorkspacePublisher(to).publish(
        directory,
        message=message,
        provenance=provenance,
        published_by=published_by,
        expected=expected,
        sign=sign,
    )
