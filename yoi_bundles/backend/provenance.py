"""Where a workspace's files come from: what git knows of their directory, nothing of this machine.

Source: docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from yoi_bundles.backend.source import is_left_out
from yoi_bundles.content.material import redact
from yoi_bundles.model.revision import Provenance

GIT_TIMEOUT_SECONDS = 20

_SCP_LIKE = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)/?([^\s?#]+)")
_SCHEMES = frozenset({"https", "http", "ssh", "git", "git+ssh", "ssh+git"})


def read_provenance(directory: Path, *, published_by: str, built_with: str) -> Provenance:
    """Where a workspace's files come from, as the trailers of a commit will say it.

    Runs ``git`` if the directory is part of a checkout. What cannot be found out is left out; a
    path of this machine, a user name or a token in a remote's address never appears.

    Args:
        directory: The workspace.
        published_by: Person or service.
        built_with: Name and version of the tool.
    """
    name = _name_of(directory)
    commit = _run_git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    tracked = commit and _run_git(directory, "ls-tree", "--name-only", "HEAD", "--", ".")
    if not commit or not tracked:
        return Provenance(
            source_kind="directory",
            source_uri=name,
            published_by=published_by,
            built_with=built_with,
        )
    remote = _run_git(directory, "config", "--get", "remote.origin.url")
    return Provenance(
        source_kind="git",
        source_uri=(remote and find_public_uri(remote.strip())) or name,
        source_revision=commit.strip(),
        source_dirty=_is_dirty(directory),
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


def _is_dirty(directory: Path) -> bool | None:
    """Whether any file of the bundle differs from the commit, ignored ones included."""
    status = _run_git(
        directory, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all",
        "--ignored=matching", "--", ".",
    )  # fmt: skip
    prefix = _run_git(directory, "rev-parse", "--show-prefix")
    if status is None or prefix is None:
        return None
    return any(_is_of_bundle(path) for path in _status_paths(status, prefix.strip("\n")))


def _status_paths(status: str, prefix: str) -> Iterator[str]:
    """Paths below the workspace; a directory that is ignored as a whole ends with ``/``."""
    for entry in status.split("\0"):
        if entry:
            yield entry[3:].removeprefix(prefix)


def _is_of_bundle(path: str) -> bool:
    names = path.rstrip("/").split("/")
    return not any(is_left_out(name, is_top=depth == 0) for depth, name in enumerate(names))


def _run_git(directory: Path, *arguments: str) -> str | None:
    """Output of one git command, or None if there is no answer."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
