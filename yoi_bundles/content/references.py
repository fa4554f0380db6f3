"""References between files: each names something that the same tree declares.

Source: docs/format.md, "Closed references".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yoi_bundles.content.assemble import Declarations
from yoi_bundles.content.findings import finding_at, near_hint
from yoi_bundles.content.layout import FileKind
from yoi_bundles.model.bundle import Declared, KeyPath, Source
from yoi_bundles.model.declarations import Profile, Provider, Tool
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.grants import PluginGrant, ToolGrant
from yoi_bundles.model.ids import ModelRef
from yoi_bundles.model.powers import PowerRef

_WORDS: dict[FileKind, str] = {
    "profile": "profile",
    "prompt": "prompt",
    "workflow": "workflow",
    "tool": "tool",
    "plugin": "plugin",
    "provider": "provider",
}


def find_reference_faults(declarations: Declarations) -> Iterator[Finding]:
    """Every reference of every file that resolves to nothing."""
    yield from _find_manifest_faults(declarations)
    for profile in declarations.profiles.values():
        yield from _find_profile_faults(profile, declarations)
    granted = _granted(declarations)
    for name, tool in declarations.tools.items():
        yield from _find_tool_faults(tool, declarations)
        if tool.value.external_write and f"tool:{name}" not in granted:
            yield _ungranted(tool.source, ("external_write",), "tool", name)
    used = used_plugins(declarations)
    for name, plugin in declarations.plugins.items():
        refs, at = plugin.value.permissions, plugin.source
        yield from powered(declarations, refs, at, ("permissions",))
        if name in used and f"plugin:{name}" not in granted:
            yield _ungranted(at, (), "plugin", name)
    for provider in declarations.providers.values():
        yield from _find_provider_faults(provider, declarations)
    for grant in declarations.grants.values():
        if isinstance(grant.value, ToolGrant):
            yield from named(declarations, "tool", grant.value.tool, grant.source, ("tool",))
        if isinstance(grant.value, PluginGrant):
            yield from named(declarations, "plugin", grant.value.plugin, grant.source, ("plugin",))


def named(
    declarations: Declarations, kind: FileKind, name: object, source: Source, path: KeyPath
) -> Iterator[Finding]:
    """A finding if no file of this kind has this name."""
    if not declarations.has(kind, name):
        word = _WORDS[kind]
        hint = near_hint(str(name), declarations.names(kind), what=f"{word}s")
        yield finding_at(source, path, f"no {word} `{name}`", hint=hint)


def powered(
    declarations: Declarations, refs: Iterable[PowerRef], source: Source, path: KeyPath
) -> Iterator[Finding]:
    """Findings for references to powers that nothing declares.

    Args:
        path: Key of the array that holds the references.
    """
    for index, ref in enumerate(refs):
        yield from _powered_once(declarations, ref, source, (*path, index))


def _powered_once(
    declarations: Declarations, ref: PowerRef, source: Source, path: KeyPath
) -> Iterator[Finding]:
    if ref.kind in {"tool", "plugin"}:
        kind: FileKind = "tool" if ref.kind == "tool" else "plugin"
        yield from named(declarations, kind, ref.name, source, path)
        return
    if not declarations.has("grant", ref.name):
        hint = near_hint(str(ref), _grant_refs(declarations), what="declared")
        message = f"`{ref}` is not declared: there is no grants/{ref.name}.toml"
        yield finding_at(source, path, message, hint=hint)
        return
    grant = declarations.grants.get(str(ref.name))
    if grant is not None and grant.value.kind != ref.kind:
        message = f"`{ref}` is not declared: grants/{ref.name}.toml has another kind"
        yield finding_at(source, path, message, hint=f"it declares `{grant.value.kind}:{ref.name}`")


def _grant_refs(declarations: Declarations) -> list[str]:
    return [f"{grant.value.kind}:{name}" for name, grant in declarations.grants.items()]


def _find_manifest_faults(declarations: Declarations) -> Iterator[Finding]:
    manifest = declarations.manifest
    if manifest is None:
        return
    name, path = manifest.value.default_profile, ("default_profile",)
    yield from named(declarations, "profile", name, manifest.source, path)
    profile = declarations.profiles.get(str(name))
    if profile is not None and profile.value.abstract:
        message = f"the profile `{name}` is abstract: no selector may name it"
        yield finding_at(manifest.source, path, message)


def _find_profile_faults(
    declared: Declared[Profile], declarations: Declarations
) -> Iterator[Finding]:
    profile, source = declared.value, declared.source
    engine = profile.engine
    if engine.system_prompt is not None:
        path: KeyPath = ("engine", "system_prompt")
        yield from named(declarations, "prompt", engine.system_prompt, source, path)
    for index, key in enumerate(engine.prompts):
        yield from named(declarations, "prompt", key, source, ("engine", "prompts", index))
    if engine.workflow is not None:
        path = ("engine", "workflow")
        yield from named(declarations, "workflow", engine.workflow, source, path)
    if profile.model.ref is not None:
        yield from _find_model_fault(profile.model.ref, source, ("model", "ref"), declarations)
    for index, ref in enumerate(profile.model.fallbacks):
        yield from _find_model_fault(ref, source, ("model", "fallbacks", index), declarations)
    yield from _find_use_faults(declared, declarations)


def _find_use_faults(declared: Declared[Profile], declarations: Declarations) -> Iterator[Finding]:
    profile, source = declared.value, declared.source
    for strength in ("required", "optional"):
        for index, name in enumerate(getattr(profile.tools, strength)):
            yield from named(declarations, "tool", name, source, ("tools", strength, index))
        for index, name in enumerate(getattr(profile.plugins, strength)):
            yield from named(declarations, "plugin", name, source, ("plugins", strength, index))
        for key in ("secrets", "mounts", "network", "capabilities"):
            refs = getattr(getattr(profile, key), strength)
            yield from powered(declarations, refs, source, (key, strength))


def _find_model_fault(
    ref: ModelRef, source: Source, path: KeyPath, declarations: Declarations
) -> Iterator[Finding]:
    if not declarations.has("provider", ref.provider):
        yield from named(declarations, "provider", ref.provider, source, path)
        return
    provider = declarations.providers.get(str(ref.provider))
    if provider is not None and ref.model not in provider.value.models:
        hint = near_hint(ref.model, provider.value.models, what="models")
        message = f"models/{ref.provider}.toml has no model `{ref.model}`"
        yield finding_at(source, path, message, hint=hint)


def _find_tool_faults(declared: Declared[Tool], declarations: Declarations) -> Iterator[Finding]:
    tool, source = declared.value, declared.source
    yield from powered(declarations, tool.needs, source, ("needs",))
    for variable, ref in tool.environment.items():
        yield from _powered_once(declarations, ref, source, ("environment", variable))
    if tool.plugin is not None:
        yield from named(declarations, "plugin", tool.plugin, source, ("plugin",))
        plugin = declarations.plugins.get(str(tool.plugin))
        if plugin is not None and "tool" not in plugin.value.surfaces:
            message = f"the plugin `{tool.plugin}` has no `tool` surface"
            hint = "add it to `surfaces` if the package has one"
            yield finding_at(source, ("plugin",), message, hint=hint)


def _ungranted(source: Source, path: KeyPath, kind: str, name: str) -> Finding:
    message = {
        "tool": f"the tool `{name}` writes outside the Worker's mounts and no grant asks for it",
        "plugin": f"the plugin `{name}` is used and no grant asks for it",
    }[kind]
    hint = f'add a file to grants/ with kind = "{kind}" and {kind} = "{name}"'
    return finding_at(source, path, message, hint=hint)


def used_plugins(declarations: Declarations) -> set[str]:
    """Plugins that a profile, a tool or another plugin asks for, in whatever way."""
    used = {str(tool.value.plugin) for tool in declarations.tools.values() if tool.value.plugin}
    asked = [ref for tool in declarations.tools.values() for ref in tool.value.needs]
    asked += [ref for plugin in declarations.plugins.values() for ref in plugin.value.permissions]
    used.update(str(ref.name) for ref in asked if ref.kind == "plugin")
    for profile in declarations.profiles.values():
        plugins = profile.value.plugins
        used.update(str(name) for name in (*plugins.required, *plugins.optional))
    return used


def _granted(declarations: Declarations) -> set[str]:
    """Tools and plugins that a grant asks for, as ``kind:name``."""
    return {
        f"{grant.value.kind}:{getattr(grant.value, grant.value.kind)}"
        for grant in declarations.grants.values()
        if isinstance(grant.value, ToolGrant | PluginGrant)
    }


def _find_provider_faults(
    declared: Declared[Provider], declarations: Declarations
) -> Iterator[Finding]:
    provider, source = declared.value, declared.source
    for key, ref in (("credential", provider.credential), ("network", provider.network)):
        if ref is not None:
            yield from _powered_once(declarations, ref, source, (key,))
