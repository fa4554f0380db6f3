"""What resolution gives: the spec, why it is so, and the receipt that lets others replay it.

None of these has a field for a secret value or a host path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import Field

from yoi_bundles.model.base import Model
from yoi_bundles.model.declarations import LanguageSettings, Scope, WorkerLimits, Workflow
from yoi_bundles.model.ids import (
    BlobId,
    CommitId,
    ContentHash,
    Digest,
    ModelRef,
    Name,
    PromptKey,
    RelativePath,
    WorkspaceId,
)
from yoi_bundles.model.powers import PowerRef, SecretRef
from yoi_bundles.model.request import Intent
from yoi_bundles.model.texts import Action, HostPattern, PublicUrl, Surface

Mode: TypeAlias = Literal["synced", "builtin"]


class FileRef(Model):
    """A file of the bundle by path and blob id."""

    file: RelativePath
    blob: BlobId


class Place(FileRef):
    """A line of a file of the bundle."""

    line: int = Field(ge=1)


class Layer(FileRef):
    """A profile that took part, base first."""

    profile: Name


class SpecPrompt(FileRef):
    """A prompt the Worker is given."""

    key: PromptKey


class SpecWorkflow(FileRef):
    """The workflow the Worker follows."""

    name: Name
    workflow: Workflow


class SpecEngine(Model):
    """How the Worker runs."""

    kind: Literal["tool-loop", "single-turn", "workflow"]
    system_prompt: SpecPrompt | None
    prompts: tuple[SpecPrompt, ...]
    workflow: SpecWorkflow | None


class SpecModelEntry(Model):
    """One model that may be called."""

    ref: ModelRef
    provider_kind: Name
    upstream: str
    endpoint: PublicUrl | None
    credential: SecretRef | None


class SpecModel(SpecModelEntry):
    """The model that is called, how, and the ones after it."""

    temperature: float | None
    max_output_tokens: int | None
    reasoning: Literal["off", "low", "medium", "high"] | None
    fallbacks: tuple[SpecModelEntry, ...]


class SpecTool(Model):
    """A tool the Worker may use, after both policies."""

    name: Name
    kind: Literal["builtin", "mcp-stdio", "plugin"]
    description: str
    action: Action
    """The stricter of the bundle's tool policy and the host's rule; never ``deny``."""
    external_write: bool
    input_schema: dict[str, Any]
    builtin: Name | None
    command: str | None
    arguments: tuple[str, ...]
    environment: dict[str, SecretRef]
    plugin: Name | None


class SpecPlugin(Model):
    """A plugin whose package the launcher may load, and the surfaces it may register."""

    name: Name
    package: str
    version: str
    digest: ContentHash
    size_bytes: int
    surfaces: tuple[Surface, ...]
    permissions: tuple[PowerRef, ...]


class SpecMount(Model):
    """A mount by its reference; only the launcher learns the path."""

    ref: PowerRef
    mode: Literal["ro", "rw"]


class SpecNetwork(Model):
    """Hosts that may be reached."""

    ref: PowerRef
    hosts: tuple[HostPattern, ...]


class SpecShell(Model):
    """Programs that may be started."""

    ref: PowerRef
    commands: tuple[str, ...]


class SpecGit(Model):
    """Git operations that may be done."""

    ref: PowerRef
    operations: tuple[str, ...]


class ResolvedWorkerSpec(Model):
    """What a Worker is built from, after policy.

    Its digest is the hash of its canonical JSON: bundle digest, policy digest and request give the
    same one on every machine. The worker id is not part of it.
    """

    spec_version: Literal[1] = 1
    mode: Mode
    workspace: WorkspaceId
    bundle: Digest
    profile: Name
    layers: tuple[Layer, ...]
    description: str
    intent: Intent
    language: LanguageSettings
    engine: SpecEngine
    model: SpecModel
    scope: Scope
    features: dict[Name, bool]
    tools: tuple[SpecTool, ...]
    plugins: tuple[SpecPlugin, ...]
    secrets: tuple[SecretRef, ...]
    mounts: tuple[SpecMount, ...]
    network: tuple[SpecNetwork, ...]
    shell: tuple[SpecShell, ...]
    git: tuple[SpecGit, ...]
    capabilities: tuple[PowerRef, ...]
    limits: WorkerLimits

    def powers(self) -> frozenset[PowerRef]:
        """Every power the spec carries."""
        found = {PowerRef.of("tool", tool.name) for tool in self.tools}
        found |= {PowerRef.of("plugin", plugin.name) for plugin in self.plugins}
        found |= {ref.power for ref in self.secrets}
        found |= {mount.ref for mount in self.mounts} | {entry.ref for entry in self.network}
        found |= {entry.ref for entry in self.shell} | {entry.ref for entry in self.git}
        return frozenset(found | set(self.capabilities))


class Decision(Model):
    """What was asked, where, what the host said, and by which rule."""

    power: PowerRef
    required: bool
    outcome: Literal["granted", "narrowed", "refused"]
    rule: str
    """A host policy rule (``secret[2]``, ``capabilities.shell``), ``default-deny``, ``request``,
    ``bundle-tool-policy`` or ``host-facts``."""
    reason: str
    asked_by: tuple[Place, ...]
    asked: dict[str, str | tuple[str, ...]] = {}
    """Scope asked for: ``hosts``, ``commands``, ``operations``, ``mode``, ``surfaces``…"""
    granted: dict[str, str | tuple[str, ...]] = {}


class FieldOrigin(Model):
    """Which layers set a field of the profile, base first; the last one counts."""

    field: str
    """Dotted path, for example ``model.ref``."""
    set_by: tuple[Place, ...]


class Receipt(Model):
    """(bundle digest, host policy digest, request) → spec digest; anyone can replay it."""

    mode: Mode
    workspace: WorkspaceId
    bundle: Digest
    commit: CommitId | None
    policy_digest: ContentHash
    request_digest: ContentHash
    spec_digest: ContentHash


@dataclass(frozen=True, slots=True)
class Resolution:
    """Everything resolution found out; safe to leave the host as a whole."""

    spec: ResolvedWorkerSpec
    spec_digest: ContentHash
    decisions: tuple[Decision, ...]
    explanation: tuple[FieldOrigin, ...]
    warnings: tuple[str, ...]
    receipt: Receipt
