"""``grants/<name>.toml``: what a bundle asks of the host, one model per kind."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from yoi_bundles.model.base import Model
from yoi_bundles.model.ids import Name
from yoi_bundles.model.texts import HostPattern, Line, ProgramName


class _Grant(Model):
    description: Line
    """Why it is needed; operators read this before they grant it."""


class SecretGrant(_Grant):
    """A secret the host must supply; its name here is all a bundle knows of it."""

    kind: Literal["secret"]


class MountGrant(_Grant):
    """A directory the host must supply."""

    kind: Literal["mount"]
    mode: Literal["ro", "rw"] = "ro"


class NetworkGrant(_Grant):
    """Hosts to be reached."""

    kind: Literal["network"]
    hosts: Annotated[tuple[HostPattern, ...], Field(min_length=1)]


class ShellGrant(_Grant):
    """Programs to be started."""

    kind: Literal["shell"]
    commands: Annotated[tuple[ProgramName | Literal["*"], ...], Field(min_length=1)]


class GitGrant(_Grant):
    """Git operations."""

    kind: Literal["git"]
    operations: Annotated[
        tuple[Literal["read", "commit", "branch", "push"], ...], Field(min_length=1)
    ]


class CapabilityGrant(_Grant):
    """Any other named power: the file's name is the capability."""

    kind: Literal["capability"]


class ToolGrant(_Grant):
    """Asks for a tool that writes outside the Worker's mounts."""

    kind: Literal["tool"]
    tool: Name


class PluginGrant(_Grant):
    """Asks for a plugin."""

    kind: Literal["plugin"]
    plugin: Name


Grant: TypeAlias = Annotated[
    SecretGrant
    | MountGrant
    | NetworkGrant
    | ShellGrant
    | GitGrant
    | CapabilityGrant
    | ToolGrant
    | PluginGrant,
    Field(discriminator="kind"),
]
