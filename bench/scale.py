"""How much a run does: the full one, and a quick one that shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes and numbers of a run.

    Args:
        sizes: Files of the workspaces that are compared with git.
        revisions: One-file edits before anything is measured.
        clients: Of each kind, whose server CPU is measured.
        runs: Of which a median is taken.
        memory_files: Of the workspace that is received while memory is watched.
        memory_clients: Runtime processes that receive it at once.
        files, history, held: Numbers over which growth is fitted.
        growth_runs: Of which a median is taken, for each number.
        fleet: Runtimes that wait for a publish.
        idle: Runtimes that wait and nothing happens, for ``idle_seconds``.
        registered: Runtimes that are listed.
    """

    sizes: tuple[int, ...] = (50, 1_000, 10_000)
    revisions: int = 100
    clients: int = 200
    runs: int = 9
    memory_files: int = 10_000
    memory_clients: int = 8
    files: tuple[int, ...] = (50, 200, 1_000, 3_000, 10_000)
    history: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    held: tuple[int, ...] = (1, 10, 100, 1_000)
    growth_runs: int = 9
    fleet: int = 1_000
    idle: int = 5_000
    idle_seconds: float = 20.0
    registered: int = 10_000


FULL = Scale()
QUICK = Scale(
    sizes=(50, 1_000), revisions=5, clients=5, runs=3, memory_files=500, memory_clients=2,
    files=(50, 200, 600), history=(1, 10, 100), held=(1, 10), growth_runs=3,
    fleet=50, idle=200, idle_seconds=3.0, registered=300,
)  # fmt: skip
