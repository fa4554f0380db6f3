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
_EMPTY_TREES = frozenset(
    {
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
    }
)
"""Of a commit that tracks nothing: in a repository of SHA-1 and of SHA-256."""


class GitAnswers(NamedTuple):
    """What is known of a directory that may be part of a checkout.

    Args:
        commit: The checkout's; None if nothing of the directory is tracked.
        remote: The address of ``origin``, as it is configured.
        changed: Paths below the directory that differ from the commit, ignored ones included; a
            directory that is ignored as a whole ends with ``/``. None if git does not say.
        user: ``Name <mail>`` of whoever uses git here, if that was asked and both are configured.
    """

    commit: str | None = None
    remote: str | None = None
    changed: tuple[str, ...] | None = None
    user: str | None = None


class GitQuestion:
    """`ask_git` in a thread, from now on."""

    def __init__(self, directory: Path, *, asks_user: bool = False) -> None:
        self._directory = directory
        self._asks_user = asks_user
        self._answers = GitAnswers()
        self._thread = threading.Thread(target=self._run, name="git", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._answers = ask_git(self._directory, asks_user=self._asks_user)

    def wait(self) -> GitAnswers:
        """What git said, as soon as it has."""
        self._thread.join()
        return self._answers


def ask_git(directory: Path, *, asks_user: bool = False) -> GitAnswers:
    """Ask git, in as few processes as it takes; what cannot be found out is left out.

    Args:
        directory: Any directory.
        asks_user: Whether the answer has to say who uses git here.
    """
    user = _find_user(directory) if asks_user else None
    said = _run_git(directory, "rev-parse", "--show-prefix", "HEAD^{commit}", "HEAD:./")
    if said is None:
        return GitAnswers(user=user)
    # A directory's name may hold the end of a line, so ids are looked for from the end.
    prefix, commit, tree = said.removesuffix("\n").rsplit("\n", 2)
    if tree in _EMPTY_TREES:
        return GitAnswers(user=user)
    remote = _run_git(directory, "config", "--get", "remote.origin.url")
    changed = _list_changed(directory, prefix)
    return GitAnswers(commit, remote and remote.strip(), changed, user)


def _find_user(directory: Path) -> str | None:
    """Who commits here, as git itself would find out."""
    said = _run(
        directory, dict(os.environ), "config", "-z", "--get-regexp", r"^user\.(name|email)$"
    )
    found = dict(entry.partition("\n")[::2] for entry in (said or "").split("\0"))
    name, mail = (found.get(key, "").strip() for key in ("user.name", "user.email"))
    return f"{name} <{mail}>" if name and mail else None


def _list_changed(directory: Path, prefix: str) -> tuple[str, ...] | None:
    status = _run_git(
        directory, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all",
        "--ignored=matching", "--", ".",
    )  # fmt: skip
    return None if status is None else tuple(_status_paths(status, prefix))


def _status_paths(status: str, prefix: str) -> Iterator[str]:
    for entry in status.split("\0"):
        if entry:
            yield entry[3:].removeprefix(prefix)


def _run_git(directory: Path, *arguments: str) -> str | None:
    """Output of one git command about the directory, whatever the environment says of git."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    return _run(directory, environment, *arguments)


def _run(directory: Path, environment: dict[str, str], *arguments: str) -> str | None:
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
