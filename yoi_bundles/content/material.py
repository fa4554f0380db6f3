"""Secrets in text: found by rule, reported by kind and fingerprint, never repeated.

Source: docs/format.md, "Forbidden material"; docs/adr/0006-allow-list-in-the-tree.md.
"""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from yoi_bundles.content.findings import MATERIAL, shown_file
from yoi_bundles.content.material_filter import select_rules
from yoi_bundles.content.material_rules import Rule
from yoi_bundles.content.shape import classify
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import RelativePath

MAX_MATCHES = 200
"""Secrets looked for in one file; `scan_text` returns one more if there are more."""

_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")


class Match(NamedTuple):
    """A secret in a text: its kind and place, not its bytes.

    Args:
        fingerprint: Same for the same secret in the same file wherever its line moves.
    """

    rule: str
    what: str
    file: RelativePath
    line: int
    fingerprint: str

    def finding(self) -> Finding:
        """What the author of the file is told."""
        return Finding(
            file=shown_file(self.file),
            line=self.line,
            code=MATERIAL,
            message=f"this looks like {self.what} (rule {self.rule})",
            hint="revoke it, keep it in the host's secret store and refer to it as secret:<name>; "
            f"a false alarm goes into policies/allow.toml with fingerprint {self.fingerprint}",
            fingerprint=self.fingerprint,
        )


def scan_text(
    path: RelativePath, text: str, data: bytes | None = None, classes: bytes | None = None
) -> list[Match]:
    """Secrets in one file's text, each place reported once, in line order.

    Args:
        path: The file.
        text: Its text.
        data: The text in UTF-8, if that is at hand.
        classes: Those of its bytes, if `classify` has been asked.

    Returns:
        At most `MAX_MATCHES` + 1 matches.
    """
    rules = _select_rules(text, data, classes)
    if not rules:
        return []
    matches = [
        Match(
            rule.id,
            rule.what,
            path,
            text.count("\n", 0, start) + 1,
            _fingerprint(rule, path, text[start:end]),
        )
        for rule, start, end in islice(_find_secrets(text, rules), MAX_MATCHES + 1)
    ]
    return sorted(matches, key=lambda match: (match.line, match.rule))


def redact(text: str) -> str:
    """The text with a stand-in for every secret in it."""
    found = list(_find_secrets(text, _select_rules(text)))
    for _, start, end in sorted(found, key=lambda hit: hit[1], reverse=True):
        text = f"{text[:start]}(hidden){text[end:]}"
    return text


def _select_rules(
    text: str, data: bytes | None = None, classes: bytes | None = None
) -> Sequence[Rule]:
    raw = text.encode("utf-8", "surrogatepass") if data is None else data
    return select_rules(text, raw, classify(raw) if classes is None else classes)


def _find_secrets(text: str, rules: Sequence[Rule]) -> Iterator[tuple[Rule, int, int]]:
    """Rule and span of each secret; no two spans overlap."""
    taken: list[tuple[int, int]] = []
    for rule in rules:
        group = "secret" if "secret" in rule.pattern.groupindex else 0
        for found in rule.pattern.finditer(text):
            start, end = found.span(group)
            place = bisect(taken, (start, end))
            if _overlaps(taken, place, start, end) or not _is_random_enough(rule, text[start:end]):
                continue
            taken.insert(place, (start, end))
            yield rule, start, end


def _overlaps(taken: list[tuple[int, int]], place: int, start: int, end: int) -> bool:
    """Whether a span overlaps its neighbour on either side; ``taken`` is sorted and disjoint."""
    return (place > 0 and taken[place - 1][1] > start) or (
        place < len(taken) and taken[place][0] < end
    )


def _is_random_enough(rule: Rule, secret: str) -> bool:
    if rule.mixed and not (_DIGIT.search(secret) and _LETTER.search(secret)):
        return False
    return entropy_of(secret) >= rule.min_entropy


def entropy_of(text: str) -> float:
    """Shannon entropy in bits per character; 0 for an empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def _fingerprint(rule: Rule, path: RelativePath, secret: str) -> str:
    facts = f"{rule.id}\0{path}\0{secret}".encode()
    return hashlib.sha256(facts).hexdigest()[:32]
