"""Reading the visibility policy from its TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from yoi_bundles.content.declare import declare
from yoi_bundles.content.parse import blob_id_of
from yoi_bundles.content.toml_lines import index_lines
from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.bundle import Source
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.visibility import VisibilityPolicy


def read_visibility(path: Path) -> VisibilityPolicy:
    """The policy in a file.

    Raises:
        InvalidInputError: It cannot be read or is wrong, with the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(
            f"the visibility policy {path.name} cannot be read: {error.strerror}"
        ) from None
    return parse_visibility(data, file=path.name)


def parse_visibility(data: bytes, *, file: str = "visibility.toml") -> VisibilityPolicy:
    """Turn the bytes of a policy file into rules.

    Args:
        data: TOML in UTF-8.
        file: Name of the file, for messages.

    Raises:
        InvalidInputError: The bytes are not TOML or not a visibility policy, with the line.
    """
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file}: not TOML: {error}") from None
    except RecursionError:
        raise InvalidInputError(f"{file}: not TOML: it is nested too deeply") from None
    source = Source(RelativePath(file), blob_id_of(data), index_lines(text))
    policy = declare(VisibilityPolicy, table, source)
    if isinstance(policy, VisibilityPolicy):
        return policy
    first, rest = policy[0], len(policy) - 1
    raise InvalidInputError(
        f"{first.file}:{first.line}: {first.message}{f' (and {rest} more)' if rest else ''}",
        hint=first.hint,
        findings=[
            {"file": one.file, "line": one.line, "code": one.code, "message": one.message}
            for one in policy
        ],
    )
