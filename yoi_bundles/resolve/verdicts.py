"""Verdicts: what the host says to one power, looked at alone. Default deny, first match decides.

Source: docs/policy.md, "What each section grants".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from yoi_bundles.content.profile_rules import decide_tool
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.declarations import Plugin, ToolPolicy
from yoi_bundles.model.globs import has_match
from yoi_bundles.model.grants import GitGrant, MountGrant, NetworkGrant, ShellGrant
from yoi_bundles.model.host_policy import CapabilityRule, HostFacts, HostPolicy, PluginRule
from yoi_bundles.model.ids import Name
from yoi_bundles.model.powers import PowerKind, PowerRef
from yoi_bundles.model.texts import Action
from yoi_bundles.resolve.asks import Ask
from yoi_bundles.resolve.matching import (
    ANY,
    Subject,
    covers_host,
    find_mount_rule,
    find_plugin_rule,
    find_secret_rule,
    find_tool_rule,
    is_in_scope,
    list_in_scope,
)

DEFAULT_DENY = "default-deny"
REQUEST = "request"
BUNDLE_TOOL_POLICY = "bundle-tool-policy"
HOST_FACTS = "host-facts"

Scope: TypeAlias = dict[str, str | tuple[str, ...]]

_STRICTNESS: Mapping[Action, int] = {"allow": 0, "ask": 1, "deny": 2}
_GIT_ORDER = ("read", "commit", "branch", "push")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome, rule and reason for one power, without who asked.

    Args:
        hint: What would grant it; no path, no value, no name of an environment variable.
    """

    outcome: Literal["granted", "narrowed", "refused"]
    rule: str
    reason: str
    asked: Scope = field(default_factory=dict)
    granted: Scope = field(default_factory=dict)
    hint: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether nothing of the power is given."""
        return self.outcome == "refused"


@dataclass(frozen=True, slots=True)
class HostView:
    """The host as one Worker meets it: rules, facts, and whom the rules are asked about."""

    policy: HostPolicy
    facts: HostFacts
    subject: Subject


def decide_alone(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    """What request and host say to one power, before anything that depends on other powers."""
    if not ask.is_asked_by_profile:
        return Verdict(
            "refused",
            REQUEST,
            "the profile does not ask for it",
            hint=f"leave {ask.power} out of the request's required_capabilities",
        )
    if not ask.is_within_request:
        return Verdict(
            "refused",
            REQUEST,
            "the request does not cover it",
            hint=f"add {ask.power} to the request's optional_capabilities",
        )
    return _DECIDERS[ask.power.kind](bundle, ask, view)


def _decide_secret(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    name = ask.power.name
    found = find_secret_rule(view.policy.secret, name, view.subject)
    if found is None:
        return _deny("no [[secret]] rule gives it", {}, f'[[secret]] name = "{name}"')
    rule = f"secret[{found[0]}]"
    if ask.is_required and not has_secret_source(view.facts, name, rule):
        return _absent(f"the source of {rule} is missing on this host", {}, rule)
    return Verdict("granted", rule, "the host supplies it")


def _decide_mount(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    name = ask.power.name
    grant = bundle.grants[name].value
    mode = grant.mode if isinstance(grant, MountGrant) else "ro"
    asked: Scope = {"mode": mode}
    found = find_mount_rule(view.policy.mount, name, view.subject)
    if found is None:
        return _deny("no [[mount]] rule gives it", asked, f'[[mount]] name = "{name}"')
    rule = f"mount[{found[0]}]"
    if ask.is_required and not has_mount_directory(view.facts, name, rule):
        return _absent(f"the directory of {rule} is missing on this host", asked, rule)
    if mode == "rw" and found[1].mode == "ro":
        return Verdict("narrowed", rule, "the host gives it read-only", asked, {"mode": "ro"})
    return Verdict("granted", rule, "the host supplies it", asked, asked)


def _decide_network(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    grant = bundle.grants[ask.power.name].value
    hosts = tuple(sorted(set(grant.hosts))) if isinstance(grant, NetworkGrant) else ()
    asked: Scope = {"hosts": hosts}
    rules = list_in_scope(view.policy.network, view.subject)
    covered: dict[str, int] = {}
    for host in hosts:
        for index, rule in rules:
            if any(covers_host(pattern, host) for pattern in rule.hosts):
                covered[host] = index
                break
    if not covered:
        hint = f"[[network]] hosts = {_toml_list(hosts)}"
        return _deny("no [[network]] rule covers any of its hosts", asked, hint)
    rule_names = ", ".join(f"network[{index}]" for index in sorted(set(covered.values())))
    granted: Scope = {"hosts": tuple(covered)}
    if len(covered) < len(hosts):
        reason = f"the host covers {len(covered)} of {len(hosts)} hosts"
        return Verdict("narrowed", rule_names, reason, asked, granted)
    return Verdict("granted", rule_names, "the host covers every host", asked, granted)


def _decide_shell(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    grant = bundle.grants[ask.power.name].value
    wanted = tuple(sorted(set(grant.commands))) if isinstance(grant, ShellGrant) else ()
    rule = view.policy.capabilities.get(Name("shell"))
    allowed = tuple(sorted(set(rule.commands))) if rule else ()
    if ANY in allowed:
        given = (ANY,) if ANY in wanted else wanted
    elif ANY in wanted:
        given = allowed
    else:
        given = tuple(command for command in wanted if command in allowed)
    wanted = (ANY,) if ANY in wanted else wanted
    return _decide_list(ask.power, view, rule, key="commands", wanted=wanted, given=given)


def _decide_git(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    grant = bundle.grants[ask.power.name].value
    asked = grant.operations if isinstance(grant, GitGrant) else ()
    rule = view.policy.capabilities.get(Name("git"))
    wanted = tuple(operation for operation in _GIT_ORDER if operation in asked)
    given = tuple(operation for operation in wanted if rule and operation in rule.operations)
    return _decide_list(ask.power, view, rule, key="operations", wanted=wanted, given=given)


def _decide_list(
    power: PowerRef,
    view: HostView,
    rule: CapabilityRule | None,
    *,
    key: str,
    wanted: tuple[str, ...],
    given: tuple[str, ...],
) -> Verdict:
    """``[capabilities.shell]`` and ``[capabilities.git]``: the intersection of two lists."""
    asked: Scope = {key: wanted}
    section = f"capabilities.{power.kind}"
    hint = f"[{section}] {key} = {_toml_list(wanted)}"
    if rule is None or not is_in_scope(rule, view.subject):
        return _deny(f"no [{section}] rule holds here", asked, hint)
    if not rule.allow:
        return _refuse(section, "the host does not allow it", asked, hint)
    if not has_match(rule.names, str(power.name)):
        return _deny(f"[{section}] does not name it", asked, hint)
    if not given:
        return _refuse(section, f"the host allows none of its {key}", asked, hint)
    granted: Scope = {key: given}
    if given != wanted:
        return Verdict("narrowed", section, f"the host allows fewer {key}", asked, granted)
    return Verdict("granted", section, f"the host allows all its {key}", asked, granted)


def _decide_capability(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    name = ask.power.name
    section = f"capabilities.{name}"
    hint = f"[{section}] allow = true"
    if str(name) in ("shell", "git"):
        return _refuse(DEFAULT_DENY, f"{name} is a kind of power of its own", {}, None)
    rule = view.policy.capabilities.get(name)
    if rule is None or not is_in_scope(rule, view.subject):
        return _deny(f"no [{section}] rule holds here", {}, hint)
    if not rule.allow:
        return _refuse(section, "the host does not allow it", {}, hint)
    return Verdict("granted", section, "the host allows it")


def _decide_plugin(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    plugin = bundle.plugins[ask.power.name].value
    surfaces = tuple(sorted(set(plugin.surfaces)))
    permissions = tuple(sorted({str(ref) for ref in plugin.permissions}))
    asked: Scope = {"package": plugin.package, "version": plugin.version, "surfaces": surfaces}
    asked["permissions"] = permissions
    found = find_plugin_rule(
        view.policy.plugin, plugin.package, plugin.version, plugin.digest, view.subject
    )
    if found is None:
        hint = f'[[plugin]] package = "{plugin.package}", version = "{plugin.version}"'
        return _deny("no [[plugin]] rule pins exactly this package", asked, hint)
    rule = f"plugin[{found[0]}]"
    package = view.facts.packages.get((plugin.package, plugin.version))
    if package != (plugin.digest, plugin.size_bytes):
        state = "missing" if package is None else "not the one that is pinned"
        return _absent(f"the package of {rule} is {state} on this host", asked, rule)
    given = tuple(surface for surface in surfaces if surface in found[1].surfaces)
    if not given:
        hint = f"[[plugin]] surfaces = {_toml_list(surfaces)}"
        return _refuse(rule, "the host allows none of its surfaces", asked, hint)
    granted: Scope = {**asked, "surfaces": given}
    granted["permissions"] = tuple(text for text in permissions if is_permitted(found[1], text))
    if granted != asked:
        return Verdict("narrowed", rule, "the host allows part of it", asked, granted)
    return Verdict("granted", rule, "the host allows it", asked, granted)


def _decide_tool(bundle: Bundle, ask: Ask, view: HostView) -> Verdict:
    name = ask.power.name
    wanted = find_bundle_action(bundle, name, view.subject.profile)
    asked: Scope = {"action": wanted}
    found = find_tool_rule(view.policy, name, view.subject)
    if found is None:
        return _deny("no [[tool]] rule names it", asked, f'[[tool]] tools = ["{name}"]')
    rule = f"tool[{found[0]}]"
    if found[1].action == "deny":
        return _refuse(rule, "the host denies it", asked, f'[[tool]] tools = ["{name}"]')
    program = bundle.tools[name].value.command
    if program is not None and not {ANY, program} & set(found[1].programs):
        hint = f'[[tool]] tools = ["{name}"], programs = ["{program}"]'
        return _refuse(rule, "the host does not let it start its program", asked, hint)
    if wanted == "deny":
        reason = "the bundle's own tool policy denies it"
        return _refuse(BUNDLE_TOOL_POLICY, reason, asked, "policies/tools.toml of the bundle")
    action = max(wanted, found[1].action, key=_STRICTNESS.__getitem__)
    if action != wanted:
        reason = f"the host wants {action} where the bundle says {wanted}"
        return Verdict("narrowed", rule, reason, asked, {"action": action})
    return Verdict("granted", rule, "the host allows it", asked, {"action": action})


def find_bundle_action(bundle: Bundle, tool: Name, profile: Name) -> Action:
    """What the bundle's own tool policy says: its first match, else its default (``ask``)."""
    policy = bundle.tool_policy.value if bundle.tool_policy else ToolPolicy()
    return cast("Action", decide_tool(policy, str(tool), str(profile)))


def is_permitted(rule: PluginRule, permission: str) -> bool:
    """Whether a ``[[plugin]]`` rule lets its plugin use a power, given as ``kind:name``."""
    kind, _, name = permission.partition(":")
    for glob in rule.permissions:
        kind_glob, _, name_glob = glob.partition(":")
        if has_match((kind_glob,), kind) and has_match((name_glob,), name):
            return True
    return False


def has_secret_source(facts: HostFacts, name: Name, rule: str) -> bool:
    """Whether the source of a ``[[secret]]`` rule was seen on this host."""
    return name in facts.present_secrets and rule not in facts.absent_rules


def has_mount_directory(facts: HostFacts, name: Name, rule: str) -> bool:
    """Whether the path of a ``[[mount]]`` rule is a directory on this host."""
    return name in facts.present_mounts and rule not in facts.absent_rules


def list_plugin_permissions(plugin: Plugin, verdict: Verdict) -> frozenset[PowerRef]:
    """The powers a plugin may use as far as its own rule goes."""
    allowed = verdict.granted.get("permissions", ())
    return frozenset(ref.power for ref in plugin.permissions if str(ref) in allowed)


def _deny(reason: str, asked: Scope, hint: str) -> Verdict:
    return Verdict("refused", DEFAULT_DENY, reason, asked, hint=hint)


def _refuse(rule: str, reason: str, asked: Scope, hint: str | None) -> Verdict:
    return Verdict("refused", rule, reason, asked, hint=hint)


def _absent(reason: str, asked: Scope, rule: str) -> Verdict:
    return Verdict("refused", HOST_FACTS, reason, asked, hint=f"supply what {rule} names")


def _toml_list(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


_DECIDERS: Mapping[PowerKind, Callable[[Bundle, Ask, HostView], Verdict]] = {
    "secret": _decide_secret,
    "mount": _decide_mount,
    "network": _decide_network,
    "shell": _decide_shell,
    "git": _decide_git,
    "tool": _decide_tool,
    "plugin": _decide_plugin,
    "capability": _decide_capability,
}
