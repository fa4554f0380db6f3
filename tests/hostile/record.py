"""Writes fixtures/hostile/cases.toml anew: python tests/hostile/record.py [FAMILY...]

What git says is asked again for the families named. Codes are never learned from the product: a
case that is not in the table yet gets the code ``?``, which a person replaces.
"""

from __future__ import annotations

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from builder import World
from families import CASES
from families.sizes import LIMITS
from gitsays import ask_git, make_templates
from harness import FIXTURES, build, is_for_nobody, load_table
from reasons import gap, why

HEAD = """\
# Hostile bundle files: each is made by tests/hostile/families and must be refused by its code.
# git_says: what `git bundle verify`, `git fetch` and `git fsck --full --strict` (2.39) make of it.
# gap: where git accepts, the paragraph of docs/hostile-corpus.md that says why.
# limits: what this case's host has set in [limits.receive].
"""


def main(families: list[str]) -> None:
    table = load_table() if (FIXTURES / "cases.toml").exists() else {}
    asked = [n for n in CASES if n.partition("/")[0] in families or n not in table]
    world = World()
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(2) as pool:
        templates = make_templates(Path(directory), world)

        def ask(name: str) -> str:
            work = Path(directory) / name.replace("/", "_")
            work.mkdir()
            return ask_git(templates[is_for_nobody(name)], work, build(name, world))

        says = dict(zip(asked, pool.map(ask, asked), strict=True))
    rows = [encode_row(name, table.get(name, {}), says.get(name)) for name in CASES]
    (FIXTURES / "cases.toml").write_text(HEAD + "\n" + "\n".join(rows), encoding="utf-8")


def encode_row(name: str, row: dict[str, str], says: str | None) -> str:
    found = says or row["git_says"]
    values = {
        "name": name,
        "family": name.partition("/")[0],
        "code": row.get("code", "?"),
        "git_says": found,
        "gap": gap(name) if found == "accepts" else None,
        "why": why(name),
    }
    lines = [f"{key} = {json.dumps(text)}" for key, text in values.items() if text is not None]
    if limits := LIMITS.get(name):
        table = ", ".join(f"{key} = {value}" for key, value in limits.items())
        lines.append(f"limits = {{ {table} }}")
    return "[[case]]\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
