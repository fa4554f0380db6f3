"""Bodies of the HTTP APIs, and what the libraries behind them return.

Nothing here has a field for a secret value, a host path, or (for the Browser views) a credential
or an endpoint.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, StringConstraints

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import (
    CommitId,
    ContentHash,
    Digest,
    Name,
    RuntimeId,
    WorkspaceId,
)
from yoi_bundles.model.revision import Revision
from yoi_bundles.model.texts import Label, Line, PushToken

BUNDLE_MEDIA_TYPE = "application/x-git-bundle"

Endpoint: TypeAlias = Annotated[
    str,
    StringConstraints(
        max_length=300, pattern=r"^https?://(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?/?$"
    ),
]
"""Base URL of a server: scheme, host and port, nothing else."""

BundleState: TypeAlias = Literal[
    "received", "verified", "accepted", "active", "rejected", "damaged"
]
"""``received`` and ``verified`` are seen only while an upload is under way; ``damaged`` is what was
accepted and has gone bad on the Runtime's disk: it waits to be sent again."""


class NackReason(Model):
    """Why a Runtime refused a bundle."""

    code: str
    message: str
    hint: str | None = None


# --- what a Runtime says -------------------------------------------------------------


class BundleStatus(Model):
    """One bundle on one Runtime."""

    workspace: WorkspaceId
    digest: Digest
    state: BundleState
    revision: Revision | None = None
    is_current: bool = False
    """Whether it is the newest accepted one of its workspace."""
    workers: int = 0
    received_at: AwareDatetime | None = None
    activated_at: AwareDatetime | None = None
    reasons: tuple[NackReason, ...] = ()


class PutResult(Model):
    """Answer to a PUT of a bundle file."""

    status: BundleStatus
    is_new: bool
    received_bytes: int
    objects: int


class WorkspaceHaves(Model):
    """What a Runtime holds of a workspace: the commits an increment may build on."""

    workspace: WorkspaceId
    current: Digest | None
    haves: tuple[CommitId, ...]


class BundleList(Model):
    """A page of held bundles; ``next`` is the opaque position of the following one."""

    bundles: tuple[BundleStatus, ...]
    haves: tuple[WorkspaceHaves, ...]
    next: str | None = None


class FollowStatus(Model):
    """A workspace this Runtime follows on a Backend."""

    workspace: WorkspaceId
    last_contact: AwareDatetime | None
    last_error: str | None
    staleness: str | None = None
    """A warning when the last confirmed contact is long ago."""
    distrust: str | None = None
    """Why the newest held revision may not be used under the policy in force, if it may not."""


class RuntimeInfo(Model):
    """Identity of a Runtime and what it can do; no path, no secret."""

    runtime_id: RuntimeId
    version: str
    bundle_schemas: tuple[int, ...]
    features: tuple[Name, ...]
    policy_digest: ContentHash
    trust_digest: ContentHash | None = None
    """Of the files of allowed signers and revoked keys, which the policy names; None without."""
    policy_error: str | None
    """Why the newest policy file is not in force, if it is not."""
    builtin_digest: Digest
    builtin_fallback: bool
    bundle_required_for: tuple[str, ...]
    capability_summary: tuple[str, ...]
    """Kinds and names the policy grants to anybody, for example ``secret:tracker-token``."""
    following: tuple[FollowStatus, ...]


# --- what a Backend takes and says ---------------------------------------------------


class RegisterRuntime(Model):
    """A Runtime the Backend is to know."""

    runtime_id: RuntimeId
    endpoint: Endpoint | None = None
    """Where to push to; a Runtime without one pulls."""
    labels: dict[Name, Label] = {}
    push_token: PushToken | None = Field(default=None, repr=False)
    """The token this Backend signs in with at the Runtime's own API; never given out again."""


class NewPushToken(Model):
    """Another token for a Runtime's own API."""

    push_token: PushToken = Field(repr=False)


class RegisteredRuntime(Model):
    """The registration, and the credential the Runtime signs in with: shown this once."""

    runtime_id: RuntimeId
    token: str


class BundleOnRuntime(Model):
    """What the Backend knows of one bundle on one Runtime."""

    workspace: WorkspaceId
    digest: Digest
    state: BundleState
    last_checked: AwareDatetime | None = None
    last_fetched: AwareDatetime | None = None
    last_activated: AwareDatetime | None = None
    last_error: NackReason | None = None
    policy_digest: ContentHash | None = None
    trust_digest: ContentHash | None = None


class RuntimeView(Model):
    """A registered Runtime, for operators."""

    runtime_id: RuntimeId
    endpoint: Endpoint | None
    labels: dict[Name, Label]
    is_available: bool | None
    """Whether the last contact succeeded; None before the first."""
    last_seen: AwareDatetime | None
    last_error: str | None
    reported: RuntimeInfo | None
    workspaces: tuple[WorkspaceId, ...]
    """Visible to it by the visibility policy."""
    bundles: tuple[BundleOnRuntime, ...]


class RuntimeList(Model):
    """A page of registered Runtimes, by id; ``next`` is the ``after`` of the following one."""

    runtimes: tuple[RuntimeView, ...]
    next: RuntimeId | None = None


class StatusReport(Model):
    """What a Runtime tells the Backend about itself (ACK, NACK and states)."""

    info: RuntimeInfo
    bundles: Annotated[tuple[BundleStatus, ...], Field(max_length=1_000)] = ()


class SyncRequest(Model):
    """Which Runtimes to bring up to date; none named means all that may see the workspace."""

    runtimes: tuple[RuntimeId, ...] = ()


class SyncOutcome(Model):
    """How the sync of one Runtime ended."""

    runtime_id: RuntimeId
    outcome: Literal["synced", "current", "not_visible", "rejected", "failed", "pulls"]
    digest: Digest | None = None
    base: CommitId | None = None
    """The commit the increment built on; None for a full bundle."""
    sent_bytes: int = 0
    reason: NackReason | None = None


class SyncReply(Model):
    """How a sync ended, a line each Runtime."""

    workspace: WorkspaceId
    digest: Digest
    outcomes: tuple[SyncOutcome, ...]


# --- what a Browser sees -------------------------------------------------------------


class BrowserRevision(Model):
    """A revision without its source's address."""

    number: int
    digest: Digest
    created_at: AwareDatetime
    published_by: Line
    source_kind: str
    subject: str


class BrowserWorkspace(Model):
    """A workspace as a Browser sees it."""

    workspace: WorkspaceId
    name: Line
    description: str
    head: BrowserRevision | None
    profiles: tuple[Name, ...]
    secret_names: tuple[Name, ...]
    """What is asked for, never where it comes from."""


class BrowserRuntime(Model):
    """A Runtime as a Browser sees it: no endpoint, no credential, no path."""

    runtime_id: RuntimeId
    labels: dict[Name, Label]
    is_available: bool | None
    last_seen: AwareDatetime | None
    current: dict[WorkspaceId, Digest]
    rejected: int


class BrowserOverview(Model):
    """Everything a Browser may see."""

    workspaces: tuple[BrowserWorkspace, ...]
    runtimes: tuple[BrowserRuntime, ...]
