"""What git says of a directory. It loads next to nothing, so that it can be asked before all else.

Source: docs/format.md, "Commits and trailers".
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GIT_TIMEOUT_SECONDS = 20


class GitAnswers(NamedTuple):
    """What is known of a directory that may be part of a checkout.

    Args:
        commit: The checkout's; None if nothing of the directory is tracked.
        remote: The address of ``origin``, as it is configured.
        changed: Paths below the directory that differ from the commit, ignored ones included; a
            directory that is ignored as a whole ends with ``/``. None if git does not say.
    """

    commit: str | None = None
    remote: str | None = None
    changed: tuple[str, ...] | None = None


class GitQuestion:
    """`ask_git` in a thread, from now on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._answers = GitAnswers()
        self._thread = threading.Thread(target=self._run, name="git", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._answers = ask_git(self._directory)

    def wait(self) -> GitAnswers:
        """What git said, as soon as it has."""
        self._thread.join()
        return self._answers


def ask_git(directory: Path) -> GitAnswers:
    """Ask git; what cannot be found out is left out."""
    commit = _run_git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    tracked = commit and _run_git(directory, "ls-tree", "--name-only", "HEAD", "--", ".")
    if not commit or not tracked:
        return GitAnswers()
    remote = _run_git(directory, "config", "--get", "remote.origin.url")
    changed = _list_changed(directory)
    return GitAnswers(commit.strip(), remote and remote.strip(), changed)


def _list_changed(directory: Path) -> tuple[str, ...] | None:
    status = _run_git(
        directory, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all",
        "--ignored=matching", "--", ".",
    )  # fmt: skip
    prefix = _run_git(directory, "rev-parse", "--show-prefix")
    if status is None or prefix is None:
        return None
    return tuple(_status_paths(status, prefix.strip("\n")))


def _status_paths(status: str, prefix: str) -> Iterator[str]:
    for entry in status.split("\0"):
        if entry:
            yield entry[3:].removeprefix(prefix)


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
