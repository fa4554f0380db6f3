"""Mends the repositories of a Backend and keeps them small.

A Backend is where revisions are made: nobody else's word stands above its refs, and what it lacks
is taken from an operator's copy, object by object, by id.

Source: docs/adr/0014 and 0015; docs/operations.md, "Damage".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.store import (
    CollectReport,
    MendReport,
    ObjectSource,
    Witness,
    WorkspaceRepositories,
    open_source,
)

_ORIGIN = Witness(was_held=lambda digest: True, is_origin=True)


def mend(
    repositories: WorkspaceRepositories, workspace: WorkspaceId, source: Path | None
) -> MendReport:
    """Set damaged files aside, make lost refs anew, take what is lacking from a copy.

    Args:
        repositories: The Backend's.
        workspace: Whose.
        source: A clone or a full bundle file, or None.

    Raises:
        InvalidInputError: The source is neither.
        StoreError: The repository could not be mended.
    """
    repositories.mend_layout(workspace)
    with _open(source) as objects:
        return repositories.get(workspace).mend(_ORIGIN, objects)


@contextmanager
def _open(source: Path | None) -> Iterator[ObjectSource | None]:
    if source is None:
        yield None
        return
    with open_source(source) as objects:
        yield objects


def collect(repositories: WorkspaceRepositories, workspace: WorkspaceId) -> CollectReport:
    """Remove what no ref reaches, and put the rest into one pack; every revision stays.

    Raises:
        StoreCorruptError: Something is damaged: mend it first; nothing was removed.
        StoreError: It could not be written.
    """
    return repositories.get(workspace).collect()
