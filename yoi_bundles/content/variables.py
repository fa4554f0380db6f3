"""A prompt's ``{{name}}`` variables: declared in its header if and only if its text uses them.

Source: docs/format.md, "Prompts".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from yoi_bundles.content.findings import INVALID, finding_at, near_hint, shown_word
from yoi_bundles.content.front_matter import FrontMatter
from yoi_bundles.model.bundle import Source
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Name

# `${{ ... }}` is an expression of some build services, which prompts may quote.
_VARIABLE = re.compile(r"(?<!\$)\{\{([^{}\n]{1,80})\}\}")
MAX_FAULTS = 200
"""Variables complained about in one prompt."""

_NAME = re.compile(Name.pattern)


def find_variable_faults(
    variables: Sequence[Name], parts: FrontMatter, source: Source
) -> list[Finding]:
    """Variables used and not declared, declared and not used, or not named as they must be.

    Args:
        variables: Those that the header declares.
        parts: The prompt.
        source: Its file.
    """
    # A search for one character runs at the speed of memory, one for two does not, and the
    # pattern is tried at every character.
    if not variables and ("{" not in parts.body or "{{" not in parts.body):
        return []
    declared = {str(name) for name in variables}
    used: set[str] = set()
    findings: list[Finding] = []
    for found in _VARIABLE.finditer(parts.body):
        name = found.group(1)
        fault = _find_fault(name, declared) if name not in used else None
        used.add(name)
        if fault is not None and len(findings) < MAX_FAULTS:
            line = parts.body_line + parts.body.count("\n", 0, found.start())
            message, hint = fault
            findings.append(
                Finding(file=str(source.file), line=line, code=INVALID, message=message, hint=hint)
            )
    for index, declared_name in enumerate(variables):
        if str(declared_name) not in used:
            message = f"the variable `{declared_name}` is declared and never used"
            findings.append(finding_at(source, ("variables", index), message))
    return findings


def _find_fault(name: str, declared: set[str]) -> tuple[str, str] | None:
    if name in declared:
        return None
    if _NAME.fullmatch(name):
        return (
            f"the variable `{name}` is used and not declared",
            near_hint(name, declared, what="declared in `variables`"),
        )
    return (
        f"{shown_word(name)} is not a variable's name",
        "write `{{name}}`: lower-case letters, digits and `-`, no spaces",
    )
