"""The Backend as a library: what the server, the command line and embedders call."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles.backend.files.answer_cache import AnswerCache
from yoi_bundles.backend.files.bounded_directory import KEEP_BYTES
from yoi_bundles.backend.files.bundle_files import BundleFile, BundleFiles
from yoi_bundles.backend.files.prebuilding import Prebuilding
from yoi_bundles.backend.files.push_sync import PushSync
from yoi_bundles.backend.fleet.fleet import Fleet
from yoi_bundles.backend.fleet.registry import Registry, RuntimeIdentity
from yoi_bundles.backend.fleet.targets import Connect, PushTokens
from yoi_bundles.backend.fleet.views import browser_runtimes, browser_workspace
from yoi_bundles.backend.fleet.visibility_file import read_visibility
from yoi_bundles.backend.publishing.publishing import PAGE, Files, make_request, open_publishing
from yoi_bundles.errors import (
    BundleMissingError,
    InvalidInputError,
    StoreError,
    WorkspaceNotVisibleError,
)
from yoi_bundles.ledger.credentials import Credentials
from yoi_bundles.model.clock import Clock, utc_now
from yoi_bundles.model.ids import MAIN_CHANNEL, ChannelName, CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import Provenance
from yoi_bundles.model.visibility import VisibilityPolicy
from yoi_bundles.store import create_side_directory
from yoi_bundles.wire.errands import Errands, share_heap
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
from yoi_bundles.wire.messages.revisions import ChannelView, DiffReply, RevisionList, WorkspaceView
from yoi_bundles.wire.messages.runtimes import BrowserOverview, SyncOutcome, SyncReply, SyncRequest

log = logging.getLogger(__name__)


class Backend:
    """Publishes workspaces, knows Runtimes, brings bundles to them.

    Use `Backend.open`; close it or use it as a context manager.
    """

    def __init__(
        self,
        data: Path,
        visibility: VisibilityPolicy,
        *,
        clock: Clock,
        limits: Limits,
        connect: Connect,
        bundle_cache_bytes: int,
    ) -> None:
        create_side_directory(data, "backend")
        self.publishing, self._repositories = open_publishing(data, clock, limits)
        """Workspaces and revisions, also what `publish`, `log` and `diff` do not offer."""
        self._registry = Registry(data / "registry.sqlite3")
        self._files = BundleFiles(data / "bundle-files", bundle_cache_bytes)
        tokens = PushTokens(data / "push-tokens")
        self._push = PushSync(self._registry, self._files, clock=clock, connect=connect)
        self._prebuilding = Prebuilding(
            self._files,
            find_store=self._repositories.find,
            find_held=self._registry.newest_held,
        )
        self._tidying = Errands("tidy", self._tidy)
        self._visibility_file: Path | None = None
        self.fleet = Fleet(
            self._registry, visibility, tokens, workspaces=self._repositories.list, clock=clock
        )
        """Runtimes: registered, labelled, what they hold, what they may see."""
        self.answers = AnswerCache(self.fleet, self._repositories, self._files)
        """For servers: what is at hand without a look at the disk."""
        self.limits = limits
        self.clock = clock

    @classmethod
    def open(
        cls,
        data: Path | str,
        *,
        visibility: VisibilityPolicy | Path | str | None = None,
        clock: Clock = utc_now,
        limits: Limits = DEFAULT_LIMITS,
        connect: Connect | None = None,
        runtime_ca_file: Path | None = None,
        bundle_cache_bytes: int | None = None,
    ) -> Backend:
        """Open the Backend kept in a directory, or make it.

        Args:
            data: Its directory; all it keeps lies below.
            visibility: The policy or its file; None shows no Runtime anything.
            clock: Now, with a time zone.
            limits: Bounds of what may be published.
            connect: How a Runtime is reached, for tests that misbehave.
            runtime_ca_file: Certificates to trust when Runtimes are called.
            bundle_cache_bytes: Most bytes of finished bundle files that are kept; None: 1 GiB.

        Raises:
            InvalidInputError: The visibility policy is wrong, or the directory is a Runtime's.
            StoreError: The directory cannot be used.
        """
        data = Path(data)
        file = Path(visibility) if isinstance(visibility, Path | str) else None
        if file is not None:
            visibility = read_visibility(file)
        elif not isinstance(visibility, VisibilityPolicy):
            visibility = VisibilityPolicy(schema=1)
        connect = connect or PushTokens(data / "push-tokens", runtime_ca_file).connect
        backend = cls(
            data,
            visibility,
            clock=clock,
            limits=limits,
            connect=connect,
            bundle_cache_bytes=bundle_cache_bytes or KEEP_BYTES,
        )
        backend._visibility_file = file
        return backend

    def end_builds(self, within_seconds: float) -> None:
        """Give up each build of a bundle file that is not done by then: the server stops."""
        self._files.end_builds(within_seconds)

    def close(self) -> None:
        """Close repositories and the registry; a build under way is given up."""
        self._files.end_builds()
        self._push.close()
        self._tidying.close()
        self._prebuilding.close()
        self._repositories.close()
        self._registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def work_behind(self) -> None:
        """Do behind each publish from now on what its publisher need not wait for.

        Bundle files that most Runtimes will ask for are built, for the newest revisions that
        there are now too, and packs and refs are merged. Threads of the process share one heap.
        """
        share_heap()
        self._repositories.defer_tidying()
        self.publishing.news.listen(self._tidying.begin)
        self.publishing.news.listen(self._prebuilding.begin)
        for workspace in self._repositories.list():
            self._prebuilding.begin(workspace)

    def _tidy(self, workspace: WorkspaceId) -> None:
        store = self._repositories.find(workspace)
        if store is not None:
            store.tidying.run()

    def reload_visibility(self) -> None:
        """Read the visibility policy's file again; a broken one leaves the old rules in force."""
        if self._visibility_file is None:
            return
        try:
            self.fleet.use_visibility(read_visibility(self._visibility_file))
        except InvalidInputError as error:
            log.error("the visibility policy was not reloaded: %s", error.message)

    def is_ready(self) -> bool:
        """Whether requests can be served now: the registry answers."""
        try:
            self._registry.credentials.list()
        except StoreError:
            return False
        return True

    @property
    def credentials(self) -> Credentials:
        """Who may sign in at this Backend."""
        return self._registry.credentials

    # --- revisions ---

    def publish(
        self,
        workspace: WorkspaceId | str,
        request: PublishRequest | Files,
        *,
        provenance: Provenance | None = None,
        message: str = "",
        expected: CommitId | str | None = None,
    ) -> PublishReply:
        """Make files the newest revision of a workspace; durable when it returns.

        Args:
            workspace: Whose they are; ``bundle.toml`` says the same.
            request: All files, path → text or bytes; or a whole request, which says the rest too.
            provenance: With files: where they come from; needed.
            message: With files: what changed.
            expected: With files: the newest revision the caller knows; another one is a conflict.

        Raises:
            InvalidInputError: A name, a path or a word is none, or something is said twice.
            BundleError: See `Publishing.publish`.
        """
        if not isinstance(request, PublishRequest):
            if provenance is None:
                raise InvalidInputError("where do the files come from?", hint="give `provenance`")
            request = make_request(
                request, provenance=provenance, message=message, expected=expected
            )
        elif provenance is not None or message or expected is not None:
            raise InvalidInputError("a whole request says everything: nothing can be added")
        return self.publishing.publish(WorkspaceId.coerce(workspace), request)

    def workspace(self, workspace: WorkspaceId | str) -> WorkspaceView:
        """A workspace and its newest revision.

        Raises:
            InvalidInputError: This is no workspace's name.
            WorkspaceNotVisibleError: There is none of this name.
        """
        return self.publishing.workspace(WorkspaceId.coerce(workspace))

    def log(
        self, workspace: WorkspaceId | str, *, limit: int = PAGE, before: int | None = None
    ) -> RevisionList:
        """Newest revisions first, at most ``limit``.

        Args:
            before: ``next`` of the page before, as a number: older revisions only.

        Raises:
            InvalidInputError: This is no workspace's name.
            WorkspaceNotVisibleError: There is none of this name.
        """
        return self.publishing.revisions(WorkspaceId.coerce(workspace), limit=limit, before=before)

    def diff(self, workspace: WorkspaceId | str, old: str, new: str = "main") -> DiffReply:
        """What differs between two revisions, file by file.

        Args:
            old: As for `Publishing.revision`: a number, ``main``, digits of a commit or digest.
            new: Likewise.

        Raises:
            InvalidInputError: This is no workspace's name.
            BundleMissingError: Nothing here is called that.
        """
        return self.publishing.diff(WorkspaceId.coerce(workspace), old, new)

    # --- for Runtimes ---

    def sync(self, workspace: WorkspaceId | str, request: SyncRequest | None = None) -> SyncReply:
        """Push the newest revision to Runtimes: those named, or all that may see the workspace.

        A Runtime that is named but may not see the workspace gets nothing and is listed as
        ``not_visible``. One that keeps failing is called only now and then, unless it is named.

        Raises:
            InvalidInputError: This is no workspace's name.
            BundleMissingError: No such workspace, no revision yet, or a Runtime not registered.
        """
        workspace = WorkspaceId.coerce(workspace)
        store = self.publishing.store(workspace)
        target = store.find_head()
        if target is None:
            raise BundleMissingError(f"{workspace} has no revision yet", hint="`publish` one")
        named = () if request is None else request.runtimes
        chosen = [self.fleet.known(one) for one in named] or self.fleet.all_known()
        seeing = [one for one in chosen if self.fleet.is_visible(one, workspace)]
        hidden = [one for one in chosen if one not in seeing]
        outcomes = (
            *self._push.sync(store, target, seeing, is_urgent=bool(named)),
            *(SyncOutcome(runtime_id=one.runtime_id, outcome="not_visible") for one in hidden),
        )
        return SyncReply(
            workspace=workspace,
            digest=target.digest,
            outcomes=tuple(sorted(outcomes, key=lambda one: one.runtime_id)),
        )

    def bundle_file(
        self,
        digest: Digest | str,
        *,
        haves: tuple[CommitId, ...] = (),
        workspace: WorkspaceId | str | None = None,
        runtime: RuntimeIdentity | None = None,
        is_shallow: bool = False,
    ) -> BundleFile:
        """The smallest bundle file for a holder of ``haves``.

        Args:
            workspace: Where to look; None looks in every workspace the Runtime may see.
            runtime: On whose behalf; None is an operator, who sees all.
            is_shallow: Without any ``haves``, leave out what was before the revision.

        Raises:
            InvalidInputError: This is no digest, or no workspace's name.
            BundleMissingError: Not here, or not visible: the two cannot be told apart.
        """
        digest = Digest.coerce(digest)
        chosen = None if workspace is None else (WorkspaceId.coerce(workspace),)
        for name in self._workspaces_of(runtime) if chosen is None else chosen:
            if runtime is not None and not self.fleet.is_visible(runtime, name):
                continue
            store = self._repositories.find(name)
            revision = None if store is None else store.find_revision(digest)
            if store is not None and revision is not None:
                self.answers.note_place(digest, name)
                return self._files.get(store, revision, haves, is_shallow=is_shallow)
        raise WorkspaceNotVisibleError("not held here, or not visible to you")

    def channel(
        self,
        workspace: WorkspaceId | str,
        channel: ChannelName | str = MAIN_CHANNEL,
        runtime: RuntimeIdentity | None = None,
    ) -> ChannelView:
        """Where a channel points.

        Raises:
            InvalidInputError: This is no workspace's or channel's name.
            BundleMissingError: No such workspace, or not visible.
            ChannelGoneError: The workspace has no such channel.
        """
        workspace, channel = WorkspaceId.coerce(workspace), ChannelName.coerce(channel)
        if runtime is not None and not self.fleet.is_visible(runtime, workspace, channel):
            raise WorkspaceNotVisibleError("not held here, or not visible to you")
        return self.publishing.channel(workspace, channel)

    def _workspaces_of(self, runtime: RuntimeIdentity | None) -> tuple[WorkspaceId, ...]:
        if runtime is None:
            return self._repositories.list()
        return self.fleet.visible_workspaces(runtime)

    def overview(self) -> BrowserOverview:
        """The redacted view for Browsers."""
        return BrowserOverview(
            workspaces=tuple(
                browser_workspace(self._repositories.get(name))
                for name in self._repositories.list()
            ),
            runtimes=browser_runtimes(self.fleet.list().runtimes),
        )

    def repository_path(self, workspace: WorkspaceId | str) -> Path:
        """Where the bare repository lies, for git itself; never sent anywhere.

        Raises:
            InvalidInputError: This is no workspace's name.
            WorkspaceNotVisibleError: There is none of this name.
        """
        return self._repositories.get(WorkspaceId.coerce(workspace)).path
