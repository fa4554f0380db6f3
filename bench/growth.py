"""How times grow with files, revisions and held bundles: fitted exponents.

In one process and without HTTP, so that no constant part hides what grows. A full sync and an
increment include building the bundle file, and the Runtime's verified, durable acceptance.
"""

from __future__ import annotations

import math
import os
import stat
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.history import extend_history
from bench.leftovers import set_aside
from bench.progress import say
from bench.scale import Scale
from bench.stage import POLICY, PROVENANCE, VISIBILITY, make_request
from bench.syncing import timed
from bench.table import Curve, Record
from bench.workload import WORKSPACE, edit, make_files, write_changed, write_files
from yoi_bundles.author.publisher import DirectoryPublisher
from yoi_bundles.backend.service import Backend
from yoi_bundles.model.ids import MAIN_CHANNEL, RelativePath, RuntimeId
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.wire.messages.runtimes import RegisterRuntime

FILES = 200
"""Of the workspaces whose history or held bundles grow."""
_READS = 30
"""Look-ups of which one median is made."""

_WALK = "walk"
_BEYOND = "publish, beyond a walk"
"""What a publish takes more than a look at each file, which it cannot do without."""

Times = dict[str, float]
"""Seconds by work."""


def measure_growth(root: Path, scale: Scale, record: Record) -> None:
    """Rows of the suite ``growth``, and their curves."""
    by_files = {
        number: _measure(root / f"files-{number}", number, 1, scale.growth_runs)
        for number in scale.files
    }
    by_history = {
        number: _measure(root / f"revisions-{number}", FILES, number, scale.growth_runs)
        for number in scale.history
    }
    by_held = _measure_held(root / "held", scale.held, scale.growth_runs)
    for times in by_files.values():
        times[_BEYOND] = times["publish"] - times.pop(_WALK)
    for times in by_history.values():
        del times[_WALK]
    _note("files", by_files, record)
    _note("revisions", by_history, record)
    _note("held bundles", by_held, record)


def _note(axis: str, times: dict[int, Times], record: Record) -> None:
    numbers = list(times)
    for work in times[numbers[0]]:
        points = tuple((number, times[number][work] * 1e3) for number in numbers)
        exponent = fit_exponent(points)
        record.curves.append(Curve(axis, work, points, exponent))
        record.add(f"growth with {axis}: {work}", f"{numbers[0]}-{numbers[-1]}", exponent)


def fit_exponent(points: Sequence[tuple[float, float]]) -> float:
    """The b of ``a * x ** b`` that fits best: least squares over logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = statistics.fmean(x for x, _ in logs)
    mean_y = statistics.fmean(y for _, y in logs)
    over = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return over / sum((x - mean_x) ** 2 for x, _ in logs)


@dataclass
class _House:
    """A Backend and the directory a publisher works in."""

    root: Path
    backend: Backend
    publisher: DirectoryPublisher
    files: dict[RelativePath, bytes]
    turn: int = 0

    def edit(self) -> None:
        self.turn += 1
        before, self.files = self.files, edit(self.files, self.turn + 1_000_000)
        write_changed(self.root / "work", before, self.files)

    def publish(self) -> Revision:
        reply = self.publisher.publish(self.backend.publishing, provenance=PROVENANCE)
        assert reply.is_new
        return reply.revision

    def open_runtime(self, name: str) -> Runtime:
        policy = self.root / "policy.toml"
        policy.write_text(POLICY)
        policy.chmod(0o600)
        return Runtime.open(self.root / name, policy=policy, runtime_id=name)

    def send(self, runtime: Runtime, revision: Revision) -> None:
        """As push sync does it."""
        haves = runtime.held.haves(WORKSPACE)
        file = self.backend.bundle_file(
            revision.digest, haves=haves, workspace=WORKSPACE, is_shallow=not haves
        )
        assert (file.base is None) == (not haves)
        result = runtime.put_bundle(WORKSPACE, revision.digest, [file.path.read_bytes()])
        assert result.is_new
        assert result.status.state == "accepted"


def _open_house(stack: ExitStack, root: Path, size: int, revisions: int) -> _House:
    root.mkdir()
    visibility = root / "visibility.toml"
    visibility.write_text(VISIBILITY)
    files = make_files(size)
    with Backend.open(root / "backend", visibility=visibility) as backend:
        first = backend.publishing.publish(WORKSPACE, make_request(files)).revision
        repository = backend.repository_path(WORKSPACE)
    if revisions > 1:
        files = extend_history(repository, first, files, revisions - 1)
    work = root / "work"
    write_files(work, files)
    backend = stack.enter_context(Backend.open(root / "backend", visibility=visibility))
    head = backend.publishing.workspace(WORKSPACE).head
    assert head is not None
    assert head.number == revisions
    assert backend.publishing.store(WORKSPACE).verify(head.digest).problems == ()
    return _House(root, backend, DirectoryPublisher(work), files)


def _measure(root: Path, size: int, revisions: int, runs: int) -> Times:
    """Medians for one workspace."""
    say(f"growth: {size} files, {revisions} revisions")
    taken: dict[str, list[float]] = {"full sync": [], "increment": [], "publish": [], _WALK: []}
    with ExitStack() as stack:
        house = _open_house(stack, root, size, revisions)
        for run in range(runs + 1):
            house.edit()
            walk = timed(lambda: _walk(house.root / "work"))
            publish = timed(house.publish)
            with house.open_runtime(f"rt-{run}") as runtime:
                full = _timed_send(house, runtime, _head(house))
                house.edit()
                one = _timed_send(house, runtime, house.publish())
            set_aside(house.root / f"rt-{run}")
            if run > 0:  # the first one warms up
                for work, seconds in zip(taken, (full, one, publish, walk), strict=True):
                    taken[work].append(seconds)
        reads = _measure_reads(house)
    set_aside(root)
    return {work: statistics.median(seconds) for work, seconds in taken.items()} | reads


def _walk(directory: Path) -> int:
    """Files below a directory, with one `stat` each: as little as a look at each can take."""
    found, waiting = 0, [os.open(directory, os.O_RDONLY | os.O_DIRECTORY)]
    while waiting:
        place = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                    flags = os.O_RDONLY | os.O_DIRECTORY
                    waiting.append(os.open(entry.name, flags, dir_fd=place))
                else:
                    found += 1
        os.close(place)
    return found


def _head(house: _House) -> Revision:
    head = house.backend.publishing.workspace(WORKSPACE).head
    assert head is not None
    return head


def _measure_reads(house: _House) -> Times:
    """What a Runtime asks of a Backend that has nothing new for it."""
    name = RuntimeId("reader")
    house.backend.fleet.register(RegisterRuntime(runtime_id=name))
    runtime, head = house.backend.fleet.known(name), _head(house)

    def look_up() -> None:
        file = house.backend.bundle_file(head.digest, workspace=WORKSPACE, runtime=runtime)
        assert file.target == head.commit

    def ask() -> None:
        view = house.backend.channel(WORKSPACE, MAIN_CHANNEL, runtime)
        assert view.revision.commit == head.commit

    return {"look-up by digest": _median(look_up), "anything new?": _median(ask)}


def _median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(timed(work) for _ in range(_READS))


def _measure_held(root: Path, numbers: Sequence[int], runs: int) -> dict[int, Times]:
    """One Runtime that holds more and more bundles."""
    found: dict[int, Times] = {}
    with ExitStack() as stack:
        house = _open_house(stack, root, FILES, 1)
        runtime = stack.enter_context(house.open_runtime("rt"))
        house.send(runtime, _head(house))
        held = 1
        for number in numbers:
            say(f"growth: {number} held bundles")
            while held < number:
                _send_next(house, runtime)
                held += 1
            assert len(runtime.held.list(WORKSPACE, limit=2 * number).bundles) == number
            found[number] = _held_reads(house, runtime)
            increments = [_send_next(house, runtime) for _ in range(runs)]
            held += runs
            found[number] |= {"increment": statistics.median(increments)}
    set_aside(root)
    return found


def _send_next(house: _House, runtime: Runtime) -> float:
    house.edit()
    return _timed_send(house, runtime, house.publish())


def _timed_send(house: _House, runtime: Runtime, revision: Revision) -> float:
    return timed(lambda: house.send(runtime, revision))


def _held_reads(house: _House, runtime: Runtime) -> Times:
    head = _head(house)

    def look_up() -> None:
        assert runtime.bundle_status(head.digest, WORKSPACE).state == "accepted"

    def ask() -> None:
        assert runtime.held.confirm(WORKSPACE, head.digest).is_current

    return {"look-up by digest": _median(look_up), "anything new?": _median(ask)}
