"""Host policy as data: what this host grants, to which workspaces and profiles. Default deny.

Source: docs/policy.md. The file itself is read and its safety checked in ``runtime/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from yoi_bundles.model.base import Model
from yoi_bundles.model.declarations import WorkerLimits
from yoi_bundles.model.ids import ContentHash, Name, WorkspaceId
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS, RequestLimits
from yoi_bundles.model.texts import Action, HostPattern, Line, ProgramName, Surface

Glob: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?._-]{1,63}$")]
PowerGlob: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z*]{1,12}:[a-z0-9*?-]{1,63}$")
]

HostPath: TypeAlias = Annotated[
    str, StringConstraints(max_length=1024, pattern=r"^(?:/|[A-Za-z]:[\\/])[^\x00-\x1f\x7f]*$")
]
"""An absolute path on this host. Never leaves it."""


class _Scoped(Model):
    """A rule holds for these workspaces and profiles (globs)."""

    workspaces: tuple[Glob, ...] = ("*",)
    profiles: tuple[Glob, ...] = ("*",)


class BundleRules(Model):
    """``[bundles]``: which bundles may be used, and when one must be."""

    required_for: tuple[Literal["always", "remote", "plugins"], ...] = ("always",)
    """``always``; ``remote``: requests over the network; ``plugins``: profiles that use one."""
    builtin_fallback: bool = False
    """Whether Workers may be made from the builtin profiles at all."""
    workspaces: tuple[Glob, ...] = ()
    """Workspaces whose bundles are accepted."""
    honour_allow_list: bool = True
    """Whether a bundle's own ``policies/allow.toml`` may silence the text scan."""
    max_behind: Annotated[int, Field(ge=0)] | None = None
    """How many revisions a bundle may be behind the newest held one to make new Workers from; 0 is
    the newest alone, None any held one."""
    stale_warn_seconds: Annotated[int, Field(ge=1)] | None = None
    stale_refuse_seconds: Annotated[int, Field(ge=1)] | None = None


class TrustRules(Model):
    """``[trust]``: whose commits are believed."""

    signature_required: bool = False
    allowed_signers_file: HostPath | None = None
    revoked_keys_file: HostPath | None = None
    """Keys that are believed no longer, whenever they signed: a list of public keys, or a KRL."""
    principals: dict[WorkspaceId, tuple[Line, ...]] = {}
    """Who may sign for a workspace; a workspace not listed takes any allowed signer."""

    @model_validator(mode="after")
    def _signers_are_named(self) -> TrustRules:
        if self.signature_required and self.allowed_signers_file is None:
            raise ValueError("signature_required needs allowed_signers_file")
        if self.revoked_keys_file is not None and self.allowed_signers_file is None:
            raise ValueError("revoked_keys_file needs allowed_signers_file")
        return self


class HostLimits(Model):
    """``[limits]``: upper bounds of Workers, of what is received, and of callers."""

    worker: WorkerLimits = WorkerLimits()
    receive: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")], Annotated[int, Field(ge=1)]
    ] = {}
    """Fields of `yoi_bundles.model.limits.Limits`."""
    requests: RequestLimits = DEFAULT_REQUEST_LIMITS
    """Of each caller of the Runtime's own API."""


class CapabilityRule(_Scoped):
    """``[capabilities.<name>]``; ``shell`` and ``git`` are the two with a scope of their own."""

    allow: bool = True
    names: tuple[Glob, ...] = ("*",)
    """For ``shell`` and ``git``: which of the bundle's grants (``shell:run-tests``)."""
    commands: tuple[ProgramName | Literal["*"], ...] = ()
    """``shell``: programs that may be started; ``*`` is any."""
    operations: tuple[Literal["read", "commit", "branch", "push"], ...] = ()
    """``git``."""


class NetworkRule(_Scoped):
    """``[[network]]``: hosts that may be reached."""

    hosts: Annotated[tuple[HostPattern | Literal["*"], ...], Field(min_length=1)]


class MountRule(_Scoped):
    """``[[mount]]``: the real directory behind ``mount:<name>``."""

    name: Name
    path: HostPath
    mode: Literal["ro", "rw"] = "ro"


class SecretRule(_Scoped):
    """``[[secret]]``: where the value of ``secret:<name>`` comes from; exactly one source."""

    name: Name
    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] | None = None
    file: HostPath | None = None
    command: tuple[Line, ...] | None = None
    """Program and arguments; its standard output without the last line end is the value."""

    @model_validator(mode="after")
    def _one_source(self) -> SecretRule:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("a secret has exactly one of env, file and command")
        if self.command is not None and not self.command:
            raise ValueError("command needs a program")
        return self


class PluginRule(_Scoped):
    """``[[plugin]]``: one package, exactly, and what it may register."""

    package: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    digest: ContentHash
    path: HostPath
    """The package file on this host."""
    surfaces: tuple[Surface, ...] = ()
    permissions: tuple[PowerGlob, ...] = ()


class HostToolRule(_Scoped):
    """``[[tool]]``: the first rule that names a tool decides; a tool no rule names is denied."""

    tools: Annotated[tuple[Glob, ...], Field(min_length=1)]
    action: Action = "allow"
    programs: tuple[ProgramName | Literal["*"], ...] = ()
    """Programs that a tool of kind ``mcp-stdio`` may be; ``*`` is any, none by default."""


class HostPolicy(Model):
    """The whole file. An empty one grants nothing and accepts nothing."""

    schema_number: Literal[1] = Field(alias="schema")
    bundles: BundleRules = BundleRules()
    trust: TrustRules = TrustRules()
    limits: HostLimits = HostLimits()
    capabilities: dict[Name, CapabilityRule] = {}
    network: tuple[NetworkRule, ...] = ()
    mount: tuple[MountRule, ...] = ()
    secret: tuple[SecretRule, ...] = ()
    plugin: tuple[PluginRule, ...] = ()
    tool: tuple[HostToolRule, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the shell saw on this host and the pure resolver needs to know.

    Args:
        present_secrets: Names of ``[[secret]]`` rules whose source exists; no value was read.
        present_mounts: Names of ``[[mount]]`` rules whose path is a directory.
        absent_rules: Rules (``secret[1]``, ``mount[0]``) whose source is missing, where another
            rule of the same name has one.
        packages: (package, version) → (hash, size in bytes) of the package files on this host.
        features: What this Runtime supports, for ``requires`` of a manifest.
        origin: Whether the request came over the network.
    """

    present_secrets: frozenset[Name] = frozenset()
    present_mounts: frozenset[Name] = frozenset()
    absent_rules: frozenset[str] = frozenset()
    packages: Mapping[tuple[str, str], tuple[ContentHash, int]] = field(default_factory=dict)
    features: frozenset[Name] = frozenset()
    origin: Literal["embedded", "remote"] = "embedded"


RUNTIME_FEATURES: frozenset[Name] = frozenset(
    Name(text)
    for text in (
        "tool-loop",
        "single-turn",
        "tool-policy",
        "plugins",
        "workflows",
        "mounts",
        "secrets",
    )
)
"""Features this version of the Runtime supports."""
