"""Hits of the text scan against ``policies/allow.toml``.

Source: docs/adr/0006-allow-list-in-the-tree.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yoi_bundles.content.findings import warning_at
from yoi_bundles.content.material import Match
from yoi_bundles.model.bundle import Declared
from yoi_bundles.model.declarations import AllowList
from yoi_bundles.model.finding import Finding


def find_material(
    matches: Iterable[Match], allow_list: Declared[AllowList] | None
) -> Iterator[Finding]:
    """Hits that the list does not excuse, and entries of the list that excuse nothing.

    Args:
        matches: All hits of the text scan.
        allow_list: None if there is no list, or if it is not to be honoured.
    """
    allowed = {} if allow_list is None else _by_fingerprint(allow_list.value)
    used: set[str] = set()
    for match in matches:
        if match.fingerprint in allowed:
            used.add(match.fingerprint)
        else:
            yield match.finding()
    if allow_list is None:
        return
    for fingerprint, index in allowed.items():
        if fingerprint not in used:
            message = "no finding of the text scan has this fingerprint (any more)"
            yield warning_at(
                allow_list.source, ("allow", index, "fingerprint"), message, hint="remove the entry"
            )


def _by_fingerprint(allow_list: AllowList) -> dict[str, int]:
    return {entry.fingerprint: index for index, entry in enumerate(allow_list.allow)}
