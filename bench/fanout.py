"""A fleet: how soon a publish has reached all of it, what it costs to let it wait, to list it."""

from __future__ import annotations

import asyncio
import resource
import statistics
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvloop

from bench.fleet import Verifier, connect_fleet, list_runtimes, spread
from bench.plain import Plain, open_plain
from bench.processes import resident_mb
from bench.receiving import receive_bytes
from bench.scale import Scale
from bench.table import Record, median_ms
from bench.workload import WORKSPACE
from yoi_bundles.model.ids import Digest, RuntimeId
from yoi_bundles.store import Repository
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.messages.revisions import ChannelView

T = TypeVar("T")

FILES = 200
LISTINGS = 15
_REGIONS = 100
_SPARE_FILES = 500
_SETTLE_SECONDS = 2.0


def measure_fanout(root: Path, scale: Scale, record: Record) -> None:
    """Rows of the suite ``fanout``."""
    most = max(scale.fleet, scale.idle)
    _raise_file_limit(most + _SPARE_FILES)
    with open_plain(root / "data", FILES, revisions=2) as plain:
        port = urlsplit(plain.url).port
        assert port is not None
        names = [_register(plain, number) for number in range(scale.fleet)]
        _measure_spread(plain, port, names, scale.runs, record)
        names += [_register(plain, number) for number in range(scale.fleet, most)]
        _measure_idle(plain, port, names[: scale.idle], scale.idle_seconds, record)
        for number in range(most, scale.registered):
            _register(plain, number)
        _measure_listing(plain, port, scale.registered, record)


def _run_fleet(work: Coroutine[Any, Any, T]) -> T:
    """In the event loop that servers use too: the fleet should not be what is waited for."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _register(plain: Plain, number: int) -> tuple[str, str]:
    name = f"rt-{number}"
    return name, plain.register(name, {"region": f"r-{number % _REGIONS}"})


def _raise_file_limit(wanted: int) -> None:
    """Sockets are files; the server that is started inherits the bound.

    Raises:
        RuntimeError: The machine allows fewer.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        raise RuntimeError(f"a fleet needs {wanted} open files; this machine allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure_spread(
    plain: Plain, port: int, names: list[tuple[str, str]], runs: int, record: Record
) -> None:
    verifier = Verifier(_keeper(plain))
    publisher = HttpClient(plain.url, plain.token("publisher", "publisher"))
    client = BackendClient(publisher)

    def publish() -> None:
        assert client.publish(WORKSPACE, plain.edit_request()).is_new

    async def run() -> list[list[float]]:
        members = await connect_fleet(port, names)
        rounds = []
        for _ in range(runs):
            await asyncio.sleep(_SETTLE_SECONDS)
            rounds.append(await spread(members, publish, verifier))
            for member in members:
                member.begin_waiting()
        for member in members:
            await member.peer.close()
        return rounds

    rounds = _run_fleet(run())
    client.close()
    _verify_recorded(plain, [name for name, _ in names])
    # The quantile of each publish, then the middle of these: one round in a noisy moment is one.
    p99 = [statistics.quantiles(taken, n=100, method="inclusive")[98] for taken in rounds]
    record.add("publish to ACK, 99% of a fleet", len(names), median_ms(p99))
    record.add("publish to ACK, the last of a fleet", len(names), median_ms([*map(max, rounds)]))


def _keeper(plain: Plain) -> Callable[[ChannelView, str, bytes], None]:
    """A Runtime's repository that takes in what one of the fleet was sent."""
    path = plain.root / "fleet.git"
    store = Repository.create(path, WORKSPACE)
    head = plain.head()
    full = plain.backend.bundle_file(head.digest, workspace=WORKSPACE).path.read_bytes()

    def receive(digest: Digest, data: bytes) -> None:
        result = receive_bytes(store, digest, data)
        assert result.is_new

    receive(head.digest, full)
    return lambda view, base, data: receive(view.revision.digest, data)


def _verify_recorded(plain: Plain, names: list[str]) -> None:
    """The registry knows of every ACK.

    Raises:
        AssertionError: One is not there.
    """
    digest = plain.head().digest
    for name in names:
        known = plain.backend.fleet.view(RuntimeId(name))
        states = {one.digest: one.state for one in known.bundles}
        assert states.get(digest) == "accepted", f"no ACK of {name}"


def _measure_idle(
    plain: Plain, port: int, names: list[tuple[str, str]], seconds: float, record: Record
) -> None:
    async def run() -> tuple[float, float]:
        members = await connect_fleet(port, names)
        await asyncio.sleep(_SETTLE_SECONDS)
        before = plain.server.cpu_seconds()
        await asyncio.sleep(seconds)
        cpu = (plain.server.cpu_seconds() - before) / seconds * 100
        memory = resident_mb(plain.server)
        # They did wait: each hears of what is published now, by another process than theirs.
        await asyncio.gather(asyncio.to_thread(publish), *(member.hear() for member in members))
        for member in members:
            await member.peer.close()
        return memory, cpu

    def publish() -> None:
        plain.backend.publishing.publish(WORKSPACE, plain.edit_request())

    memory, cpu = _run_fleet(run())
    record.add("idle long polls, memory", len(names), memory)
    record.add("idle long polls, CPU", len(names), cpu)


def _measure_listing(plain: Plain, port: int, registered: int, record: Record) -> None:
    token = plain.token("operator", "operator")
    for work, query, expected, is_all in (
        ("registered Runtimes, first page", "limit=100", 100, False),
        (
            "registered Runtimes, filtered by label",
            "label=region%3Dr-7",
            registered // _REGIONS,
            False,
        ),
        ("registered Runtimes, all pages", "limit=1000", registered, True),
    ):
        listing = list_runtimes(port, token, query, LISTINGS, is_all=is_all)
        taken, count = _run_fleet(listing)
        assert count == expected
        record.add(work, registered, median_ms(taken))
