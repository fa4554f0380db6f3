"""``python -m bench.profiles``: where the time of a sync, an increment and a publish goes.

Own time by module, built-in functions by name, of the middle one of several runs. A profiler slows
calls down and not waiting, so shares are to be read, not milliseconds.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.stage import POLICY, PROVENANCE, VISIBILITY
from bench.workload import WORKSPACE, edit, make_files, write_changed, write_files
from yoi_bundles.author.publisher import DirectoryPublisher
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.service_manager import settle_memory
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.service import Runtime

LINES = 14


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.profiles", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="yoi-bench-") as directory:
        _profile_all(Path(directory), options.files, options.runs)


def _profile_all(root: Path, size: int, runs: int) -> None:
    files = make_files(size)
    policy, visibility = root / "policy.toml", root / "visibility.toml"
    policy.write_text(POLICY)
    policy.chmod(0o600)
    visibility.write_text(VISIBILITY)
    work = root / "work"
    write_files(work, files)
    with ExitStack() as stack:
        backend = stack.enter_context(Backend.open(root / "backend", visibility=visibility))
        publisher = DirectoryPublisher(work)
        publisher.publish(backend.publishing, provenance=PROVENANCE)
        publishes, syncs, increments = [], [], []
        first = backend.publishing.workspace(WORKSPACE).head
        assert first is not None
        holder = stack.enter_context(Runtime.open(root / "holder", policy=policy))
        _sync(backend, holder, first)
        # As servers do; else the collector of cycles stands in the figures of whoever allocates.
        settle_memory()
        for turn in range(1, runs + 1):
            after = edit(files, turn)
            write_changed(work, files, after)
            files = after
            publishes.append(
                _profile(lambda: publisher.publish(backend.publishing, provenance=PROVENANCE))
            )
            head = backend.publishing.workspace(WORKSPACE).head
            assert head is not None
            with Runtime.open(root / f"rt-{turn}", policy=policy) as runtime:
                syncs.append(_profile(partial(_sync, backend, runtime, head)))
            increments.append(_profile(partial(_sync, backend, holder, head)))
        _print(f"fresh sync, {size} files", syncs)
        _print(f"one-file increment, {size} files", increments)
        _print(f"publish one changed file of {size}", publishes)


def _sync(backend: Backend, runtime: Runtime, head: Revision) -> None:
    haves = runtime.held.haves(WORKSPACE)
    file = backend.bundle_file(head.digest, workspace=WORKSPACE, haves=haves, is_shallow=not haves)
    with file.path.open("rb") as data:
        assert runtime.put_bundle(
            WORKSPACE, head.digest, iter(lambda: data.read(65536), b"")
        ).is_new


def _profile(work: Callable[[], object]) -> Counter[str]:
    """Own seconds by where they were spent."""
    profile = cProfile.Profile()
    profile.runcall(work)
    spent: Counter[str] = Counter()
    entries = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, function), (_, _, own, _, _) in entries.items():
        spent[_name(file, function)] += own
    return spent


def _name(file: str, function: str) -> str:
    if file == "~":
        return function.strip("<>").replace("built-in method ", "").replace("method ", "")
    parts = Path(file).with_suffix("").parts
    if "yoi_bundles" in parts:
        return ".".join(parts[len(parts) - parts[::-1].index("yoi_bundles") :]) or "yoi_bundles"
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return f"{parts[-1]} (Python)" if parts else file


def _print(work: str, runs: list[Counter[str]]) -> None:
    spent = sorted(runs, key=lambda one: one.total())[len(runs) // 2]
    print(f"\n{work}: {spent.total() * 1e3:.0f} ms under the profiler")
    for name, seconds in spent.most_common(LINES):
        print(f"  {seconds / spent.total():>6.1%}  {seconds * 1e3:>8.1f} ms  {name}")


if __name__ == "__main__":
    main()
