"""Which rules a text can match at all, told from its shape: most prose can match none.

Nearly every secret is a long run of characters that tokens are made of, and prose has no such run.
One byte translation and a few searches find that out at the speed of memory; only a text that fails
is searched for the rules' keywords. The filter never drops a rule that would match: a test compares
it with the rules alone.

Source: docs/format.md, "Forbidden material".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from yoi_bundles.content.material_rules import RULES, Rule
from yoi_bundles.content.shape import TOKEN_CLASS

RUN_LENGTH = 16
"""Every rule but the two below needs a run of at least as many token characters."""

FOLDED = "\u0130\u0131\u017f\u212a"
"""Letters beyond ASCII that a pattern which ignores case takes for ASCII ones."""

RUN = TOKEN_CLASS * RUN_LENGTH
"""What to look for in the classes of a text, of `classify`."""

_ASSIGNMENTS = tuple(
    (mark, re.compile(mark + rb"[\t-\r\x1c-\x20\x80-\xff]*+[\"'`/]")) for mark in (b":", b"=", b">")
)
"""A mark, and it with something like a quote after it, at most space and letters beyond ASCII
between. A slash counts as a quote: with a colon before it, it may begin an address with a password.
One pattern for each mark, as the search for a pattern that begins with one byte is quick."""

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
    if RUN in classes or (not text.isascii() and any(letter in text for letter in FOLDED)):
        return _find_present(text, RULES, _KEYWORDS)
    if any(pattern.search(data) for pattern in assignments_in(data)):
        return _find_present(text, _SHORT, _SHORT_KEYWORDS)
    return ()


def assignments_in(data: bytes) -> list[re.Pattern[bytes]]:
    """Patterns of which one is found before every secret that is shorter than `RUN_LENGTH`.

    Args:
        data: A text in UTF-8; patterns that cannot match in it are left out.
    """
    return [pattern for mark, pattern in _ASSIGNMENTS if mark in data]


def _find_present(text: str, rules: Sequence[Rule], keywords: frozenset[str]) -> list[Rule]:
    """The rules of which a keyword stands in the text."""
    lowered = text.lower()
    present = {word for word in keywords if word in lowered}
    return [rule for rule in rules if not present.isdisjoint(rule.keywords)]
