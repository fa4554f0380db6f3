"""Constrained texts that the declarations are made of: none has room for a path or a secret."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import StringConstraints

from yoi_bundles.model.ids import TextValue

Line: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")
]
"""One line of text for people."""

Text: TypeAlias = Annotated[str, StringConstraints(max_length=20_000)]

Label: TypeAlias = Annotated[str, StringConstraints(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]

LanguageTag: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)
]
"""BCP 47, for example ``en``, ``de-CH``, ``ja``."""

PublicUrl: TypeAlias = Annotated[
    str,
    StringConstraints(
        max_length=400,
        pattern=r"^(?:https?|ssh|git)://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$",
    ),
]
"""A URL without userinfo, query or fragment: no place for a token."""

HostPattern: TypeAlias = Annotated[
    str,
    StringConstraints(
        max_length=260,
        pattern=(
            r"^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
            r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]"
            r"|6553[0-5]))?$"
        ),
    ),
]
"""``host``, ``host:port`` or ``*.domain[:port]``; without a port: 443."""


class ScopePattern(TextValue):
    """A glob relative to a mount's root: never absolute, never upwards."""

    __slots__ = ()
    pattern = r"(?!/|~|[A-Za-z]:)(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f\\]+"
    max_length = 200
    what = "scope pattern (a relative glob without '..')"


ProgramName: TypeAlias = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
]
"""A program as the host's PATH finds it; never a path."""

Surface: TypeAlias = Literal["tool", "service", "ingress", "hook"]
Action: TypeAlias = Literal["allow", "ask", "deny"]

CommitText: TypeAlias = Annotated[str, StringConstraints(max_length=65_536)]
"""A whole commit, signature and all, as git keeps it."""

PushToken: TypeAlias = Annotated[
    str, StringConstraints(min_length=32, max_length=400, pattern=r"^[!-~]+$")
]
"""A token of a Runtime's own API; kept out of every `repr`."""
