"""Answers to a fleet's two questions from what is at hand: what is new, and give it to me.

Nothing here builds, hashes, opens a repository or waits, so it may run in an event loop. What is
not at hand is None, and so is every refusal: then `Backend.bundle_file` and `Backend.channel` say
what is to be said. What is hidden takes the same steps as what is missing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from yoi_bundles.backend.files.bundle_files import BundleFile, BundleFiles
from yoi_bundles.backend.fleet.fleet import Fleet
from yoi_bundles.backend.fleet.registry import RuntimeIdentity
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import MAIN_CHANNEL, ChannelName, CommitId, Digest, WorkspaceId
from yoi_bundles.store import MAIN_REF, WorkspaceRepositories
from yoi_bundles.wire.messages.revisions import ChannelView

MAX_HAVES = 64
"""Commits that may be named in one question."""

_QUESTIONS = 1024
_PLACES = 65_536
_NOWHERE = WorkspaceId("-")
"""No workspace can be called so: where a digest is looked for that nobody has asked for yet."""


class BundleQuestion(NamedTuple):
    """A request for a bundle file."""

    digest: Digest
    haves: tuple[CommitId, ...]
    workspace: WorkspaceId | None
    is_shallow: bool


class AnswerCache:
    """What a Backend can answer at once.

    Args:
        fleet: Who may see what.
        repositories: Only those are used that are open.
        files: Only those that are built.
    """

    def __init__(
        self, fleet: Fleet, repositories: WorkspaceRepositories, files: BundleFiles
    ) -> None:
        self._fleet = fleet
        self._repositories = repositories
        self._files = files
        self._places: dict[str, WorkspaceId] = {}
        self._views: dict[WorkspaceId, ChannelView] = {}

    def note_place(self, digest: Digest, workspace: WorkspaceId) -> None:
        """Remember where a digest is; a bundle names its workspace, so it is nowhere else."""
        if len(self._places) >= _PLACES:
            self._places = {}
        self._places[str(digest)] = workspace

    def find_file(
        self, question: BundleQuestion, runtime: RuntimeIdentity | None
    ) -> BundleFile | None:
        """The bundle file that `Backend.bundle_file` would give.

        Args:
            runtime: On whose behalf; None is an operator, who sees all.

        Raises:
            StoreError: The store failed.
        """
        workspace = question.workspace
        if workspace is None:
            workspace = self._places.get(str(question.digest), _NOWHERE)
        if runtime is not None and not self._fleet.is_visible(runtime, workspace):
            return None
        store = self._repositories.find_open(workspace)
        revision = None if store is None else store.find_revision(question.digest)
        if revision is None:
            return None
        return self._files.find_ready(revision, question.haves, is_shallow=question.is_shallow)

    def look(self, workspace: WorkspaceId) -> tuple[int, int, int] | None:
        """What the head's file is: another value whenever any process has published."""
        store = self._repositories.find_open(workspace)
        if store is None:
            return None
        try:
            status = (store.path / MAIN_REF).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def find_channel(
        self, workspace: WorkspaceId, channel: ChannelName, runtime: RuntimeIdentity | None
    ) -> ChannelView | None:
        """What `Backend.channel` would give.

        Raises:
            StoreError: The store failed.
        """
        if runtime is not None and not self._fleet.is_visible(runtime, workspace, channel):
            return None
        store = self._repositories.find_open(workspace)
        head = None if store is None or channel != MAIN_CHANNEL else store.find_head()
        if head is None:
            return None
        view = self._views.get(workspace)
        if view is None or view.revision is not head:
            view = self._views[workspace] = ChannelView(
                workspace=workspace, channel=channel, sequence=head.number, revision=head
            )
        return view


@lru_cache(_QUESTIONS)
def parse_channel(workspace: str, channel: str) -> tuple[WorkspaceId, ChannelName]:
    """Parts of a request's path as values; the same ones of a fleet are parsed once.

    Raises:
        InvalidInputError: One is none.
    """
    return WorkspaceId.parse(workspace), ChannelName.parse(channel)


@lru_cache(_QUESTIONS)
def parse_question(digest: str, query: bytes) -> BundleQuestion:
    """A request's path and query as values; the same ones of a fleet are parsed once.

    Raises:
        InvalidInputError: Something in it is not as usual.
    """
    haves: list[CommitId] = []
    seen: dict[str, str] = {}
    for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if key == "have":
            haves.append(CommitId.parse(value))
        elif key not in {"workspace", "history"} or key in seen:
            raise InvalidInputError("another query than a Runtime's")
        seen[key] = value
    history, workspace = seen.get("history", "tip"), seen.get("workspace")
    if len(haves) > MAX_HAVES or history not in {"tip", "full"}:
        raise InvalidInputError("another query than a Runtime's")
    return BundleQuestion(
        Digest.parse(digest),
        tuple(haves),
        None if workspace is None else WorkspaceId.parse(workspace),
        history == "tip",
    )
