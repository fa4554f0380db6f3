"""Parsed files → what the tree declares, by kind and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yoi_bundles.content.layout import FILE_KINDS, FileKind
from yoi_bundles.content.parse import ParsedFile
from yoi_bundles.model.bundle import Bundle, Declared
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
from yoi_bundles.model.ids import Digest, Name, PromptKey, RelativePath
from yoi_bundles.model.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything a tree declares, also while parts of it are faulty.

    Args:
        files: Kind → name → path of every file that has a place, whether or not it parses.
        values: Kind → name → declaration of every file that parses.
    """

    files: Mapping[FileKind, Mapping[str, RelativePath]]
    values: Mapping[FileKind, Mapping[str, Declared[Any]]] = field(default_factory=dict)

    def has(self, kind: FileKind, name: object) -> bool:
        """Whether a file declares this name, faulty or not."""
        return str(name) in self.files[kind]

    def names(self, kind: FileKind) -> list[str]:
        """All names of one kind."""
        return sorted(self.files[kind])

    @property
    def manifest(self) -> Declared[Manifest] | None:
        """bundle.toml."""
        return self.values["manifest"].get("bundle")

    @property
    def tool_policy(self) -> Declared[ToolPolicy] | None:
        """policies/tools.toml."""
        return self.values["tool-policy"].get("tools")

    @property
    def allow_list(self) -> Declared[AllowList] | None:
        """policies/allow.toml."""
        return self.values["allow-list"].get("allow")

    @property
    def profiles(self) -> Mapping[str, Declared[Profile]]:
        """profiles/ by name."""
        return self.values["profile"]

    @property
    def prompts(self) -> Mapping[str, Declared[Prompt]]:
        """prompts/ by key."""
        return self.values["prompt"]

    @property
    def workflows(self) -> Mapping[str, Declared[Workflow]]:
        """workflows/ by name."""
        return self.values["workflow"]

    @property
    def tools(self) -> Mapping[str, Declared[Tool]]:
        """tools/ by name."""
        return self.values["tool"]

    @property
    def plugins(self) -> Mapping[str, Declared[Plugin]]:
        """plugins/ by name."""
        return self.values["plugin"]

    @property
    def providers(self) -> Mapping[str, Declared[Provider]]:
        """models/ by provider."""
        return self.values["provider"]

    @property
    def grants(self) -> Mapping[str, Declared[Grant]]:
        """grants/ by name."""
        return self.values["grant"]


def collect_declarations(parsed: Iterable[ParsedFile]) -> Declarations:
    """Sort parsed files by kind and name."""
    files: dict[FileKind, dict[str, RelativePath]] = {kind: {} for kind in FILE_KINDS}
    values: dict[FileKind, dict[str, Declared[Any]]] = {kind: {} for kind in FILE_KINDS}
    for each in parsed:
        if each.place is None:
            continue
        files[each.place.kind][each.place.name] = each.source.file
        if each.declared is not None:
            values[each.place.kind][each.place.name] = each.declared
    return Declarations(files, values)


def make_bundle(digest: Digest, manifest: Declared[Manifest], declarations: Declarations) -> Bundle:
    """The bundle of a tree in which no error was found."""
    return Bundle(
        digest=digest,
        manifest=manifest,
        profiles={Name(name): value for name, value in declarations.profiles.items()},
        prompts={PromptKey(key): value for key, value in declarations.prompts.items()},
        workflows={Name(name): value for name, value in declarations.workflows.items()},
        tools={Name(name): value for name, value in declarations.tools.items()},
        tool_policy=declarations.tool_policy,
        allow_list=declarations.allow_list,
        plugins={Name(name): value for name, value in declarations.plugins.items()},
        providers={Name(name): value for name, value in declarations.providers.items()},
        grants={Name(name): value for name, value in declarations.grants.items()},
    )
