"""Runs one case and kills it with SIGKILL before every change it makes; a process of its own.

``python kill_driver.py CASE DIRECTORY`` prints a JSON summary. A process of its own, because it
forks: pytest may have threads.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from io_seam import Change, truncate_half, watching
from operations import CASES, Aftermath, Case, verify_state

from yoi_bundles.model.ids import Digest

MAX_POINTS = 2_000


class Killer:
    """Kills this process at the n-th point; a sync of a file counts twice (half written, whole)."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0

    def __call__(self, change: Change) -> None:
        if change.kind == "sync":
            self._point(change)
        self._point(None)

    def _point(self, torn: Change | None) -> None:
        if self.seen == self.at:
            if torn is not None:
                truncate_half(torn)
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1


def run_child(case: Case, root: Path, at: int, out: int) -> None:
    """Act under the killer; say on the pipe what was acknowledged, or how it failed."""
    killer = Killer(at)
    try:
        with watching(root, killer):
            digest = case.act(root)
        os.write(out, f"ack {digest} {killer.seen}".encode())
    except BaseException:  # noqa: BLE001  (all is told to the parent)
        os.write(out, ("error " + traceback.format_exc()).encode()[-4000:])
    os._exit(0)


def one_point(aftermath: Aftermath, prepared: Path, work: Path, at: int) -> str:
    """Kill at one point, then check everything; returns "killed" or "done"."""
    root, case = work / "root", aftermath.case
    shutil.copytree(prepared, root)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        run_child(case, root, at, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    was_killed = os.WIFSIGNALED(status)
    assert not said.startswith("error"), said
    acknowledged = Digest(said.split()[1]) if said.startswith("ack") else None
    assert was_killed != (acknowledged is not None)
    # A restart: recovery runs when the store is opened; then every retry succeeds by itself.
    verify_state(root, aftermath.before, acknowledged)
    aftermath.verify(root, case.act(root))
    _remove(root)
    return "killed" if was_killed else "done"


def _remove(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o755)
    shutil.rmtree(root)


def main(name: str, work: Path) -> None:
    """Kill at every point of a case."""
    case = CASES[name]
    prepared = work / "prepared"
    prepared.mkdir(parents=True)
    case.prepare(prepared)
    aftermath = Aftermath(case, case.before(prepared))
    points = 0
    for at in range(MAX_POINTS):
        try:
            outcome = one_point(aftermath, prepared, work, at)
        except BaseException as error:
            raise AssertionError(f"{name}: killed at point {at}: {error}") from error
        if outcome == "done":
            break
        points += 1
    else:
        raise AssertionError("the case never ends")
    print(json.dumps({"case": name, "points": points, "survived": points}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
