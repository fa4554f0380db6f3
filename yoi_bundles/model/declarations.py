"""The files of a bundle's tree as values, one model per kind of file.

Source: docs/format.md, "The bundle tree, schema 1". JSON Schemas are generated from these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import ContentHash, ModelRef, Name, PromptKey, WorkspaceId
from yoi_bundles.model.powers import (
    CapabilityRef,
    MountRef,
    NetworkRef,
    PowerRef,
    SecretRef,
)
from yoi_bundles.model.texts import (
    Action,
    Label,
    LanguageTag,
    Line,
    ProgramName,
    PublicUrl,
    ScopePattern,
    Surface,
    Text,
)

# --- bundle.toml ---------------------------------------------------------------------


class WorkspaceInfo(Model):
    """``[workspace]``: whose configuration this is."""

    id: WorkspaceId
    name: Line
    description: Text = ""
    labels: dict[Name, Label] = {}


class ProjectInfo(Model):
    """``[project]``: what the Workers work on."""

    name: Line | None = None
    description: Text = ""
    repository: PublicUrl | None = None
    homepage: PublicUrl | None = None
    owners: tuple[Line, ...] = ()
    tags: tuple[Name, ...] = ()


class LanguageSettings(Model):
    """``[language]``: which human languages Workers read and write."""

    primary: LanguageTag = "en"
    replies: LanguageTag | None = None
    commit_messages: LanguageTag | None = None
    documents: LanguageTag | None = None


class Manifest(Model):
    """``bundle.toml``."""

    schema_number: Literal[1] = Field(alias="schema")
    default_profile: Name
    requires: tuple[Name, ...] = ()
    """Features the Runtime must support."""
    workspace: WorkspaceInfo
    project: ProjectInfo = ProjectInfo()
    language: LanguageSettings = LanguageSettings()


# --- profiles/<name>.toml ------------------------------------------------------------


class Engine(Model):
    """``[engine]``: how the Worker runs and what it is told."""

    kind: Literal["tool-loop", "single-turn", "workflow"] | None = None
    system_prompt: PromptKey | None = None
    prompts: tuple[PromptKey, ...] = ()
    """Further prompts, in this order, after the system prompt."""
    workflow: Name | None = None


class ModelChoice(Model):
    """``[model]``: which model, and how it is sampled."""

    ref: ModelRef | None = None
    fallbacks: tuple[ModelRef, ...] = ()
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    reasoning: Literal["off", "low", "medium", "high"] | None = None


class Scope(Model):
    """``[scope]``: which files of its mounts a Worker is meant to look at and change."""

    include: tuple[ScopePattern, ...] = ()
    exclude: tuple[ScopePattern, ...] = ()


class NameUse(Model):
    """Names a profile uses: without the required ones it cannot work."""

    required: tuple[Name, ...] = ()
    optional: tuple[Name, ...] = ()


class SecretUse(Model):
    """``[secrets]``."""

    required: tuple[SecretRef, ...] = ()
    optional: tuple[SecretRef, ...] = ()


class MountUse(Model):
    """``[mounts]``."""

    required: tuple[MountRef, ...] = ()
    optional: tuple[MountRef, ...] = ()


class NetworkUse(Model):
    """``[network]``."""

    required: tuple[NetworkRef, ...] = ()
    optional: tuple[NetworkRef, ...] = ()


class CapabilityUse(Model):
    """``[capabilities]``."""

    required: tuple[CapabilityRef, ...] = ()
    optional: tuple[CapabilityRef, ...] = ()


class WorkerLimits(Model):
    """``[limits]``: bounds of one Worker; the host may only lower them."""

    max_turns: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_tool_calls: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    max_wall_seconds: Annotated[int, Field(ge=1, le=31 * 86_400)] | None = None
    max_total_tokens: Annotated[int, Field(ge=1, le=10**12)] | None = None
    max_cost_cents: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Profile(Model):
    """``profiles/<name>.toml``: a recipe for a Worker, alone or after inheritance.

    Along ``extends`` tables merge deep, scalars and arrays are replaced by the child;
    ``description``, ``abstract`` and ``extends`` are never inherited.
    """

    description: Line
    extends: Name | None = None
    abstract: bool = False
    """A base for others: no selector may name it."""
    engine: Engine = Engine()
    model: ModelChoice = ModelChoice()
    scope: Scope = Scope()
    features: dict[Name, bool] = {}
    tools: NameUse = NameUse()
    plugins: NameUse = NameUse()
    secrets: SecretUse = SecretUse()
    mounts: MountUse = MountUse()
    network: NetworkUse = NetworkUse()
    capabilities: CapabilityUse = CapabilityUse()
    limits: WorkerLimits = WorkerLimits()


# --- prompts, workflows --------------------------------------------------------------


class PromptHeader(Model):
    """The optional ``+++`` fence at the top of a prompt."""

    description: Line | None = None
    variables: tuple[Name, ...] = ()
    """Names the engine fills in, written ``{{name}}`` in the text."""


class WorkflowStep(Model):
    """One step of a workflow."""

    id: Name
    title: Line
    profile: Name | None = None
    """Who does it; the Worker itself if not set."""
    prompt: PromptKey | None = None
    after: tuple[Name, ...] = ()
    """Steps that must be done before this one."""
    gate: Literal["none", "human", "tests"] = "none"


class WorkflowDefinition(Model):
    """``workflows/<name>.toml`` with its steps in the tree (and prose in ``<name>.md``)."""

    kind: Literal["definition"]
    description: Line
    steps: Annotated[tuple[WorkflowStep, ...], Field(min_length=1, max_length=100)]


class WorkflowReference(Model):
    """``workflows/<name>.toml`` naming a workflow kept elsewhere, pinned by its hash."""

    kind: Literal["reference"]
    description: Line
    uri: PublicUrl
    digest: ContentHash
    size_bytes: Annotated[int, Field(ge=1, le=2**31)]


Workflow: TypeAlias = Annotated[WorkflowDefinition | WorkflowReference, Field(discriminator="kind")]


# --- tools and tool policy -----------------------------------------------------------


class Tool(Model):
    """``tools/<name>.toml``: a tool declaration."""

    kind: Literal["builtin", "mcp-stdio", "plugin"]
    description: Line
    external_write: bool = False
    """Whether it changes things outside the Worker's mounts; such a tool needs a grant file."""
    needs: tuple[PowerRef, ...] = ()
    """Powers without which it does not work."""
    input_schema: dict[str, Any] = {"type": "object"}
    """JSON Schema 2020-12 of its input."""
    builtin: Name | None = None
    """``builtin``: the Runtime's own tool; the file's name if not set."""
    command: ProgramName | None = None
    """``mcp-stdio``: the program, found on the host's PATH."""
    arguments: tuple[Line, ...] = ()
    """``mcp-stdio``: its arguments."""
    environment: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")], SecretRef
    ] = {}
    """``mcp-stdio``: variables, filled from secrets only."""
    plugin: Name | None = None
    """``plugin``: which plugin's tool surface."""

    @model_validator(mode="after")
    def _kind_has_its_fields(self) -> Tool:
        if (self.kind == "mcp-stdio") != (self.command is not None):
            raise ValueError('command belongs to kind = "mcp-stdio", which needs it')
        if (self.kind == "plugin") != (self.plugin is not None):
            raise ValueError('plugin belongs to kind = "plugin", which needs it')
        if self.builtin is not None and self.kind != "builtin":
            raise ValueError('builtin belongs to kind = "builtin"')
        if (self.environment or self.arguments) and self.kind != "mcp-stdio":
            raise ValueError('environment and arguments belong to kind = "mcp-stdio"')
        return self


class ToolRule(Model):
    """One ``[[rules]]`` entry of ``policies/tools.toml``; the first match decides."""

    tools: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?-]{1,63}$")], ...],
        Field(min_length=1),
    ]
    """Tool names or globs."""
    profiles: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?-]{1,63}$")], ...] = ("*",)
    action: Action
    reason: Line | None = None


class ToolPolicy(Model):
    """``policies/tools.toml``."""

    default: Action = "ask"
    rules: tuple[ToolRule, ...] = ()


class AllowedFinding(Model):
    """One ``[[allow]]`` entry of ``policies/allow.toml``: a false alarm of the text scan."""

    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    reason: Line


class AllowList(Model):
    """``policies/allow.toml``: what the text scan is to overlook; structural rules know no list."""

    allow: tuple[AllowedFinding, ...] = ()


# --- plugins, models -----------------------------------------------------------------


class Plugin(Model):
    """``plugins/<name>.toml``: a plugin descriptor; the package itself only the host supplies."""

    description: Line
    package: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    version: Annotated[
        str,
        StringConstraints(
            pattern=r"^[0-9]+(\.[0-9]+){0,3}((a|b|rc)[0-9]+)?(\.post[0-9]+)?$", max_length=40
        ),
    ]
    """Exactly one version (PEP 440 final, pre- or post-release)."""
    digest: ContentHash
    size_bytes: Annotated[int, Field(ge=1, le=2**31)]
    surfaces: Annotated[tuple[Surface, ...], Field(min_length=1)]
    permissions: tuple[PowerRef, ...] = ()


class ModelEntry(Model):
    """One ``[models.<name>]`` table."""

    upstream: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}$")]
    """The provider's own name for it."""
    description: Line | None = None
    context_tokens: Annotated[int, Field(ge=1, le=10**9)]
    max_output_tokens: Annotated[int, Field(ge=1, le=10**9)]
    modalities: tuple[Literal["text", "image", "audio", "document"], ...] = ("text",)
    supports_tools: bool = True


class Provider(Model):
    """``models/<provider>.toml``."""

    kind: Name
    """The client the Runtime uses: ``anthropic``, ``openai-compatible``, ``local`` …"""
    description: Line
    credential: SecretRef | None = None
    endpoint: PublicUrl | None = None
    network: NetworkRef | None = None
    """What it must reach; asked of the host with every profile that uses a model of it."""
    models: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")], ModelEntry
    ]
