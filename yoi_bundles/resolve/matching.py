"""Matching: which rule of the host policy a power meets first.

The resolver and the launcher both look rules up here, so that what was decided is what is used.
Source: docs/policy.md, "First match".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from yoi_bundles.model.globs import has_match
from yoi_bundles.model.host_policy import (
    HostPolicy,
    HostToolRule,
    MountRule,
    PluginRule,
    SecretRule,
)
from yoi_bundles.model.ids import ContentHash, Name, WorkspaceId

DEFAULT_HTTPS_PORT = "443"
ANY = "*"


class Scoped(Protocol):
    """A rule that holds for some workspaces and profiles."""

    @property
    def workspaces(self) -> tuple[str, ...]:
        """Globs of workspaces."""
        ...

    @property
    def profiles(self) -> tuple[str, ...]:
        """Globs of profiles."""
        ...


Rule = TypeVar("Rule", bound=Scoped)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a rule is asked about: a Worker of this workspace with this profile."""

    workspace: WorkspaceId
    profile: Name


def is_in_scope(rule: Scoped, subject: Subject) -> bool:
    """Whether a rule holds for this workspace and this profile."""
    return has_match(rule.workspaces, str(subject.workspace)) and has_match(
        rule.profiles, str(subject.profile)
    )


def list_in_scope(rules: Sequence[Rule], subject: Subject) -> list[tuple[int, Rule]]:
    """The rules that hold for a subject, each with its place in the file, in file order."""
    return [(index, rule) for index, rule in enumerate(rules) if is_in_scope(rule, subject)]


def find_secret_rule(
    rules: Sequence[SecretRule], name: Name, subject: Subject
) -> tuple[int, SecretRule] | None:
    """The first ``[[secret]]`` rule for this name and subject, with its place in the file."""
    for index, rule in enumerate(rules):
        if rule.name == name and is_in_scope(rule, subject):
            return index, rule
    return None


def find_mount_rule(
    rules: Sequence[MountRule], name: Name, subject: Subject
) -> tuple[int, MountRule] | None:
    """The first ``[[mount]]`` rule for this name and subject, with its place in the file."""
    for index, rule in enumerate(rules):
        if rule.name == name and is_in_scope(rule, subject):
            return index, rule
    return None


def find_tool_rule(
    policy: HostPolicy, name: Name, subject: Subject
) -> tuple[int, HostToolRule] | None:
    """The first ``[[tool]]`` rule for this tool and subject, with its place in the file."""
    for index, rule in enumerate(policy.tool):
        if has_match(rule.tools, str(name)) and is_in_scope(rule, subject):
            return index, rule
    return None


def find_plugin_rule(
    rules: Sequence[PluginRule], package: str, version: str, digest: ContentHash, subject: Subject
) -> tuple[int, PluginRule] | None:
    """The first ``[[plugin]]`` rule for exactly this package, with its place in the file."""
    for index, rule in enumerate(rules):
        is_same = (rule.package, rule.version, rule.digest) == (package, version, digest)
        if is_same and is_in_scope(rule, subject):
            return index, rule
    return None


def covers_host(rule: str, asked: str) -> bool:
    """Whether a host pattern of a rule covers one that is asked for.

    ``*`` covers every host on every port. Otherwise ports must be equal, no port being 443;
    ``*.domain`` covers what ends in ``.domain``, not ``domain`` itself, and only a wildcard as wide
    covers a wildcard.
    """
    if rule in (ANY, asked):
        return True
    rule_host, rule_port = _split_port(rule)
    host, port = _split_port(asked)
    if rule_port != port:
        return False
    if rule_host.startswith("*."):
        return host == rule_host or host.removeprefix("*").endswith(rule_host[1:])
    return host == rule_host


def _split_port(pattern: str) -> tuple[str, str]:
    host, _, port = pattern.partition(":")
    return host, port.lstrip("0") or "0" if port else DEFAULT_HTTPS_PORT
