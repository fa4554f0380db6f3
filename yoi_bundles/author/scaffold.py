"""A new workspace in a directory: the builtin tree, or the least that works.

Source: docs/format.md, "The bundle tree, schema 1".
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path

import tomlkit
from tomlkit.items import Table

from yoi_bundles.author.source import SCHEMA_DIRECTORY
from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.layout import MANIFEST_PATH
from yoi_bundles.errors import InvalidInputError, StorageFullError, StoreError
from yoi_bundles.model.ids import RelativePath, WorkspaceId

MAX_NAME = 400
"""Characters of a workspace's name, as in `WorkspaceInfo`."""

_MAY_BE_THERE = frozenset({".git"})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_MINIMAL = {
    "bundle.toml": """\
#:schema .yoi-schemas/bundle.json
schema = 1
default_profile = "assistant"

[workspace]
id = "workspace"
name = "Workspace"
""",
    "profiles/assistant.toml": """\
#:schema ../.yoi-schemas/profile.json
description = "Answers questions about a checkout"

[engine]
kind = "tool-loop"
system_prompt = "role.assistant"

[model]
ref = "anthropic/standard"

[mounts]
optional = ["mount:checkout"]
""",
    "prompts/role/assistant.md": """\
# Assistant

You answer questions about the files you can see. Say where you found what you say; if you did not
find it, say that instead. You change nothing.
""",
    "models/anthropic.toml": """\
#:schema ../.yoi-schemas/models.json
kind = "anthropic"
description = "Anthropic's API"
credential = "secret:anthropic-api-key"
network = "network:model-api"

[models.standard]
upstream = "standard-latest"
context_tokens = 200000
max_output_tokens = 32000
""",
    "grants/anthropic-api-key.toml": """\
#:schema ../.yoi-schemas/grant.json
kind = "secret"
description = "API key for models/anthropic.toml"
""",
    "grants/model-api.toml": """\
#:schema ../.yoi-schemas/grant.json
kind = "network"
description = "The model provider's API endpoint"
hosts = ["api.anthropic.com"]
""",
    "grants/checkout.toml": """\
#:schema ../.yoi-schemas/grant.json
kind = "mount"
description = "The files that questions are about"
mode = "ro"
""",
}


def init_workspace(
    directory: Path,
    *,
    workspace: WorkspaceId,
    name: str | None = None,
    force: bool = False,
    minimal: bool = False,
) -> tuple[RelativePath, ...]:
    """Fill a directory with a valid workspace.

    Each file is written whole or not at all, ``bundle.toml`` last; JSON Schemas for editors go
    into ``.yoi-schemas/``, which is never part of a bundle.

    Args:
        directory: Made if it does not exist. Must be empty, a fresh checkout apart.
        workspace: Its id in ``bundle.toml``.
        name: Its name for people; the id if None.
        force: Write also into a directory that is not empty; other files there stay.
        minimal: One profile, prompt and provider instead of the builtin tree.

    Returns:
        The files of the bundle, in path order.

    Raises:
        InvalidInputError: The directory is not empty, is not a directory, or leads elsewhere
            through a symbolic link; or the name is not one line of text.
        StorageFullError: No room left.
        StoreError: A file could not be written.
    """
    shown_name = str(workspace) if name is None else name
    if not shown_name.strip() or not shown_name.isprintable() or len(shown_name) > MAX_NAME:
        raise InvalidInputError(f"a workspace's name is one line of at most {MAX_NAME} characters")
    files = dict(_minimal_files() if minimal else load_builtin_files())
    files[MANIFEST_PATH] = _set_identity(files[MANIFEST_PATH], workspace, shown_name)
    _prepare(directory, force=force)
    try:
        for path in sorted(files, key=lambda path: path == MANIFEST_PATH):
            _write_file(directory, str(path), files[path])
    except OSError as error:
        raise _storage_error(error) from None
    return tuple(sorted(files))


def _minimal_files() -> Mapping[RelativePath, bytes]:
    return {RelativePath(path): text.encode() for path, text in _MINIMAL.items()}


def _set_identity(manifest: bytes, workspace: WorkspaceId, name: str) -> bytes:
    """bundle.toml with another id and name; comments and order stay."""
    document = tomlkit.parse(manifest.decode())
    table = document["workspace"]
    if not isinstance(table, Table):
        raise InvalidInputError("bundle.toml has no [workspace] table")
    table["id"] = str(workspace)
    table["name"] = name
    return tomlkit.dumps(document).encode()


def _prepare(directory: Path, *, force: bool) -> None:
    """Make the directory and its schemas, or say why nothing may be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = {entry.name for entry in directory.iterdir()} - _MAY_BE_THERE
    except (FileExistsError, NotADirectoryError):
        raise InvalidInputError("a file of this name is in the way of the directory") from None
    except OSError as error:
        raise _storage_error(error) from None
    if there and not force:
        raise InvalidInputError(
            "the directory is not empty",
            hint="choose an empty one, or use --force to write into it",
        )
    schemas = package_files("yoi_bundles") / "schemas"
    try:
        for entry in sorted(schemas.iterdir(), key=lambda entry: entry.name):
            _write_file(directory, f"{SCHEMA_DIRECTORY}/{entry.name}", entry.read_bytes())
    except OSError as error:
        raise _storage_error(error) from None


def _write_file(directory: Path, path: str, data: bytes) -> None:
    """Write one file whole or not at all: temporary file, flush to disk, rename."""
    target = directory
    *parents, name = path.split("/")
    for parent in parents:
        target = target / parent
        if target.is_symlink():
            raise InvalidInputError(f"{parent} is a symbolic link", hint="remove it first")
        target.mkdir(exist_ok=True)
    # The trailing ~ lets `read_workspace` overlook what a crash leaves behind.
    temporary = target / f".{name}.{secrets.token_hex(8)}~"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target / name)
    finally:
        temporary.unlink(missing_ok=True)


def _storage_error(error: OSError) -> StoreError:
    kind = StorageFullError if error.errno in _NO_ROOM else StoreError
    return kind(f"the workspace could not be written: {error.strerror}")
