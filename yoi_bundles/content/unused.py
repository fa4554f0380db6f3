"""Declarations that nothing uses: warnings, since a bundle works with them."""

from __future__ import annotations

from collections.abc import Iterator

from yoi_bundles.content.assemble import Declarations
from yoi_bundles.content.findings import INVALID, shown_file
from yoi_bundles.content.layout import FileKind
from yoi_bundles.content.references import used_plugins
from yoi_bundles.model.declarations import WorkflowDefinition
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.grants import PluginGrant, ToolGrant
from yoi_bundles.model.powers import PowerRef


def find_unused(declarations: Declarations) -> Iterator[Finding]:
    """A warning for each file whose declaration no other one names.

    Nothing is said while a file does not parse: it could be the one that uses them.
    """
    if any(len(declarations.files[kind]) != len(declarations.values[kind]) for kind in _PARSED):
        return
    used = _used_names(declarations)
    for kind, word in _PARSED.items():
        for name, path in declarations.files[kind].items():
            if name not in used[kind]:
                yield Finding(
                    file=shown_file(path),
                    line=1,
                    code=INVALID,
                    message=f"nothing uses this {word}",
                    hint="use it or remove the file",
                    severity="warning",
                )


_PARSED: dict[FileKind, str] = {
    "profile": "abstract profile",
    "prompt": "prompt",
    "workflow": "workflow",
    "tool": "tool",
    "plugin": "plugin",
    "provider": "provider",
    "grant": "grant",
}


def _used_names(declarations: Declarations) -> dict[FileKind, set[str]]:
    used: dict[FileKind, set[str]] = {kind: set() for kind in _PARSED}
    used["plugin"] = used_plugins(declarations)
    for name, declared in declarations.profiles.items():
        profile = declared.value
        if not profile.abstract:
            used["profile"].add(name)
        engine, model, tools = profile.engine, profile.model, profile.tools
        used["profile"].update(_texts(profile.extends))
        used["prompt"].update(_texts(engine.system_prompt, *engine.prompts))
        used["workflow"].update(_texts(engine.workflow))
        used["tool"].update(_texts(*tools.required, *tools.optional))
        refs = [ref for ref in (model.ref, *model.fallbacks) if ref is not None]
        used["provider"].update(_texts(*(ref.provider for ref in refs)))
    for workflow in declarations.workflows.values():
        if isinstance(workflow.value, WorkflowDefinition):
            used["prompt"].update(_texts(*(step.prompt for step in workflow.value.steps)))
    for ref in _power_refs(declarations):
        kind: FileKind = ref.kind if ref.kind in ("tool", "plugin") else "grant"
        used[kind].add(str(ref.name))
    _add_grants_by_subject(declarations, used)
    return used


def _add_grants_by_subject(declarations: Declarations, used: dict[FileKind, set[str]]) -> None:
    """A grant of a tool or plugin is used if its subject is."""
    for name, grant in declarations.grants.items():
        value = grant.value
        if isinstance(value, ToolGrant) and str(value.tool) in used["tool"]:
            used["grant"].add(name)
        if isinstance(value, PluginGrant) and str(value.plugin) in used["plugin"]:
            used["grant"].add(name)


def _power_refs(declarations: Declarations) -> Iterator[PowerRef]:
    for profile in declarations.profiles.values():
        value = profile.value
        for use in (value.secrets, value.mounts, value.network, value.capabilities):
            yield from use.required
            yield from use.optional
    for tool in declarations.tools.values():
        yield from tool.value.needs
        yield from tool.value.environment.values()
    for plugin in declarations.plugins.values():
        yield from plugin.value.permissions
    for provider in declarations.providers.values():
        yield from (ref for ref in (provider.value.credential, provider.value.network) if ref)


def _texts(*values: object) -> set[str]:
    return {str(value) for value in values if value is not None}
