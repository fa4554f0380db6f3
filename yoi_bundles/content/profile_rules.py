"""What holds for a profile after inheritance, and for the tool policy over all of them.

Source: docs/format.md, "Profiles" and "Tool policy".
"""

from __future__ import annotations

from collections.abc import Iterator

from yoi_bundles.content.assemble import Declarations
from yoi_bundles.content.findings import finding_at, near_hint, warning_at
from yoi_bundles.content.inheritance import find_chain, find_setter, is_whole, merge_profile
from yoi_bundles.model.bundle import Declared, Source
from yoi_bundles.model.declarations import Profile, ToolPolicy, ToolRule
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.globs import has_match

_GLOB = frozenset("*?")


def find_profile_rule_faults(declarations: Declarations) -> Iterator[Finding]:
    """Selectable profiles that could never start."""
    for name, declared in declarations.profiles.items():
        chain = find_chain(name, declarations.profiles)
        if declared.value.abstract or not is_whole(chain):
            continue
        merged = merge_profile(chain)
        yield from _find_gaps(merged, chain)
        if declarations.tool_policy is not None:
            yield from _find_denied_tools(name, merged, chain, declarations.tool_policy.value)


def _find_gaps(merged: Profile, chain: list[Declared[Profile]]) -> Iterator[Finding]:
    source = chain[0].source
    if merged.engine.kind is None:
        yield finding_at(
            source, ("engine",), "neither this profile nor a parent sets `engine.kind`"
        )
    if merged.model.ref is None:
        yield finding_at(source, ("model",), "neither this profile nor a parent sets `model.ref`")
    if merged.engine.kind == "workflow" and merged.engine.workflow is None:
        setter = find_setter(chain, ("engine", "kind")) or chain[0]
        is_own = setter is chain[0]
        path = ("engine", "kind") if is_own else ()
        yield finding_at(source, path, '`engine.kind = "workflow"` needs `engine.workflow`')


def _find_denied_tools(
    name: str, merged: Profile, chain: list[Declared[Profile]], policy: ToolPolicy
) -> Iterator[Finding]:
    setter = find_setter(chain, ("tools", "required"))
    for index, tool in enumerate(merged.tools.required):
        if decide_tool(policy, str(tool), name) != "deny":
            continue
        own = setter is chain[0]
        yield finding_at(
            chain[0].source,
            ("tools", "required", index) if own else ("extends",),
            f"this profile requires the tool `{tool}`, which policies/tools.toml denies to it",
            hint="make it optional, or change the rule",
        )


def decide_tool(policy: ToolPolicy, tool: str, profile: str) -> str:
    """The action of the first rule that matches, or the default."""
    for rule in policy.rules:
        if has_match(rule.tools, tool) and has_match(rule.profiles, profile):
            return rule.action
    return policy.default


def find_policy_faults(declarations: Declarations) -> Iterator[Finding]:
    """Rules of the tool policy that name nothing."""
    declared = declarations.tool_policy
    if declared is None:
        return
    for index, rule in enumerate(declared.value.rules):
        yield from _find_rule_faults(rule, index, declared.source, declarations)


def _find_rule_faults(
    rule: ToolRule, index: int, source: Source, declarations: Declarations
) -> Iterator[Finding]:
    for key, globs, names in (
        ("tools", rule.tools, declarations.names("tool")),
        ("profiles", rule.profiles, declarations.names("profile")),
    ):
        for place, glob in enumerate(globs):
            if glob == "*" or any(has_match((glob,), name) for name in names):
                continue
            path = ("rules", index, key, place)
            word = key.removesuffix("s")
            if _GLOB & set(glob):
                yield warning_at(source, path, f"the pattern `{glob}` matches no {word}")
            else:
                hint = near_hint(glob, names, what=key)
                yield finding_at(source, path, f"no {word} `{glob}`", hint=hint)
