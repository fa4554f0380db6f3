"""What a check says of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from yoi_bundles.model.record import Record, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Record):
    """Something wrong with one file of a tree."""

    file: str
    """Path in the tree, escaped if it is not a safe one."""
    line: Annotated[int, Rule(ge=1)] | None = None
    code: str
    """A code of `yoi_bundles.errors`."""
    message: str
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"
    fingerprint: str | None = None
    """For text-scan findings: what ``policies/allow.toml`` may list. Never the secret itself."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.code}: {self.message}"
