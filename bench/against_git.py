"""Publish, full sync and one-file sync as ratios against git, interleaved in one run.

``python -m bench.against_git [--sizes 50,1000] [--runs 7]``

What is compared: *publish* of one changed file from a warm process against ``git add -A && git
commit``; *full sync* (bundle file built, sent over HTTP, verified, durable, resolvable) against
``git fetch`` of everything from a local path into an empty bare repository, which spares git the
network; *one-file sync* the same with one changed file. Every sync is checked: the Runtime's tree
id must be the Backend's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from house import House, publish_request

from bench.workload import WORKSPACE, edit, make_files
from yoi_bundles.model.ids import RelativePath, RuntimeId
from yoi_bundles.wire.messages import PublishReply, SyncRequest

POLICY = 'schema = 1\n\n[bundles]\nworkspaces = ["bench"]\n'
VISIBILITY = 'schema = 1\n\n[[rule]]\nworkspaces = ["bench"]\n'


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Bench:
    """One size: a Backend and a git repository that hold the same files."""

    def __init__(self, root: Path, size: int) -> None:
        self.root = root
        self.files = make_files(size)
        self.house = House(root, policy_text=POLICY, visibility_text=VISIBILITY)
        self.house.clock.now = datetime.now(UTC)
        self.backend = self.house.backend()
        self.work = root / "git-work"
        self.work.mkdir()
        git(self.work, "init", "-q", "--object-format=sha256", "-b", "main")
        git(self.work, "config", "user.name", "Bench")
        git(self.work, "config", "user.email", "bench@example.org")
        self.turn = 0
        self.write_work()
        self.commit_git()
        self.publish()

    def write_work(self) -> None:
        for path, data in self.files.items():
            target = self.work / str(path)
            if not target.exists() or target.read_bytes() != data:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)

    def commit_git(self) -> None:
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", f"Turn {self.turn}")

    def publish(self) -> PublishReply:
        request = publish_request(self.files)
        return self.backend.publishing.publish(WORKSPACE, request)

    def next_turn(self) -> None:
        self.turn += 1
        self.files: dict[RelativePath, bytes] = edit(self.files, self.turn)
        self.write_work()

    def measure_publish(self) -> tuple[float, float]:
        self.next_turn()
        ours = timed(self.publish)
        return ours, timed(self.commit_git)

    def measure_syncs(self, run: int) -> dict[str, tuple[float, float]]:
        runtime = self.house.runtime(f"rt-{run}")
        url, token = self.house.serve_runtime(runtime)
        self.house.register(self.backend, f"rt-{run}", endpoint=url, push_token=token)
        shutil.rmtree(self.root / "backend" / "bundle-files", ignore_errors=True)
        bare = self.root / f"git-{run}"
        bare.mkdir()
        git(bare, "init", "-q", "--bare", "--object-format=sha256")
        fetch = ["fetch", "-q", f"file://{self.work}", "+main:main"]
        full = timed(lambda: self.sync_to(f"rt-{run}")), timed(lambda: git(bare, *fetch))
        self.next_turn()
        self.publish()
        self.commit_git()
        one = timed(lambda: self.sync_to(f"rt-{run}")), timed(lambda: git(bare, *fetch))
        head = self.backend.publishing.workspace(WORKSPACE).head
        assert head is not None
        assert runtime.bundle_status(head.digest, WORKSPACE).is_current
        assert str(head.digest) == git(bare, "rev-parse", "main^{tree}")
        self.backend.fleet.unregister(RuntimeId(f"rt-{run}"))
        return {"full sync": full, "one-file sync": one}

    def sync_to(self, name: str) -> None:
        reply = self.backend.sync(WORKSPACE, SyncRequest(runtimes=(RuntimeId(name),)))
        assert [one.outcome for one in reply.outcomes] == ["synced"], reply


def run_size(size: int, runs: int) -> dict[str, tuple[float, float]]:
    """Medians (ours, git) of each kind of work for one size."""
    root = Path(tempfile.mkdtemp(prefix="yoi-bench-"))
    bench = Bench(root, size)
    seen: dict[str, list[tuple[float, float]]] = {}
    try:
        for run in range(runs + 1):
            measured = {"publish": bench.measure_publish(), **bench.measure_syncs(run)}
            if run > 0:  # the first run warms both up
                for name, pair in measured.items():
                    seen.setdefault(name, []).append(pair)
    finally:
        bench.house.close()
        shutil.rmtree(root)
    return {
        name: (statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs))
        for name, pairs in seen.items()
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="50,1000")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {int(text): run_size(int(text), options.runs) for text in options.sizes.split(",")}
    if options.json:
        print(json.dumps(results))
        return
    print(f"{'files':>6}  {'work':<14} {'ours':>9} {'git':>9}  ratio")
    for size, rows in results.items():
        for name, (ours, theirs) in rows.items():
            print(
                f"{size:>6}  {name:<14} {ours * 1e3:>6.1f} ms {theirs * 1e3:>6.1f} ms  "
                f"{ours / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
