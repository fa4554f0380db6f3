"""Powers: what a bundle may ask of a host, and the references that name them.

A reference can hold only a kind and a name, so neither a secret's value nor a path fits into one.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias, get_args

from yoi_bundles.model.ids import Name, TextValue

PowerKind: TypeAlias = Literal[
    "secret", "mount", "network", "shell", "git", "tool", "plugin", "capability"
]
"""Kinds of power; each but ``tool`` and ``plugin`` is declared in ``grants/<name>.toml``."""

POWER_KINDS: tuple[PowerKind, ...] = get_args(PowerKind)

_NAME = r"[a-z0-9][a-z0-9-]{0,62}"


class PowerRef(TextValue):
    """``kind:name``, for example ``secret:tracker-token`` or ``shell:run-tests``."""

    __slots__ = ()
    kinds: ClassVar[tuple[PowerKind, ...]] = POWER_KINDS
    pattern = rf"(?:{'|'.join(POWER_KINDS)}):{_NAME}"
    max_length = 80
    what = "power reference (kind:name)"

    @classmethod
    def of(cls, kind: PowerKind, name: Name) -> PowerRef:
        """The reference to one power; always a plain `PowerRef`, whatever the class."""
        return PowerRef(f"{kind}:{name}")

    @property
    def kind(self) -> PowerKind:
        """The part before the colon."""
        return self._text.partition(":")[0]  # type: ignore[return-value]

    @property
    def name(self) -> Name:
        """The part after the colon."""
        return Name(self._text.partition(":")[2])

    @property
    def power(self) -> PowerRef:
        """The same reference without the narrower type, so that sets of powers compare."""
        return PowerRef(self._text)


class SecretRef(PowerRef):
    """``secret:name``; declared in ``grants/<name>.toml`` with ``kind = "secret"``."""

    __slots__ = ()
    kinds = ("secret",)
    pattern = rf"secret:{_NAME}"
    what = "secret reference (secret:name)"


class MountRef(PowerRef):
    """``mount:name``; only the host knows the path behind it."""

    __slots__ = ()
    kinds = ("mount",)
    pattern = rf"mount:{_NAME}"
    what = "mount reference (mount:name)"


class NetworkRef(PowerRef):
    """``network:name``; a set of hosts declared in ``grants/<name>.toml``."""

    __slots__ = ()
    kinds = ("network",)
    pattern = rf"network:{_NAME}"
    what = "network reference (network:name)"


class CapabilityRef(PowerRef):
    """``shell:name``, ``git:name`` or ``capability:name``."""

    __slots__ = ()
    kinds = ("shell", "git", "capability")
    pattern = rf"(?:shell|git|capability):{_NAME}"
    what = "capability reference (shell:, git: or capability:name)"
