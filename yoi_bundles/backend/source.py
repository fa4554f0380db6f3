"""A workspace's directory as files and provenance; nothing outside the directory is read.

Source: docs/format.md, "The bundle tree, schema 1" and "Commits and trailers".
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.content.material import redact
from yoi_bundles.errors import (
    BundleError,
    ForbiddenModeError,
    InvalidInputError,
    TooLargeError,
)
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import parse_tree_path, verify_paths
from yoi_bundles.model.revision import Provenance

SCHEMA_DIRECTORY = ".yoi-schemas"
"""Where `init` puts JSON Schemas for editors; never part of a bundle."""

GIT_TIMEOUT_SECONDS = 20

_BESIDE = frozenset(
    {".git", ".gitignore", ".gitattributes", ".editorconfig", ".idea", ".vscode", SCHEMA_DIRECTORY}
)
"""Names at the top of a workspace that belong to tools, not to the bundle."""
_LITTER = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\.#.+|#.+#|.+~|\..+\.sw[a-p]")
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SCP_LIKE = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)/?([^\s?#]+)")
_SCHEMES = frozenset({"https", "http", "ssh", "git", "git+ssh", "ssh+git"})


@dataclass(frozen=True, slots=True)
class WorkspaceFiles:
    """The files of a workspace as they would be published.

    Args:
        files: Path → bytes, in path order.
    """

    files: Mapping[RelativePath, bytes]


def read_workspace(directory: Path, *, limits: Limits = DEFAULT_LIMITS) -> WorkspaceFiles:
    """Read all files of a workspace; the executable bit is not looked at.

    Args:
        directory: Holds ``bundle.toml``. Version control, editor settings and litter are left out.
        limits: ``file_bytes``, ``tree_bytes``, ``files`` and those of paths apply.

    Raises:
        InvalidInputError: There is no such directory, it holds no ``bundle.toml``, or it cannot
            be read.
        ForbiddenModeError: It holds a symbolic link, socket, pipe or device.
        ForbiddenPathError: A name is unsafe on some file system.
        TooLargeError: A limit is passed.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInputError(
            "there is no such directory", hint="`yoi-bundles init` makes a workspace"
        ) from None
    except OSError as error:
        raise _unreadable("the directory", error) from None
    try:
        files = _Reader(limits).read(top)
    finally:
        os.close(top)
    if MANIFEST_PATH not in files:
        raise InvalidInputError(
            "the directory holds no bundle.toml",
            hint="`yoi-bundles init` makes a workspace; or name the directory of one",
        )
    verify_paths(files)
    return WorkspaceFiles(files)


class _Reader:
    """One walk over a directory by descriptors, so that no name is looked up twice."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: dict[RelativePath, bytes] = {}
        self._total_bytes = 0

    def read(self, top: int) -> dict[RelativePath, bytes]:
        self._read_directory(top, "")
        return dict(sorted(self._files.items()))

    def _read_directory(self, directory: int, prefix: str) -> None:
        for name in _names_of(directory, prefix):
            if _is_left_out(name, is_top=not prefix):
                continue
            path = parse_tree_path(prefix + name, self._limits)
            try:
                opened = os.open(name, _OPEN_FLAGS, dir_fd=directory)
            except OSError as error:
                raise self._refusal(path, directory, name, error) from None
            try:
                self._read_entry(opened, path)
            finally:
                os.close(opened)

    def _read_entry(self, opened: int, path: RelativePath) -> None:
        mode = os.fstat(opened).st_mode
        if stat.S_ISDIR(mode):
            self._read_directory(opened, f"{path}/")
        elif stat.S_ISREG(mode):
            self._keep(path, _read_capped(opened, path, self._limits.file_bytes))
        else:
            raise _special(path)

    def _keep(self, path: RelativePath, data: bytes) -> None:
        self._files[path] = data
        self._total_bytes += len(data)
        if len(self._files) > self._limits.files:
            raise _too_large("the workspace has more files than", "files", self._limits.files)
        if self._total_bytes > self._limits.tree_bytes:
            raise _too_large(
                "all files together have more bytes than", "tree_bytes", self._limits.tree_bytes
            )

    @staticmethod
    def _refusal(path: RelativePath, directory: int, name: str, error: OSError) -> BundleError:
        """Why an entry could not be opened: a link, a socket, or no permission."""
        try:
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        except OSError:
            return _unreadable(str(path), error)
        if stat.S_ISLNK(mode) or stat.S_ISSOCK(mode):
            return _special(path)
        return _unreadable(str(path), error)


def _names_of(directory: int, prefix: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        raise _unreadable(prefix or "the directory", error) from None


def _is_left_out(name: str, *, is_top: bool) -> bool:
    return (is_top and name in _BESIDE) or _LITTER.fullmatch(name) is not None


def _read_capped(opened: int, path: RelativePath, limit: int) -> bytes:
    """The bytes of an open file; never more than the limit is held."""
    try:
        with os.fdopen(os.dup(opened), "rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise _unreadable(str(path), error) from None
    if len(data) > limit:
        raise _too_large(f"{path} has more bytes than", "file_bytes", limit, file=str(path))
    return data


def _too_large(message: str, name: str, limit: int, *, file: str | None = None) -> TooLargeError:
    return TooLargeError(f"{message} {limit}", limit_name=name, limit=limit, file=file)


def _special(path: RelativePath) -> ForbiddenModeError:
    return ForbiddenModeError(
        f"{path} is not a regular file",
        hint="a bundle holds regular files only: replace links by what they point to",
        file=str(path),
    )


def _unreadable(what: str, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"{what} cannot be read: {error.strerror}")


# --- provenance -----------------------------------------------------------------------


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
    return not any(_is_left_out(name, is_top=depth == 0) for depth, name in enumerate(names))


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
