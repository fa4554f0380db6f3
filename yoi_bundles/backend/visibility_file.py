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
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise InvalidInputError(
            f"the visibility policy {path.name} cannot be read: {error.strerror}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path.name}: not TOML: {error}") from None
    source = Source(RelativePath(path.name), blob_id_of(data), index_lines(text))
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
