"""Sends the whole corpus once for all tests, and says what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[2]))  # the tools lie beside the package

from builder import World
from families import CASES
from families.controls import CONTROLS, FRESH_CONTROLS
from harness import Verdict, build, judge, load_table, make_receivers

HERE = Path(__file__).parent
BOMBS = tuple(name for name in CASES if name.startswith("bombs/"))


@dataclass
class Outcome:
    """What became of every case and, afterwards on the same stores, of every control."""

    stores: tuple[Path, ...]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    controls: dict[str, Verdict] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    """Memory over that of an idle process, for each bomb."""

    def summary(self) -> str:
        """One line with what nobody can assert: how long the longest answer took."""
        table = load_table()
        right = sum(v.code == table[n]["code"] for n, v in self.verdicts.items())
        taken = sum(v.code.startswith("accepted") for v in self.controls.values())
        name, peak = max(self.peak_bytes.items(), key=lambda item: item[1])
        longest = max(self.verdicts.values(), key=lambda verdict: verdict.seconds)
        return (
            f"hostile: refused {right}/{len(self.verdicts)} with the right code, "
            f"controls accepted {taken}/{len(self.controls)}, "
            f"peak memory {peak / 2**20:.0f} MB over idle ({name}), "
            f"longest answer {longest.seconds:.1f} s ({longest.name})"
        )


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The corpus against its two stores, each bomb in a process of its own; then the controls."""
    root = tmp_path_factory.mktemp("hostile")
    world = World()
    with make_receivers(root, world) as stores:
        found = Outcome((stores.holder.path, stores.nobody.path))
        for name in CASES:
            if name not in BOMBS:
                found.verdicts[name] = judge(stores.of(name), name, build(name, world))
        for row in measure(stores.holder.path, root, BOMBS):
            found.peak_bytes[row["name"]] = row.pop("peak_bytes")
            found.verdicts[row["name"]] = Verdict(**row)
        for name, make in CONTROLS.items():
            found.controls[name] = judge(stores.holder, name, make(world))
        fresh = World()
        for name, make in FRESH_CONTROLS.items():
            found.controls[name] = judge(stores.nobody, name, make(fresh))
    return found


def measure(store: Path, work: Path, names: tuple[str, ...]) -> list[dict[str, object]]:
    """Run measure.py over some cases."""
    done = subprocess.run(
        [sys.executable, str(HERE / "measure.py"), str(store), str(work), *names],
        capture_output=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]
