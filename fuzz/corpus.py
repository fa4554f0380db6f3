"""The kept corpus: read by name, grown by what reaches something new, smallest first."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeAlias

from fuzz.target import PromiseError, Target, judge

CORPUS = Path(__file__).parents[1] / "fixtures" / "fuzz"
_PACKAGE = str(Path(__file__).parents[1] / "yoi_bundles")
Feature: TypeAlias = tuple[object, ...]


def read_corpus(folder: Path) -> dict[str, bytes]:
    """All inputs below a folder by file name; an absent folder is an empty one."""
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def name_of(data: bytes) -> str:
    """The name of an input that a fuzzer found."""
    return sha256(data).hexdigest()[:16]


def keep(target: Target, folder: Path, found: Mapping[str, bytes]) -> list[str]:
    """Write those inputs that go where no kept one goes; returns their names.

    Args:
        target: What they are put to.
        folder: The target's kept corpus; what is there stays.
        found: New inputs by name.

    Raises:
        PromiseError: One of them breaks a promise: it belongs to no corpus before that is mended.
    """
    seen: set[Feature] = set()
    for data in read_corpus(folder).values():
        seen |= features_of(target, data)
    kept = []
    for name, data in sorted(found.items(), key=lambda item: (len(item[1]), item[0])):
        new = features_of(target, data) - seen if len(data) <= target.max_bytes else set()
        if new:
            seen |= new
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            kept.append(name)
    return kept


def features_of(target: Target, data: bytes) -> set[Feature]:
    """Steps from line to line within the package, and how it ended."""
    steps: set[Feature] = set()
    with _tracing(steps):
        ended = judge(target, data)
    steps.add(("ended", ended))
    return steps


@contextmanager
def _tracing(steps: set[Feature]) -> Iterator[None]:
    last: dict[FrameType, int] = {}

    def step(frame: FrameType, event: str, arg: object) -> object:
        if event == "line":
            code: CodeType = frame.f_code
            steps.add((code.co_filename, code.co_name, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            last.pop(frame, None)
        return step

    def enter(frame: FrameType, event: str, arg: object) -> object:
        return step if frame.f_code.co_filename.startswith(_PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(enter)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(before)


def replay(target: Target, inputs: Iterable[tuple[str, bytes]]) -> tuple[int, list[str]]:
    """Put inputs to a target; returns how many there were, and what was found."""
    count, findings = 0, []
    for name, data in inputs:
        count += 1
        try:
            judge(target, data)
        except PromiseError as finding:
            findings.append(f"{target.name}/{name}: {finding}")
        except Exception as error:  # noqa: BLE001  (any other class is a finding)
            findings.append(f"{target.name}/{name}: {type(error).__name__}: {error}")
    return count, findings
