"""Which rules a text can match at all, told from its shape: most prose can match none.

Nearly every secret is a long run of characters that tokens are made of, and prose has no such run.
Two byte translations and two searches find that out at the speed of memory; only a text that fails
is searched for the rules' keywords. The filter never drops a rule that would match: a test compares
it with the rules alone.

Source: docs/format.md, "Forbidden material".
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from yoi_bundles.content.material_rules import RULES, Rule
from yoi_bundles.content.shape import TOKEN_CLASS

RUN_LENGTH = 16
"""Every rule but the two below needs a run of at least as many token characters."""

FOLDED = "\u0130\u0131\u017f\u212a"
"""Letters beyond ASCII that a pattern which ignores case takes for ASCII ones."""

_RUN = TOKEN_CLASS * RUN_LENGTH

# A slash counts as a quote: with a colon before it, it may begin an address with a password.
_MARKS = bytes(
    0x3A if byte in b":=>" else 0x22 if byte in b"\"'`/" else byte for byte in range(256)
)
_NOT_ASCII_OR_SPACE = bytes(
    byte
    for byte in range(256)
    if byte >= 0x80 or chr(byte) in string.whitespace + "\x1c\x1d\x1e\x1f"
)
_ASSIGNMENT = b':"'

_SHORT = tuple(rule for rule in RULES if rule.id in {"url-password", "assigned-secret"})
"""Rules whose secret may be short."""

_KEYWORDS = frozenset(word for rule in RULES for word in rule.keywords)
_SHORT_KEYWORDS = frozenset(word for rule in _SHORT for word in rule.keywords)


def select_rules(text: str, data: bytes, classes: bytes) -> Sequence[Rule]:
    """The rules that may match somewhere in a text, in their order.

    Args:
        text: Any text.
        data: It in UTF-8.
        classes: Those of its bytes, of `classify`.
    """
    if _RUN in classes or (not text.isascii() and any(letter in text for letter in FOLDED)):
        return _find_present(text, RULES, _KEYWORDS)
    if _ASSIGNMENT in data.translate(_MARKS, _NOT_ASCII_OR_SPACE):
        return _find_present(text, _SHORT, _SHORT_KEYWORDS)
    return ()


def _find_present(text: str, rules: Sequence[Rule], keywords: frozenset[str]) -> list[Rule]:
    """The rules of which a keyword stands in the text."""
    lowered = text.lower()
    present = {word for word in keywords if word in lowered}
    return [rule for rule in rules if not present.isdisjoint(rule.keywords)]
