"""Revisions of workspaces: making them, naming them, comparing them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from yoi_bundles.backend.publishing.checking import Checked, PublishChecks
from yoi_bundles.backend.publishing.kept_checks import KeptChecks
from yoi_bundles.backend.publishing.news import ChannelNews
from yoi_bundles.content.check_all import verify_files
from yoi_bundles.errors import (
    BundleMissingError,
    ChannelGoneError,
    ForbiddenPathError,
    InvalidInputError,
    TooLargeError,
)
from yoi_bundles.model.clock import Clock, utc_now
from yoi_bundles.model.ids import (
    MAIN_CHANNEL,
    ChannelName,
    CommitId,
    Digest,
    RelativePath,
    WorkspaceId,
)
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import (
    CommitSigner,
    Provenance,
    Revision,
    RevisionDraft,
    verify_signed,
)
from yoi_bundles.model.tree import ContentCheck, TreeChange
from yoi_bundles.store import UNSET, WorkspaceRepositories
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest, texts_of

if TYPE_CHECKING:
    from yoi_bundles.store import BundleStore, Expected, PublishResult, Repository
    from yoi_bundles.wire.messages.revisions import (
        ChannelView,
        DiffReply,
        FileChange,
        RevisionList,
        WorkspaceList,
        WorkspaceView,
    )

PAGE = 50

Files: TypeAlias = Mapping[str, str | bytes]
"""All files of a workspace: path → text, or its bytes in UTF-8."""


class Publishing:
    """The Backend's workspaces.

    Args:
        repositories: Where they are kept.
        clock: Now, with a time zone.
        limits: Bounds of what may be published.
        checks: Judge what is published, under the same limits.
    """

    def __init__(
        self,
        repositories: WorkspaceRepositories,
        clock: Clock,
        limits: Limits,
        checks: PublishChecks,
    ) -> None:
        self._repositories = repositories
        self._clock = clock
        self._limits = limits
        self._checks = checks
        self.news = ChannelNews()

    def publish(self, workspace: WorkspaceId, request: PublishRequest) -> PublishReply:
        """Make the files the newest revision of a workspace; durable when it returns.

        The same tree again is the same revision. A workspace is made with its first revision.

        Raises:
            BundleError: The content is refused (with every finding), another publisher was
                faster (`RevisionConflictError`), or the store failed. Nothing was changed then.
        """
        files = {
            path: text.encode("utf-8", "surrogatepass") for path, text in request.files.items()
        }
        store = self._repositories.find(workspace)
        if store is None:
            self._verify_first(workspace, files, request)
        else:
            self._checks.prepare(store)
        checked: list[Checked] = []
        try:
            result = self._store(
                workspace,
                files,
                request,
                lambda tree: checked.append(self._checks.check(workspace, tree)),
            )
        except (ForbiddenPathError, TooLargeError):
            if request.base is None:
                # The store stops at the first; the publisher wants to know of all.
                verify_files(files, self._limits)
            raise
        if result.is_new:
            self.news.announce(workspace)
        self._checks.keep(self.store(workspace), checked[-1].kept)
        return PublishReply(
            revision=result.revision, is_new=result.is_new, warnings=checked[-1].findings
        )

    def _verify_first(
        self, workspace: WorkspaceId, files: Mapping[RelativePath, bytes], request: PublishRequest
    ) -> None:
        """What cannot become a commit must not leave an empty repository behind.

        Raises:
            BundleError: It cannot.
        """
        if request.base is not None or request.removed:
            raise BundleMissingError(
                f"the workspace {workspace} has no revision to begin with", hint="send all files"
            )
        digest = self._checks.check_first(workspace, files)
        from yoi_bundles.store import encode_draft

        draft = RevisionDraft(self._clock(), request.provenance, request.message)
        encode_draft(draft, digest, None, workspace)

    def _store(
        self,
        workspace: WorkspaceId,
        files: Mapping[RelativePath, bytes],
        request: PublishRequest,
        check_content: ContentCheck,
    ) -> PublishResult:
        expected: Expected = UNSET if request.expected is None else request.expected
        draft = RevisionDraft(self._clock(), request.provenance, request.message)
        sign: CommitSigner | None = None
        if request.signed_commit is not None:
            from yoi_bundles.backend.publishing.presigned import read_signed, signer_of

            signed = read_signed(request.signed_commit, workspace)
            parent = signed.revision.parent
            if expected not in {UNSET, parent}:
                raise InvalidInputError(
                    "the signed commit builds on another revision than is expected"
                )
            draft = draft._replace(created_at=signed.revision.created_at)
            expected, sign = parent, signer_of(signed)
        result = self._repositories.create(workspace).publish(
            files,
            draft,
            base=request.base,
            removed=request.removed,
            expected=expected,
            check_content=check_content,
            sign=sign,
        )
        if sign is not None:
            verify_signed(result.revision)
        return result

    def list(self) -> WorkspaceList:
        """All workspaces with their newest revision."""
        from yoi_bundles.wire.messages.revisions import WorkspaceList

        return WorkspaceList(
            workspaces=tuple(self.workspace(name) for name in self._repositories.list())
        )

    def workspace(self, workspace: WorkspaceId) -> WorkspaceView:
        """One workspace.

        Raises:
            WorkspaceNotVisibleError: There is none of this name.
        """
        from yoi_bundles.wire.messages.revisions import WorkspaceView

        return WorkspaceView(workspace=workspace, head=self.store(workspace).find_head())

    def store(self, workspace: WorkspaceId) -> Repository:
        """The repository of a workspace.

        Raises:
            WorkspaceNotVisibleError: There is none of this name.
        """
        return self._repositories.get(workspace)

    def revisions(
        self, workspace: WorkspaceId, *, limit: int = PAGE, before: int | None = None
    ) -> RevisionList:
        """Newest revisions first, at most ``limit``.

        Args:
            before: ``next`` of the page before: revisions with lower numbers only.

        Raises:
            WorkspaceNotVisibleError: There is no such workspace.
        """
        from yoi_bundles.wire.messages.revisions import RevisionList

        older = (
            one
            for one in self.store(workspace).revisions()
            if before is None or one.number < before
        )
        found = tuple(itertools.islice(older, max(1, limit) + 1))
        page = found[: max(1, limit)]
        return RevisionList(
            revisions=page, next=str(page[-1].number) if len(found) > len(page) else None
        )

    def revision(self, workspace: WorkspaceId, spelled: str) -> Revision:
        """The revision somebody means.

        Args:
            spelled: ``main``, a number (``7`` or ``r7``), or at least 7 digits of a commit id or
                bundle digest.

        Raises:
            BundleMissingError: Nothing here is called that.
        """
        from yoi_bundles.store import get_spelled_revision

        return get_spelled_revision(self.store(workspace), spelled)

    def diff(self, workspace: WorkspaceId, old: str, new: str) -> DiffReply:
        """What differs between two revisions.

        Raises:
            BundleMissingError: See `revision`.
        """
        from yoi_bundles.store import get_spelled_revision
        from yoi_bundles.wire.messages.revisions import DiffReply

        store = self.store(workspace)
        before = get_spelled_revision(store, old).digest
        after = get_spelled_revision(store, new).digest
        changes = store.changes(before, after)
        return DiffReply(
            old=before,
            new=after,
            changes=tuple(_file_change(store, before, after, change) for change in changes),
        )

    def channel(self, workspace: WorkspaceId, channel: ChannelName) -> ChannelView:
        """Where a channel points.

        Raises:
            ChannelGoneError: The workspace has no such channel (any more).
            BundleMissingError: There is no such workspace.
        """
        from yoi_bundles.wire.messages.revisions import ChannelView

        head = self.store(workspace).find_head()
        if channel != MAIN_CHANNEL or head is None:
            raise ChannelGoneError(
                f"{workspace} has no channel {channel}", hint=f"it has: {MAIN_CHANNEL}"
            )
        return ChannelView(
            workspace=workspace, channel=channel, sequence=head.number, revision=head
        )


def make_request(
    files: Files,
    *,
    provenance: Provenance,
    message: str = "",
    expected: CommitId | str | None = None,
) -> PublishRequest:
    """A request that publishes all these files.

    Raises:
        InvalidInputError: A path, the message or the commit is none.
    """
    texts = {
        RelativePath.coerce(path): data.encode("utf-8", "surrogatepass")
        if isinstance(data, str)
        else data
        for path, data in files.items()
    }
    return PublishRequest(
        files=texts_of(texts),
        provenance=provenance,
        message=message,
        expected=None if expected is None else CommitId.coerce(expected),
    )


def open_publishing(
    data: Path,
    clock: Clock = utc_now,
    limits: Limits = DEFAULT_LIMITS,
    *,
    is_brief: bool = False,
) -> tuple[Publishing, WorkspaceRepositories]:
    """The workspaces of a Backend's directory, and the repositories to close afterwards.

    Args:
        data: The Backend's directory.
        clock: Now, with a time zone.
        limits: Bounds of what may be published.
        is_brief: As for `PublishChecks`.
    """
    repositories = WorkspaceRepositories(data / "workspaces", limits)
    checks = PublishChecks(limits, KeptChecks(data / "checks", limits), is_brief=is_brief)
    return Publishing(repositories, clock, limits, checks), repositories


def _file_change(store: BundleStore, old: Digest, new: Digest, change: TreeChange) -> FileChange:
    import difflib

    from yoi_bundles.wire.messages.revisions import FileChange

    before = _lines(store, old, change.path) if change.old is not None else []
    after = _lines(store, new, change.path) if change.new is not None else []
    patch = difflib.unified_diff(
        before,
        after,
        "/dev/null" if change.old is None else f"a/{change.path}",
        "/dev/null" if change.new is None else f"b/{change.path}",
    )
    return FileChange(path=change.path, kind=change.kind, patch="".join(patch))


def _lines(store: BundleStore, digest: Digest, path: RelativePath) -> list[str]:
    text = store.tree(digest).read(path).decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n\\ No newline at end of file\n"
    return lines
