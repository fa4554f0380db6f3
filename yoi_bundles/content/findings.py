"""Findings: how they are worded, ordered, capped and raised.

A finding never repeats a value of the tree unless the value has been parsed as a name or a
reference: what does not parse could be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NoReturn

from yoi_bundles.errors import BundleError, Fact, InvalidManifestError, error_classes
from yoi_bundles.model.bundle import KeyPath, Source
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits

UNSUPPORTED = "unsupported_declaration"
INVALID = "invalid_manifest"
MATERIAL = "forbidden_material"
PATH = "forbidden_path"
TOO_LARGE = "too_large"

_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_LONG_DIGITS = re.compile(r"[A-Za-z0-9]{24,}|[0-9]{6,}")
_MANY_OPTIONS = 300
"""More are not compared: a tree made to be slow would have thousands."""
_ORDER_ON_ONE_LINE = {MATERIAL: 0, PATH: 1, TOO_LARGE: 2, UNSUPPORTED: 3, INVALID: 4}


def finding_at(
    source: Source, path: KeyPath, message: str, *, code: str = INVALID, hint: str | None = None
) -> Finding:
    """An error at the line of a key of a TOML file."""
    return Finding(
        file=str(source.file), line=source.line_of(path), code=code, message=message, hint=hint
    )


def warning_at(source: Source, path: KeyPath, message: str, *, hint: str | None = None) -> Finding:
    """A warning at the line of a key of a TOML file."""
    return replace(finding_at(source, path, message, hint=hint), severity="warning")


def shown_file(path: RelativePath) -> str:
    """A path as it may stand in a finding: escaped if a terminal could trip over it."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]


def shown_word(word: str) -> str:
    """A key or file name in quotes, or a stand-in if it does not look like a plain word."""
    if _PLAIN_WORD.fullmatch(word) and not _LONG_DIGITS.search(word):
        return f"`{word}`"
    return "(not shown)"


def shown_path(path: KeyPath) -> str:
    """A key path as people write it: ``tools.required[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = shown_word(part).strip("`")
            text += f".{word}" if text else word
    return f"`{text}`" if text else "the file"


def near_hint(word: str, options: Iterable[str], *, what: str = "known") -> str:
    """A hint naming the options nearest to a word, or all of them if they are few.

    Args:
        word: What was written; never repeated in the hint.
        options: What could have been meant.
        what: Word for the list when nothing is near.
    """
    known = sorted(options)
    if len(known) > _MANY_OPTIONS:
        return f"{what}: {len(known)}"
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(f'`{name}`' for name in near)}?"
    if not known:
        return f"{what}: none"
    listed = ", ".join(f"`{name}`" for name in known[:12])
    return f"{what}: {listed}" + (" …" if len(known) > 12 else "")


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """File, then line order; on one line the gravest first."""
    return sorted(
        findings,
        key=lambda found: (
            found.file,
            found.line or 0,
            _ORDER_ON_ONE_LINE.get(found.code, 9),
            found.message,
        ),
    )


def cap_findings(findings: Sequence[Finding], limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    """The findings to report: errors before warnings when there are too many, the rest counted.

    Args:
        findings: Sorted findings.
        limits: ``findings`` is how many are kept.
    """
    if len(findings) <= limits.findings:
        return list(findings)
    by_weight = sorted(findings, key=lambda found: found.severity != "error")
    kept, dropped = by_weight[: limits.findings], by_weight[limits.findings :]
    closing = Finding(
        file=dropped[0].file,
        code=TOO_LARGE,
        message=f"{len(dropped)} more findings are not listed (limit {limits.findings})",
        hint="mend those that are listed, then check again",
        severity=dropped[0].severity,
    )
    return [*sort_findings(kept), closing]


def raise_findings(findings: Sequence[Finding]) -> NoReturn:
    """Raise the error of the first finding that is one.

    Args:
        findings: At least one of severity ``error``.

    Raises:
        BundleError: The class whose code is the finding's; ``facts["findings"]`` lists the file,
            line, code, message and hint of every error.
        ValueError: There is no error among the findings.
    """
    errors = [found for found in findings if found.severity == "error"]
    if not errors:
        raise ValueError("no finding of severity error to raise")
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    place = first.file if first.line is None else f"{first.file}:{first.line}"
    listed: list[dict[str, str | int | bool | None]] = [
        {
            "file": found.file,
            "line": found.line,
            "code": found.code,
            "message": found.message,
            "hint": found.hint,
        }
        for found in errors
    ]
    facts: dict[str, Fact] = {"file": first.file, "line": first.line, "findings": listed}
    raise _class_of(first.code)(f"{place}: {first.message}{more}", hint=first.hint, **facts)


def _class_of(code: str) -> type[BundleError]:
    for cls in error_classes():
        if cls.code == code:
            return cls
    return InvalidManifestError
