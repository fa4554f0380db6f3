"""Launch: from a spec to what a Worker's process is given on this host.

A plan holds real paths and reads secrets when asked; it never leaves the host and prints neither.

Source: docs/policy.md, "From spec to launch".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from yoi_bundles.content.front_matter import parse_front_matter
from yoi_bundles.errors import DigestMismatchError, PolicyDeniedError, StoreError
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.ids import BlobId, Name, PromptKey, RelativePath
from yoi_bundles.model.powers import PowerRef, SecretRef
from yoi_bundles.model.spec import Resolution, ResolvedWorkerSpec, SpecMount, SpecPrompt
from yoi_bundles.model.tree import TreeReader
from yoi_bundles.resolve.matching import Subject, find_mount_rule, find_secret_rule
from yoi_bundles.runtime.host.packages import PluginRegistry, RegisteredPlugin
from yoi_bundles.runtime.host.secrets import SecretStore, SecretValue
from yoi_bundles.runtime.host.trusted_files import is_directory


@dataclass(frozen=True, slots=True)
class LaunchMount:
    """A directory of this host as one Worker gets it."""

    ref: PowerRef
    mode: Literal["ro", "rw"]
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class LaunchPrompt:
    """A prompt's text, checked against the blob id in the spec."""

    key: PromptKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What a Worker's process is given.

    Args:
        spec: What was resolved.
        mounts: Real directories.
        system_prompt: The first prompt, if the spec has one.
        prompts: Further prompts, in order.
        plugins: Plugins whose packages were verified and whose surfaces are registered.
    """

    spec: ResolvedWorkerSpec = field(repr=False)
    mounts: tuple[LaunchMount, ...]
    system_prompt: LaunchPrompt | None
    prompts: tuple[LaunchPrompt, ...]
    plugins: tuple[RegisteredPlugin, ...]
    _secrets: SecretStore = field(repr=False)

    def read_secret(self, ref: SecretRef) -> SecretValue:
        """The value of a secret of this Worker, read now.

        Raises:
            PolicyDeniedError: The spec does not carry this secret, or no rule gives it.
            StoreError: Its source gives no value.
        """
        if ref not in self.spec.secrets:
            raise PolicyDeniedError(
                f"{ref} is not a secret of this Worker", power=str(ref), rule="default-deny"
            )
        return self._secrets.read(ref.name, Subject(self.spec.workspace, self.spec.profile))

    def read_environment(self, tool: Name) -> Mapping[str, SecretValue]:
        """The variables of a tool's process, read now; empty for a tool without any.

        Raises:
            PolicyDeniedError: The spec does not carry the tool, or a rule is gone.
            StoreError: A source gives no value.
        """
        for entry in self.spec.tools:
            if entry.name == tool:
                return {name: self.read_secret(ref) for name, ref in entry.environment.items()}
        raise PolicyDeniedError(
            f"tool:{tool} is not a tool of this Worker", power=f"tool:{tool}", rule="default-deny"
        )


def prepare_launch(
    resolved: Resolution | ResolvedWorkerSpec,
    policy: HostPolicy,
    secrets: SecretStore,
    tree: TreeReader,
    registry: PluginRegistry,
) -> LaunchPlan:
    """Put together what a Worker is started with; no secret is read yet.

    Args:
        resolved: The spec, or the resolution it is part of.
        policy: The rules in force now; they may be stricter than those of the resolution.
        secrets: The store over the same rules.
        tree: The bundle the spec was resolved from.
        registry: Plugins are registered here, after everything else is in order.

    Raises:
        DigestMismatchError: The tree, or a prompt in it, is not the one of the spec.
        PolicyDeniedError: The policy in force does not grant what the spec carries, or a plugin
            package is not the pinned one.
        StoreError: A mount's directory is missing.
        StoreCorruptError: Stored bytes are not what their name says.
    """
    spec = resolved.spec if isinstance(resolved, Resolution) else resolved
    if tree.digest != spec.bundle:
        raise DigestMismatchError(
            "the tree is not the one the spec was resolved from",
            expected=str(spec.bundle),
            actual=str(tree.digest),
        )
    subject = Subject(spec.workspace, spec.profile)
    for ref in spec.secrets:
        if find_secret_rule(policy.secret, ref.name, subject) is None:
            raise _no_longer(ref.power, "no [[secret]] rule in force gives it")
    mounts = tuple(_find_mount(mount, policy, subject) for mount in spec.mounts)
    entries = tree.entries()
    engine = spec.engine
    return LaunchPlan(
        spec=spec,
        mounts=mounts,
        system_prompt=_read_prompt(engine.system_prompt, tree, entries)
        if engine.system_prompt
        else None,
        prompts=tuple(_read_prompt(prompt, tree, entries) for prompt in engine.prompts),
        plugins=registry.register(spec, policy),
        _secrets=secrets,
    )


def _find_mount(mount: SpecMount, policy: HostPolicy, subject: Subject) -> LaunchMount:
    found = find_mount_rule(policy.mount, mount.ref.name, subject)
    if found is None:
        raise _no_longer(mount.ref, "no [[mount]] rule in force gives it")
    index, rule = found
    if mount.mode == "rw" and rule.mode == "ro":
        raise _no_longer(mount.ref, "the policy in force gives it read-only")
    path = _find_directory(Path(rule.path))
    if path is None:
        raise StoreError(
            f"the directory behind {mount.ref} is missing on this host",
            hint=f"look at mount[{index}] of the host policy",
            power=str(mount.ref),
            rule=f"mount[{index}]",
        )
    return LaunchMount(mount.ref, mount.mode, path)


def _find_directory(path: Path) -> Path | None:
    """The real directory behind a path, without links, or None."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if is_directory(real) else None


def _read_prompt(
    prompt: SpecPrompt, tree: TreeReader, entries: Mapping[RelativePath, BlobId]
) -> LaunchPrompt:
    held = entries.get(prompt.file)
    if held != prompt.blob:
        raise DigestMismatchError(
            f"the prompt {prompt.key} is not the one of the spec",
            expected=str(prompt.blob),
            actual=str(held) if held else None,
        )
    return LaunchPrompt(prompt.key, _body_of(tree.read(prompt.file).decode("utf-8")))


def _body_of(text: str) -> str:
    """The text after the ``+++`` fence; an unclosed fence was refused when the tree was checked."""
    parts = parse_front_matter(text)
    return parts.body if parts else text


def _no_longer(power: PowerRef, reason: str) -> PolicyDeniedError:
    return PolicyDeniedError(
        f"{power} is no longer granted: {reason}",
        hint="resolve again under the policy in force",
        power=str(power),
    )
