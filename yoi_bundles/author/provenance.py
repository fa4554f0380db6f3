"""Where a workspace's files come from: what git knows of their directory, nothing of this machine.

Source: docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from yoi_bundles.author.git_answers import GitAnswers, ask_git
from yoi_bundles.author.source import is_left_out
from yoi_bundles.content.material import redact
from yoi_bundles.model.revision import Provenance

_SCP_LIKE = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)/?([^\s?#]+)")
_SCHEMES = frozenset({"https", "http", "ssh", "git", "git+ssh", "ssh+git"})


def read_provenance(
    directory: Path, *, published_by: str, built_with: str, git: GitAnswers | None = None
) -> Provenance:
    """Where a workspace's files come from, as the trailers of a commit will say it.

    Runs ``git`` if the directory is part of a checkout. What cannot be found out is left out; a
    path of this machine, a user name or a token in a remote's address never appears.

    Args:
        directory: The workspace.
        published_by: Person or service.
        built_with: Name and version of the tool.
        git: What git says of the directory; asked now if not given.
    """
    name, said = _name_of(directory), ask_git(directory) if git is None else git
    if said.commit is None:
        return Provenance(
            source_kind="directory",
            source_uri=name,
            published_by=published_by,
            built_with=built_with,
        )
    return Provenance(
        source_kind="git",
        source_uri=(said.remote and find_public_uri(said.remote)) or name,
        source_revision=said.commit,
        source_dirty=None if said.changed is None else any(map(_is_of_bundle, said.changed)),
        published_by=published_by,
        built_with=built_with,
    )


def find_public_uri(remote: str) -> str | None:
    """A remote's address without userinfo, query and fragment; None if it names a local path.

    Args:
        remote: As ``remote.origin.url`` holds it, also in the form ``user@host:path``.
    """
    uri = _find_url(remote) if "://" in remote else _find_scp_uri(remote)
    if uri is None or len(uri) > 400 or not uri.isascii() or not uri.isprintable():
        return None
    return uri if " " not in uri and redact(uri) == uri else None


def _find_url(remote: str) -> str | None:
    try:
        parts = urlsplit(remote)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    return f"{parts.scheme}://{place}{parts.path}"


def _find_scp_uri(remote: str) -> str | None:
    found = _SCP_LIKE.fullmatch(remote)
    return f"ssh://{found.group(1)}/{found.group(2)}" if found else None


def _name_of(directory: Path) -> str:
    name = "".join(c if c.isprintable() else "?" for c in directory.resolve().name)
    return redact(name)[:200] or "workspace"


def _is_of_bundle(path: str) -> bool:
    names = path.rstrip("/").split("/")
    return not any(is_left_out(name, is_top=depth == 0) for depth, name in enumerate(names))
