"""Sends cases to a store, each from a process of its own whose memory is measured.

    python measure.py STORE WORK CASE...

prints one JSON line for each. Bytes are made in another process than the one that sends them, and
the idle process is forked from the same parent, so that the difference is what the receive took.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from builder import World
from harness import as_dict, build, judge_file

from yoi_bundles.store import Repository

_KIB = 1024


def in_child(action: Callable[[], object]) -> tuple[bytes, int]:
    """What a forked process prints, and the most memory it ever had."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        with os.fdopen(writable, "w") as out:
            json.dump(action(), out)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as stream:
        said = stream.read()
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, status
    scale = 1 if sys.platform == "darwin" else _KIB
    return said, usage.ru_maxrss * scale


def make(name: str, file: Path) -> str:
    upload = build(name, World())
    file.write_bytes(upload.raw)
    return upload.digest


def idle(store: Path) -> None:
    Repository.open(store).close()


def send(name: str, store: Path, file: Path, digest: str) -> dict[str, object]:
    with Repository.open(store) as opened:
        return as_dict(judge_file(opened, name, file, digest))


def main(store: Path, work: Path, names: list[str]) -> None:
    file = work / "bomb.bundle"
    _, base = in_child(lambda: idle(store))
    for name in names:
        digest = json.loads(in_child(lambda name=name: make(name, file))[0])
        said, peak = in_child(lambda name=name, digest=digest: send(name, store, file, digest))
        print(json.dumps({**json.loads(said), "peak_bytes": peak - base}), flush=True)
        file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
