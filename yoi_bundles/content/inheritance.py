"""Profiles along ``extends``: the chain, its faults, and the merged table.

Source: docs/format.md, "Inheritance of profiles".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yoi_bundles.content.assemble import Declarations
from yoi_bundles.content.findings import finding_at, near_hint
from yoi_bundles.model.bundle import Declared, KeyPath
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.finding import Finding

MAX_DEPTH = 8
"""Parents above a profile."""

NOT_INHERITED = frozenset({"description", "abstract", "extends"})
"""Keys that are a profile's own."""


def merge_tables(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """The child over the parent: tables deep, scalars and arrays replaced."""
    merged = dict(parent)
    for key, value in child.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge_tables(below, value)
        else:
            merged[key] = value
    return merged


def merge_profile(chain: list[Declared[Profile]]) -> Profile:
    """A profile after inheritance.

    Args:
        chain: The profile, its parent, and so on up to the one without a parent.
    """
    merged: dict[str, Any] = {}
    for declared in reversed(chain[1:]):
        inherited = {k: v for k, v in declared.table.items() if k not in NOT_INHERITED}
        merged = merge_tables(merged, inherited)
    return Profile.model_validate(merge_tables(merged, chain[0].table))


def find_chain(name: str, profiles: Mapping[str, Declared[Profile]]) -> list[Declared[Profile]]:
    """The profile and its parents, as far as they can be followed and are allowed to go."""
    chain: list[Declared[Profile]] = []
    seen: set[str] = set()
    at: str | None = name
    while at is not None and at in profiles and at not in seen and len(chain) <= MAX_DEPTH + 1:
        seen.add(at)
        chain.append(profiles[at])
        parent = profiles[at].value.extends
        at = None if parent is None else str(parent)
    return chain


def is_whole(chain: list[Declared[Profile]]) -> bool:
    """Whether a chain ends at a profile without a parent, and in bounds."""
    return bool(chain) and chain[-1].value.extends is None and len(chain) - 1 <= MAX_DEPTH


def find_setter(chain: list[Declared[Profile]], path: KeyPath) -> Declared[Profile] | None:
    """The nearest profile of a chain whose file sets a key."""
    for declared in chain:
        table: Any = declared.table
        for part in path:
            table = table.get(part) if isinstance(table, Mapping) else None
        if table is not None:
            return declared
    return None


def find_extends_faults(declarations: Declarations) -> Iterator[Finding]:
    """Unknown parents, circles and chains that are too long."""
    profiles = declarations.profiles
    for name, declared in profiles.items():
        parent = declared.value.extends
        if parent is None:
            continue
        if not declarations.has("profile", parent):
            hint = near_hint(str(parent), declarations.names("profile"), what="profiles")
            yield finding_at(declared.source, ("extends",), f"no profile `{parent}`", hint=hint)
            continue
        chain = find_chain(name, profiles)
        if str(chain[-1].value.extends) == name:
            message = "this profile extends itself" + (
                "" if len(chain) == 1 else f" through {len(chain) - 1} other(s)"
            )
            yield finding_at(declared.source, ("extends",), message)
        elif len(chain) - 1 > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} profiles above this one"
            yield finding_at(declared.source, ("extends",), message)
