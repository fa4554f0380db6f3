"""A whole checked bundle, each declaration with the place it came from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

from yoi_bundles.model.ids import BlobId, Digest, Name, PromptKey, RelativePath

if TYPE_CHECKING:
    from yoi_bundles.model.declarations import (
        AllowList,
        Manifest,
        Plugin,
        Profile,
        Provider,
        Tool,
        ToolPolicy,
        Workflow,
    )
    from yoi_bundles.model.grants import Grant
    from yoi_bundles.model.prompts import Prompt

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where in a TOML file: table names, keys and array positions."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""One empty table for all: ten thousand prompts have no keys."""

T_co = TypeVar("T_co", covariant=True)


class Source(NamedTuple):
    """One file of the tree and where its keys stand in it.

    Args:
        lines: 1-based line of each key path; may miss some, `line_of` falls back to the parent.
    """

    file: RelativePath
    blob: BlobId
    lines: Mapping[KeyPath, int] = _NOTHING

    def line_of(self, path: KeyPath) -> int:
        """Line of a key, or of the nearest table around it; 1 if nothing is known."""
        for end in range(len(path), -1, -1):
            line = self.lines.get(path[:end])
            if line is not None:
                return line
        return 1


class Declared(NamedTuple, Generic[T_co]):
    """A declaration, its place, and its file's table as written (for merging along ``extends``)."""

    value: T_co
    source: Source
    table: Mapping[str, Any] = _NOTHING


class Bundle(NamedTuple):
    """The parsed and closed content of one tree."""

    digest: Digest
    manifest: Declared[Manifest]
    profiles: Mapping[Name, Declared[Profile]]
    prompts: Mapping[PromptKey, Declared[Prompt]]
    workflows: Mapping[Name, Declared[Workflow]]
    tools: Mapping[Name, Declared[Tool]]
    tool_policy: Declared[ToolPolicy] | None
    allow_list: Declared[AllowList] | None
    plugins: Mapping[Name, Declared[Plugin]]
    providers: Mapping[Name, Declared[Provider]]
    grants: Mapping[Name, Declared[Grant]]
