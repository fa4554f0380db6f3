"""Publishing one directory again and again: only what changed is read, checked, hashed and sent.

Source: docs/format.md, "The bundle tree, schema 1"; docs/http-api.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from yoi_bundles.author.source import NOTHING, Snapshot, take_snapshot
from yoi_bundles.author.stat_cache import Published, StatCache
from yoi_bundles.content.check_all import verify_files
from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.content.parse import parse_file
from yoi_bundles.errors import BundleMissingError
from yoi_bundles.model.clock import utc_now
from yoi_bundles.model.ids import BlobId, CommitId, Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import CommitSigner, Provenance, Revision
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest, texts_of

if TYPE_CHECKING:
    from yoi_bundles.model.declarations import Manifest
    from yoi_bundles.wire.messages.revisions import WorkspaceView


class PublishTarget(Protocol):
    """Where revisions are made: a Backend's library, or a client of one."""

    def publish(self, workspace: WorkspaceId, request: PublishRequest) -> PublishReply:
        """See `Publishing.publish`."""
        ...

    def workspace(self, workspace: WorkspaceId) -> WorkspaceView:
        """See `Publishing.workspace`."""
        ...


class _Content(NamedTuple):
    """What is to be sent: all files, or what differs from a base."""

    workspace: WorkspaceId
    snapshot: Snapshot
    files: Mapping[RelativePath, bytes]
    base: Digest | None = None
    removed: tuple[RelativePath, ...] = ()


class DirectoryPublisher:
    """Publishes a workspace's directory; remembers what it was when it was published.

    Args:
        directory: Holds ``bundle.toml``.
        limits: Bounds of what is read.
        is_near: The target is part of this process, so nothing is sent by giving it files: it looks
            at them itself, and they are not looked at twice.
        cache: Keeps it from one process to the next; None forgets.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limits: Limits = DEFAULT_LIMITS,
        is_near: bool = False,
        cache: StatCache | None = None,
    ) -> None:
        self._directory = directory
        self._is_near = is_near
        self._limits = limits
        self._cache = cache
        self._published = None if cache is None else cache.load()

    @property
    def count(self) -> int:
        """Files of the directory when it was last published."""
        return 0 if self._published is None else len(self._published.snapshot.stamps)

    def publish(
        self,
        target: PublishTarget,
        *,
        provenance: Provenance,
        message: str = "",
        expected: CommitId | None = None,
        sign: CommitSigner | None = None,
    ) -> PublishReply:
        """Make the directory's files the newest revision; the same files are the same revision.

        Sends what differs from what this publisher made last, if the target still holds that, else
        everything. What looks like a secret is refused before anything is sent.

        Args:
            target: Where to publish.
            provenance: Where the files come from.
            message: What changed.
            expected: The newest revision that the caller knows; another one is a conflict.
            sign: Signs the commit.

        Raises:
            BundleError: The directory cannot be read (see `take_snapshot`), what it holds is
                refused, or as the target's ``publish``.
        """

        def send(content: _Content) -> PublishReply:
            request = PublishRequest(
                files=texts_of(content.files),
                base=content.base,
                removed=content.removed,
                provenance=provenance,
                message=message,
                expected=expected,
            )
            if sign is not None:
                from yoi_bundles.author.signed_request import sign_request

                request = sign_request(
                    request,
                    content.workspace,
                    _find_head(target, content.workspace),
                    digest=_digest_of(content.snapshot),
                    created_at=utc_now(),
                    sign=sign,
                )
            reply = target.publish(content.workspace, request)
            self._remember(content, reply.revision.digest)
            return reply

        difference = self._find_difference()
        if difference is not None:
            with suppress(BundleMissingError):  # the target does not hold the base any more
                return send(difference)
        return send(self._read_all())

    def _remember(self, content: _Content, digest: Digest) -> None:
        # The bytes are not kept: the next look reads what it needs.
        snapshot = content.snapshot._replace(read={})
        self._published = Published(content.workspace, digest, snapshot)
        if self._cache is not None:
            self._cache.save(self._published)

    def _find_difference(self) -> _Content | None:
        """What differs from what was published last; None if all files have to be looked at."""
        last = self._published
        if last is None:
            return None
        snapshot = take_snapshot(self._directory, last.snapshot, limits=self._limits)
        before = last.snapshot.stamps
        changed = {
            RelativePath(path): data
            for path, data in snapshot.read.items()
            if path not in before or before[path].blob != snapshot.stamps[path].blob
        }
        if MANIFEST_PATH in changed or not all(map(self._is_sound, changed.items())):
            return None
        gone = sorted(before.keys() - snapshot.stamps.keys())
        removed = tuple(RelativePath(path) for path in gone)
        return _Content(last.workspace, snapshot, changed, last.digest, removed)

    def _is_sound(self, item: tuple[RelativePath, bytes]) -> bool:
        """Whether a file alone has no fault and nothing that looks like a secret."""
        parsed = parse_file(item[0], BlobId("0" * 64), item[1], self._limits)
        return not parsed.findings and not parsed.matches

    def _read_all(self) -> _Content:
        snapshot = take_snapshot(self._directory, NOTHING, limits=self._limits)
        files = {RelativePath(path): snapshot.read[path] for path in sorted(snapshot.read)}
        workspace = self._find_workspace(files) if self._is_near else None
        if workspace is None:
            bundle = verify_files(files, self._limits)
            workspace = bundle.manifest.value.workspace.id
        return _Content(workspace, snapshot, files)

    def _find_workspace(self, files: Mapping[RelativePath, bytes]) -> WorkspaceId | None:
        """The workspace that a sound manifest names; what else is wrong the target will say."""
        parsed = parse_file(MANIFEST_PATH, BlobId("0" * 64), files[MANIFEST_PATH], self._limits)
        manifest: Manifest | None = None if parsed.declared is None else parsed.declared.value
        return None if manifest is None else manifest.workspace.id


def _find_head(target: PublishTarget, workspace: WorkspaceId) -> Revision | None:
    try:
        return target.workspace(workspace).head
    except BundleMissingError:
        return None


def _digest_of(snapshot: Snapshot) -> Digest:
    """The digest that the files of a snapshot make."""
    from yoi_bundles.store import compute_root

    stamps = snapshot.stamps.items()
    return compute_root({RelativePath(path): BlobId(stamp.blob) for path, stamp in stamps})
