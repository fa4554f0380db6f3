"""Constrained texts that the declarations are made of: none has room for a path or a secret."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from yoi_bundles.model.ids import TextValue
from yoi_bundles.model.record import Rule

_STEERING = r"\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff"
TEXT_PATTERN = rf"^[^\x00-\x08\x0b-\x1f{_STEERING}]*$"
"""Text without what steers a terminal or turns its letters around; tabs and line ends may be."""
LINE_CLASS = rf"[^\x00-\x1f\u2028\u2029{_STEERING}]"
"""One character of a line."""

UNSEEN = re.compile(rf"[\x00-\x08\x0b-\x1f{_STEERING}\U000e0000-\U000e007f]")
"""What no text of ours holds: controls but TAB and LF, bidirectional embeddings, overrides and
isolates, byte order marks, tag characters.

Source: docs/format.md, "Text"; Unicode Technical Report 36 (bidirectional overrides).
"""

Line: TypeAlias = Annotated[str, Rule(min_length=1, max_length=400, pattern=f"^{LINE_CLASS}+$")]
"""One line of text for people."""

Text: TypeAlias = Annotated[str, Rule(max_length=20_000, pattern=TEXT_PATTERN)]

Label: TypeAlias = Annotated[str, Rule(max_length=120, pattern=f"^{LINE_CLASS}*$")]

LanguageTag: TypeAlias = Annotated[
    str, Rule(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)
]
"""BCP 47, for example ``en``, ``de-CH``, ``ja``."""

PublicUrl: TypeAlias = Annotated[
    str,
    Rule(
        max_length=400,
        pattern=r"^(?:https?|ssh|git)://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$",
    ),
]
"""A URL without userinfo, query or fragment: no place for a token."""

HostPattern: TypeAlias = Annotated[
    str,
    Rule(
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
    pattern = rf"(?!/|~|[A-Za-z]:)(?!(?:.*/)?\.\.(?:/|$))(?:(?!\\){LINE_CLASS})+"
    max_length = 200
    what = "scope pattern (a relative glob without '..')"


ProgramName: TypeAlias = Annotated[
    str, Rule(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
]
"""A program as the host's PATH finds it; never a path."""

Surface: TypeAlias = Literal["tool", "service", "ingress", "hook"]
Action: TypeAlias = Literal["allow", "ask", "deny"]

CommitText: TypeAlias = Annotated[str, Rule(max_length=65_536)]
"""A whole commit, signature and all, as git keeps it."""

PushToken: TypeAlias = Annotated[str, Rule(min_length=32, max_length=400, pattern=r"^[!-~]+$")]
"""A token of a Runtime's own API; kept out of every `repr`."""
