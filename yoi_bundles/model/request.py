"""What somebody sends to have a Worker made: small, and never a resolved giant."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import CommitId, Digest, Name, WorkerId, WorkspaceId
from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.revision import Revision
from yoi_bundles.model.texts import TEXT_PATTERN, Label, Text


class BundleRef(Model):
    """Which bundle: a digest may have several revisions, so a commit can be named too."""

    workspace: WorkspaceId
    digest: Digest
    commit: CommitId | None = None

    @classmethod
    def of(cls, revision: Revision) -> Self:
        """The ref that means this revision and no other with the same files."""
        return cls(workspace=revision.workspace, digest=revision.digest, commit=revision.commit)


class Intent(Model):
    """What the Worker is for; told to it, never interpreted by the host."""

    summary: Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=TEXT_PATTERN)]
    details: Text = ""
    labels: dict[Name, Label] = {}


class CreateWorkerRequest(Model):
    """Profile selector + bundle + intent + powers, under a worker id that makes it idempotent."""

    worker_id: WorkerId
    selector: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "default"
    """``default``, ``project:<name>`` or ``builtin:<name>``."""
    bundle: BundleRef | None = None
    """None asks for builtin mode, which host policy may forbid."""
    intent: Intent
    required_capabilities: Annotated[tuple[PowerRef, ...], Field(max_length=200)] = ()
    """Powers the Worker must get; each must be asked for by the profile and granted by the host."""
    optional_capabilities: Annotated[tuple[PowerRef, ...], Field(max_length=200)] | None = None
    """If set, the request covers only these and the required ones; None: all the profile asks."""
