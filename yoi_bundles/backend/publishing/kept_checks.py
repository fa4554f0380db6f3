"""What the checks said of each workspace's tree, kept from one process to the next.

Source: docs/adr/0021-what-a-stat-cache-may-vouch-for.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from yoi_bundles.content.kept import KeptCheck
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.kept.file import read_kept, write_kept
from yoi_bundles.kept.rules_id import find_rules_id
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Digest, RelativePath, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.store import Measure, Oid

_MAGIC = b"yoi-bundles checked tree 2\n"
_FIELDS = Finding.__slots__
_row_of = attrgetter(*_FIELDS)


class KeptTree(NamedTuple):
    """A tree that was found sound, and how large its directories are."""

    check: KeptCheck
    measures: Mapping[Oid, Measure]


class KeptChecks:
    """The last kept tree of each workspace.

    Args:
        root: The directory of their files.
        limits: Bounds of the checks.
    """

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._rules = find_rules_id(limits)

    def load(self, workspace: WorkspaceId) -> KeptTree | None:
        """What was kept; None if that is nothing, or was checked under other rules."""
        payload = read_kept(self._root / str(workspace), _MAGIC)
        if payload is None or self._rules is None:
            return None
        try:
            table = json.loads(payload)
            return _decode(table) if table["rules"] == self._rules else None
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInputError):
            return None

    def save(self, workspace: WorkspaceId, tree: KeptTree) -> None:
        """Keep a tree; a failure costs the next process time and is not told."""
        if self._rules is None:
            return
        check = tree.check
        table = {
            "rules": self._rules,
            "digest": str(check.digest),
            "findings": [_row_of(finding) for finding in check.findings],
            "marked": sorted(map(str, check.marked)),
            "measures": {oid.hex(): measure for oid, measure in tree.measures.items()},
        }
        write_kept(self._root / str(workspace), _MAGIC, json.dumps(table).encode())


def _decode(table: dict[str, Any]) -> KeptTree:
    """The opposite of `KeptChecks.save`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, InvalidInputError: It does not fit.
    """
    check = KeptCheck(
        Digest.parse(table["digest"]),
        tuple(Finding(**dict(zip(_FIELDS, row, strict=True))) for row in table["findings"]),
        frozenset(map(RelativePath, table["marked"])),
    )
    measures = {
        bytes.fromhex(oid): Measure(*map(int, row)) for oid, row in table["measures"].items()
    }
    return KeptTree(check, measures)
