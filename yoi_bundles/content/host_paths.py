"""Paths, sockets and session state of one machine in places where only a name may stand.

Prose may talk about paths; a value that a machine reads may not hold one. There is no allow list
for these.

Source: docs/format.md, "Forbidden material".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from yoi_bundles.content.findings import MATERIAL, finding_at, shown_path
from yoi_bundles.content.tool_schema import is_data
from yoi_bundles.model.bundle import KeyPath, Source
from yoi_bundles.model.finding import Finding

_PROSE = frozenset({"description", "name", "title", "reason"})
_SCHEMA = "input_schema"
# A path starts the value or follows what separates an option from its argument.
_EDGE = r"(?:^|(?<=[\s=:,;\"'@(\[]))"
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "a socket",
        re.compile(rf"\.sock(?:et)?$|\.sock\b|^unix:|{_EDGE}npipe:|\\\\\.\\pipe", re.IGNORECASE),
    ),
    (
        "session state of one machine",
        re.compile(
            r"XDG_(?:RUNTIME_DIR|CACHE_HOME|CONFIG_HOME|STATE_HOME|DATA_HOME)|SSH_AUTH_SOCK"
            r"|DBUS_SESSION_BUS_ADDRESS|(?:^|/)\.(?:ssh|aws|gnupg|kube|docker|cache|config)/"
        ),
    ),
    (
        "a home directory",
        re.compile(
            rf"{_EDGE}~[A-Za-z0-9_-]*(?:/|\\|$)|\$\{{?HOME\b|%(?:USERPROFILE|APPDATA|HOME)%"
        ),
    ),
    ("a file URL", re.compile(r"file:/", re.IGNORECASE)),
    ("an absolute path", re.compile(rf"{_EDGE}/(?:[A-Za-z0-9._-]|$)")),
    ("a path with a drive letter", re.compile(rf"{_EDGE}[A-Za-z]:[\\/]")),
    ("a network share", re.compile(rf"{_EDGE}\\\\[A-Za-z0-9]")),
)
# Every rule above needs one of these; nearly all values hold none.
_SUSPECT = re.compile(r"[/\\~$%]|sock|unix:|npipe:|XDG_|SSH_|DBUS_", re.IGNORECASE)
_GLOBS_MAY_NAME_SOCKETS = frozenset({"scope"})


def find_host_paths(table: Mapping[str, Any], source: Source) -> dict[KeyPath, Finding]:
    """Findings by key path for every value that names a place on a machine."""
    found: dict[KeyPath, Finding] = {}
    for path, value in _machine_values(table, ()):
        what = _find_path(value, path)
        if what is not None:
            found[path] = finding_at(
                source,
                path,
                f"{shown_path(path)} holds {what}",
                code=MATERIAL,
                hint="name a mount, secret or program; only the host knows where it is",
            )
    return found


def _find_path(value: str, path: KeyPath) -> str | None:
    if _SUSPECT.search(value) is None:
        return None
    for what, pattern in _RULES:
        if what == "a socket" and path[0] in _GLOBS_MAY_NAME_SOCKETS:
            continue
        if pattern.search(value):
            return what
    return None


def _machine_values(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every string that a machine reads, with its key path."""
    if isinstance(value, str):
        yield path, value
        return
    if not isinstance(value, dict | list):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        inside = (*path, key)
        if key in _PROSE and _SCHEMA not in path and isinstance(inner, str):
            continue
        if isinstance(inner, str) and _SCHEMA in path and not is_data(inside):
            continue
        yield from _machine_values(inner, inside)
