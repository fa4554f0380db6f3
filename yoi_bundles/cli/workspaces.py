"""Which workspace a command means."""

from __future__ import annotations

import tomllib
from pathlib import Path

from yoi_bundles.cli.ports import PublishingPort
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import WorkspaceId


def find_workspace(text: str | None, port: PublishingPort) -> WorkspaceId:
    """The workspace somebody named; else that of the current directory; else the only one.

    Raises:
        InvalidInputError: It cannot be told.
    """
    if text is not None:
        return WorkspaceId.parse(text)
    try:
        table = tomllib.loads(Path("bundle.toml").read_text("utf-8"))
        return WorkspaceId.parse(table["workspace"]["id"])
    except (OSError, ValueError, KeyError, TypeError, InvalidInputError):
        names = [view.workspace for view in port.workspaces().workspaces]
    if len(names) != 1:
        raise InvalidInputError(
            "which workspace?", hint=f"one of: {', '.join(map(str, names)) or 'none yet'}"
        )
    return names[0]
