"""Bodies about Workers: what a Runtime takes in and says of them.

Apart from the other messages: a Backend, which knows of no Worker, need not build their schemas.
"""

from __future__ import annotations

from pydantic import AwareDatetime

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import ContentHash, Name, WorkerId
from yoi_bundles.model.spec import (
    Decision,
    FieldOrigin,
    Mode,
    Receipt,
    Resolution,
    ResolvedWorkerSpec,
)


class WorkerView(Model):
    """A created Worker."""

    worker_id: WorkerId
    created_at: AwareDatetime
    mode: Mode
    profile: Name
    receipt: Receipt
    spec: ResolvedWorkerSpec
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...] = ()


class CreatedWorker(Model):
    """Answer to a creation: the Worker, and whether it was made just now."""

    worker: WorkerView
    is_new: bool


class WorkerList(Model):
    """A page of Workers, oldest first."""

    workers: tuple[WorkerView, ...]
    next: str | None = None


class ResolveReport(Model):
    """A dry run with its whole explanation."""

    spec: ResolvedWorkerSpec
    spec_digest: ContentHash
    decisions: tuple[Decision, ...]
    explanation: tuple[FieldOrigin, ...]
    warnings: tuple[str, ...]
    receipt: Receipt

    @classmethod
    def of(cls, resolution: Resolution) -> ResolveReport:
        """The report of a resolution."""
        return cls.model_construct(
            spec=resolution.spec,
            spec_digest=resolution.spec_digest,
            decisions=resolution.decisions,
            explanation=resolution.explanation,
            warnings=resolution.warnings,
            receipt=resolution.receipt,
        )
