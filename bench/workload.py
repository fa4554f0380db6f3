"""Seeded workspaces of a given number of files, 1.6 to 4.6 KB each, that read like real ones."""

from __future__ import annotations

import random
import time
from pathlib import Path

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.model.ids import RelativePath, WorkspaceId

_OPENINGS = (
    "Before you change {thing}, read {place} and say what you expect to happen.",
    "When {thing} is unclear, ask once, name the two readings, and go on with the likelier one.",
    "Report {thing} with the command that shows it, and what you saw when you ran it.",
    "Never touch {place} without a test that fails first because of {thing}.",
    "If {thing} takes longer than planned, stop, write down what is known, and hand it over.",
    "Prefer the smallest edit to {place} that makes {thing} true, and leave the rest as it is.",
    "Whoever reads {place} next knows nothing of {thing}: say it where they will look.",
)
_THINGS = (
    "the rounding rule", "a retry", "the refund path", "an open incident", "the index",
    "a flaky check", "the release note", "the schema change", "a customer's export",
    "the rate limit", "an unused flag", "the nightly job", "the audit trail", "a slow query",
)  # fmt: skip
_PLACES = (
    "the ledger module", "the on-call handbook", "the migration folder", "the public API",
    "the deployment manifest", "the test fixtures", "the billing service", "the glossary",
)  # fmt: skip

WORKSPACE = WorkspaceId("bench")
SETTLE_SECONDS = 2.1
"""After which what was written is not racy any more to a stat cache, and not read again."""


def make_files(count: int, seed: int = 1) -> dict[RelativePath, bytes]:
    """A valid workspace of ``count`` files (at least 91): the builtin tree and prompts.

    Args:
        count: Files in all; fewer than the builtin tree has gives a small tree of its own.
    """
    rng = random.Random(seed)
    files = dict(load_builtin_files()) if count > 91 else _small_tree()
    manifest = RelativePath("bundle.toml")
    files[manifest] = files[manifest].replace(b'id = "builtin"', b'id = "bench"')
    number = 0
    while len(files) < count:
        path = RelativePath(f"prompts/area-{number % 40}/note-{number}.md")
        files[path] = _text(rng, number).encode()
        number += 1
    return files


def edit(files: dict[RelativePath, bytes], turn: int) -> dict[RelativePath, bytes]:
    """The same files with one line added to one prompt."""
    notes = sorted(path for path in files if str(path).startswith("prompts/area-"))
    path = notes[(turn * 7919) % len(notes)]
    return files | {path: files[path] + f"- Turn {turn}: be exact about {turn * 31}.\n".encode()}


def write_files(directory: Path, files: dict[RelativePath, bytes]) -> None:
    """Write a workspace and leave it alone for a while."""
    for path, data in files.items():
        target = directory / str(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    time.sleep(SETTLE_SECONDS)


def write_changed(
    directory: Path, before: dict[RelativePath, bytes], after: dict[RelativePath, bytes]
) -> None:
    """Write what `edit` changed."""
    for path, data in after.items():
        if before[path] is not data:
            (directory / str(path)).write_bytes(data)


def _small_tree() -> dict[RelativePath, bytes]:
    builtin = load_builtin_files()
    kept = {RelativePath("bundle.toml"): builtin[RelativePath("bundle.toml")]}
    kept[RelativePath("profiles/coder.toml")] = (
        b'description = "Writes code."\n\n[engine]\nkind = "single-turn"\n\n'
        b'[model]\nref = "local/small"\n'
    )
    kept[RelativePath("models/local.toml")] = (
        b'kind = "local"\ndescription = "On this host."\n\n[models.small]\n'
        b'upstream = "small"\ncontext_tokens = 8000\nmax_output_tokens = 1000\n'
    )
    return kept


def _text(rng: random.Random, number: int) -> str:
    lines = [f"# Note {number}", ""]
    size = rng.randint(1_600, 4_600)
    while sum(map(len, lines)) < size:
        line = rng.choice(_OPENINGS).format(thing=rng.choice(_THINGS), place=rng.choice(_PLACES))
        lines.append(f"- {line} ({rng.randint(100, 9999)})")
    return "\n".join(lines) + "\n"
