"""Bundles on a Runtime: taking them in, telling what is held, handing out verified trees."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

from yoi_bundles.content.cache import CheckedTreeCache
from yoi_bundles.content.check_tree import verify_content
from yoi_bundles.content.plain import find_plain
from yoi_bundles.errors import (
    BundleError,
    BundleMissingError,
    PolicyDeniedError,
    StoreCorruptError,
    is_refusal,
)
from yoi_bundles.model.clock import Clock
from yoi_bundles.model.globs import has_match
from yoi_bundles.model.host_policy import HostPolicy, TrustRules
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.revision import Advance, Revision
from yoi_bundles.runtime.held.catalog import Catalog
from yoi_bundles.runtime.held.checkouts import HeldTrees
from yoi_bundles.runtime.held.listeners import Listeners
from yoi_bundles.runtime.held.trust import verify_advance, verify_recent, verify_signed
from yoi_bundles.runtime.held.upkeep import Upkeep, damage_reason
from yoi_bundles.runtime.host.policy_file import PolicyHolder, receive_limits
from yoi_bundles.runtime.host.signatures import Verifiers
from yoi_bundles.store import (
    BundleStore,
    CheckoutArea,
    ReceiveResult,
    Upload,
    WorkspaceRepositories,
)
from yoi_bundles.wire.errands import Errands
from yoi_bundles.wire.messages.runtimes import (
    BundleList,
    BundleStatus,
    NackReason,
    PutResult,
    WorkspaceHaves,
)

log = logging.getLogger(__name__)

PAGE = 200
REST_SECONDS = 0.2
"""Between a receive and what need not be done at once: its report and its Workers go first."""


class HeldBundles:
    """The bundles of one Runtime.

    Args:
        data: The Runtime's directory.
        policy: The host policy in force.
        clock: Now, with a time zone.
    """

    def __init__(
        self,
        data: Path,
        catalog: Catalog,
        policy: PolicyHolder,
        clock: Clock,
    ) -> None:
        self._repositories = WorkspaceRepositories(data / "bundles")
        self._checkouts = CheckoutArea(data / "checkouts")
        self._catalog = catalog
        self._policy = policy
        self._clock = clock
        self._verifiers = Verifiers()
        self.upkeep = Upkeep(self._repositories, self._checkouts, catalog)
        self.checked = CheckedTreeCache()
        self.trees = HeldTrees(self._repositories, self._checkouts, self.upkeep)
        self._tidying: Errands | None = None
        self.listeners = Listeners()

    def close(self) -> None:
        """Close the repositories."""
        if self._tidying is not None:
            self._tidying.close()
        self._repositories.close()

    def tidy_behind(self) -> None:
        """Merge packs and refs in a thread from now on, a moment after what made them many."""
        self._repositories.defer_tidying()
        self._tidying = Errands("tidy", self._tidy, rest_seconds=REST_SECONDS)

    def _tidy(self, workspace: WorkspaceId) -> None:
        self._repositories.get(workspace).tidying.run()

    # --- receive ---

    def begin(self, workspace: WorkspaceId) -> Upload:
        """Step 1 and 3 of receive: authorise the workspace, open a quarantined upload.

        Raises:
            PolicyDeniedError: Host policy accepts no bundles of this workspace.
            StoreError: No upload can be kept here.
        """
        policy = self._policy.current.policy
        if not has_match(policy.bundles.workspaces, str(workspace)):
            raise PolicyDeniedError(
                f"host policy accepts no bundles of the workspace {workspace}",
                hint="the operator may list it in [bundles] workspaces",
                rule="bundles.workspaces",
            )
        return self._repositories.create(workspace).open_upload(receive_limits(policy))

    def accept(self, workspace: WorkspaceId, expected: Digest | None, upload: Upload) -> PutResult:
        """Steps 2 to 10 of receive: verify the upload and keep its bundle, durably.

        Args:
            expected: The digest it was announced as; None takes whatever its tip carries.

        Raises:
            BundleError: Why it was refused; nothing of it is kept but the reason.
        """
        try:
            result = self._accept(workspace, expected, upload)
        except BundleError as error:
            if expected is not None and is_refusal(error):
                reason = NackReason(code=error.code, message=error.message, hint=error.hint)
                self._catalog.note_rejected(workspace, expected, reason, self._clock())
            raise
        store, digest = self._repositories.get(workspace), result.revision.digest
        head = store.find_head()
        is_current = head is not None and head.digest == digest
        if result.is_new and self._tidying is not None:
            self._tidying.begin(workspace)
        self._catalog.note_received(result.revision, self._clock(), is_contact=is_current)
        if result.is_new:
            self.listeners.tell(result.revision)
        return PutResult(
            status=self._any_status(workspace, store, digest, head),
            is_new=result.is_new,
            received_bytes=result.received_bytes,
            objects=result.objects,
        )

    def _accept(
        self, workspace: WorkspaceId, expected: Digest | None, upload: Upload
    ) -> ReceiveResult:
        policy = self._policy.current.policy
        verifier = self._verifiers.find(policy.trust)
        self.upkeep.mend_if_lost(workspace)

        def check_advance(advance: Advance) -> None:
            verify_advance(advance, trust=policy.trust, verify_signature=verifier)

        result = self._repositories.get(workspace).accept(
            upload,
            expected=expected,
            check_advance=check_advance,
            check_content=verify_content(
                workspace=workspace,
                honour_allow_list=policy.bundles.honour_allow_list,
                limits=receive_limits(policy),
                cache=self.checked,
            ),
            find_plain=find_plain,
        )
        if not result.is_new:
            # What is held is no step, so nobody has looked at its signature under this policy.
            self._verify_signed(result.revision, policy.trust)
        return result

    def _verify_signed(self, revision: Revision, trust: TrustRules) -> None:
        if trust.signature_required:
            verify_signed(
                [self._repositories.get(revision.workspace).read_commit(revision)],
                trust=trust,
                verify_signature=self._verifiers.find(trust),
            )

    def confirm(self, workspace: WorkspaceId, digest: Digest) -> BundleStatus:
        """What a Backend asks of its newest bundle: if it is current here, that is a contact.

        Raises:
            BundleMissingError: Never seen here.
        """
        status = self.status(digest, workspace)
        if status.is_current:
            self._catalog.note_contact(workspace, self._clock())
        return status

    # --- what is held ---

    def workspaces(self) -> tuple[WorkspaceId, ...]:
        """Workspaces of which something is held."""
        return tuple(name for name, _, _ in self._stores(None))

    def _stores(
        self, only: WorkspaceId | None
    ) -> Iterator[tuple[WorkspaceId, BundleStore, Revision | None]]:
        """Every store that holds something, with its newest revision; None if that is damaged."""
        for name in self._repositories.list() if only is None else (only,):
            try:
                store = self._repositories.find(name)
                head = None if store is None else store.find_head()
            except StoreCorruptError:
                log.error("what is held of %s is damaged", name)
                damaged = self.upkeep.find_open(name)
                if damaged is not None:
                    yield name, damaged, None
                continue
            if store is not None and head is not None:
                yield name, store, head

    def haves(self, workspace: WorkspaceId) -> tuple[CommitId, ...]:
        """Commits an increment may build on, newest first; none if nothing is held.

        None either if something is damaged: a full bundle is needed then.
        """
        store = self._repositories.find(workspace)
        if store is None or self.upkeep.is_damaged(workspace):
            return ()
        try:
            return store.haves()
        except StoreCorruptError:
            self.upkeep.mend(workspace)
            return ()

    def revision(self, workspace: WorkspaceId, digest: Digest, commit: CommitId | None) -> Revision:
        """The held revision a bundle ref means.

        Raises:
            BundleMissingError: Not held here.
        """
        store = self._repositories.find(workspace)
        if store is None:
            raise _missing(workspace, digest)
        try:
            return store.get_revision(digest, commit)
        except BundleMissingError:
            raise _missing(workspace, digest) from None

    def usable_revision(
        self,
        workspace: WorkspaceId,
        digest: Digest,
        commit: CommitId | None,
        policy: HostPolicy,
        *,
        is_new: bool = True,
    ) -> Revision:
        """The held revision a bundle ref means, if it may be used under a policy now.

        Its commit is read from disk and its signature judged each time; verdicts are remembered.

        Args:
            is_new: Whether it is for a new Worker; only these must not be too far behind.

        Raises:
            BundleMissingError: Not held here.
            UntrustedSignatureError: The policy wants a signature, and there is no good one.
            RollbackRefusedError: It is further behind the newest one than the policy allows.
        """
        revision = self.revision(workspace, digest, commit)
        self._verify_signed(revision, policy.trust)
        if is_new and policy.bundles.max_behind is not None:
            newest = self._repositories.get(workspace).find_head()
            verify_recent(revision, newest or revision, policy.bundles)
        return revision

    def find_distrust(self, workspace: WorkspaceId) -> str | None:
        """Why the newest revision held of a workspace may not be used under the policy in force."""
        try:
            for _, _, newest in self._stores(workspace):
                if newest is not None:
                    self._verify_signed(newest, self._policy.current.policy.trust)
        except BundleError as error:
            return f"{error.code}: {error.message}"
        return None

    def status(self, digest: Digest, workspace: WorkspaceId | None = None) -> BundleStatus:
        """State of one bundle.

        Raises:
            BundleMissingError: Never seen here.
        """
        for name, store, head in self._stores(workspace):
            if (head is not None and head.digest == digest) or _has_ref(store, digest):
                return self._any_status(name, store, digest, head)
        for name, rejected in self._catalog.rejections(workspace):
            if rejected == digest:
                return self._rejected_status(name, digest)
        raise _missing(workspace, digest)

    def _any_status(
        self, name: WorkspaceId, store: BundleStore, digest: Digest, head: Revision | None
    ) -> BundleStatus:
        reason = damage_reason(store, digest)
        if reason is not None:
            return BundleStatus(workspace=name, digest=digest, state="damaged", reasons=(reason,))
        is_current = head is not None and head.digest == digest
        return self._held_status(name, store.get_revision(digest), is_current=is_current)

    def _held_status(
        self, workspace: WorkspaceId, revision: Revision, *, is_current: bool
    ) -> BundleStatus:
        notes = self._catalog.bundle_notes(workspace, revision.digest)
        return BundleStatus(
            workspace=workspace,
            digest=revision.digest,
            state="accepted" if notes.activated_at is None else "active",
            revision=revision,
            is_current=is_current,
            workers=notes.workers,
            received_at=notes.received_at,
            activated_at=notes.activated_at,
            reasons=() if notes.rejection is None else (notes.rejection,),
        )

    def _rejected_status(self, workspace: WorkspaceId, digest: Digest) -> BundleStatus:
        reason = self._catalog.bundle_notes(workspace, digest).rejection
        return BundleStatus(
            workspace=workspace,
            digest=digest,
            state="rejected",
            reasons=() if reason is None else (reason,),
        )

    def list(
        self, workspace: WorkspaceId | None = None, *, after: str | None = None, limit: int = PAGE
    ) -> BundleList:
        """A page of bundles (held ones by workspace and digest), with the haves of increments.

        Args:
            after: ``next`` of the page before.
        """
        stores = list(self._stores(workspace))
        # Compared part by part: "a/…" is not before "a-b/…" as text, but the workspace a is.
        start = tuple((after or "").split("/", 1))
        found = (
            self._any_status(name, store, digest, head)
            for name, store, head in stores
            for digest in store.digests()
            if (str(name), str(digest)) > start
        )
        page = list(itertools.islice(found, limit + 1))
        is_last = len(page) <= limit
        page = page[:limit]
        return BundleList(
            bundles=tuple(page) + (self._rejections(workspace) if is_last else ()),
            haves=tuple(
                WorkspaceHaves(
                    workspace=name,
                    current=None if head is None else head.digest,
                    haves=self.haves(name),
                )
                for name, _, head in stores
            ),
            next=None if is_last else f"{page[-1].workspace}/{page[-1].digest}",
        )

    def _rejections(self, workspace: WorkspaceId | None) -> tuple[BundleStatus, ...]:
        rejected = self._catalog.rejections(workspace)
        return tuple(
            self._rejected_status(name, digest)
            for name, digest in rejected
            if not any(digest in s.digests() for _, s, _ in self._stores(name))
        )


def _has_ref(store: BundleStore, digest: Digest) -> bool:
    """Whether a bundle was accepted, whatever has become of it."""
    try:
        return store.find_revision(digest) is not None
    except StoreCorruptError:
        return digest in store.digests()


def _missing(workspace: WorkspaceId | None, digest: Digest) -> BundleMissingError:
    where = "" if workspace is None else f" of the workspace {workspace}"
    return BundleMissingError(
        f"no bundle {digest.short}…{where} is held here",
        hint="sync it first: `yoi-bundles sync WORKSPACE`, or let the Runtime follow the Backend",
        digest=str(digest),
    )
