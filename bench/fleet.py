"""Simulated Runtimes in one process: wait for news, fetch, verify, report."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from bench.peer import Answer, Peer
from bench.workload import WORKSPACE
from yoi_bundles.model.host_policy import RUNTIME_FEATURES
from yoi_bundles.model.ids import ContentHash, Digest, RuntimeId
from yoi_bundles.wire.messages.revisions import ChannelView
from yoi_bundles.wire.messages.runtimes import BundleStatus, RuntimeInfo, StatusReport

CHANNEL = f"/v1/workspaces/{WORKSPACE}/channels/main"
WAIT_SECONDS = 60
_EMPTY_WAITS = 5
ANY_DIGEST = Digest("ab" * 32)
"""Stands for one that is not known yet."""
_ANY_BYTES = str(ANY_DIGEST).encode()
_HASH = ContentHash("sha256:" + "0" * 64)


@dataclass
class Member:
    """One simulated Runtime.

    Args:
        name: At the Backend.
        peer: Its connection.
        etag: Of the channel as it knows it.
        commit: What it holds.
        report: Its ACK, written ahead, with `ANY_DIGEST` where the digest goes: a fleet has a
            processor for each, and these share one.
    """

    name: str
    peer: Peer
    etag: str = ""
    commit: str = ""
    report: bytes = b""

    async def catch_up(self) -> None:
        """Ask where the channel points now, and hold that."""
        self._note(await self.peer.ask("GET", CHANNEL))

    def begin_waiting(self) -> None:
        """Ask for news and go on without the answer."""
        wait = {"if-none-match": self.etag, "prefer": f"wait={WAIT_SECONDS}"}
        self.peer.send("GET", CHANNEL, wait)

    async def hear(self) -> ChannelView:
        """The news that `begin_waiting` asked for, asked again if a wait ends without.

        Raises:
            AssertionError: The Backend answers at once and does not wait.
        """
        for _ in range(_EMPTY_WAITS):
            answer = await self.peer.answer()
            if answer.status != 304:
                return self._note(answer)
            self.begin_waiting()
        raise AssertionError("the Backend does not wait for news")

    async def follow(self, verify: Callable[[ChannelView, str, Answer], None]) -> None:
        """Take the news that `begin_waiting` asked for: fetch, verify, report.

        Args:
            verify: Judges the bundle file that came for a channel and a base.
        """
        base = self.commit
        view = await self.hear()
        path = f"/v1/config-bundles/{view.revision.digest}?workspace={WORKSPACE}&have={base}"
        verify(view, base, await self.peer.ask("GET", path))
        body = self.report.replace(_ANY_BYTES, str(view.revision.digest).encode())
        answer = await self.peer.ask("PUT", f"/v1/runtimes/{self.name}/status", body=body)
        assert answer.status == 204, answer

    def _note(self, answer: Answer) -> ChannelView:
        assert answer.status == 200, f"{answer.status}: {answer.body[:300]!r}"
        view = _parse_view(answer.body)
        self.etag, self.commit = answer.headers["etag"], str(view.revision.commit)
        return view


@lru_cache(maxsize=4)
def _parse_view(body: bytes) -> ChannelView:
    return ChannelView.model_validate_json(body)


def make_report(name: str, digest: Digest) -> bytes:
    """An ACK, as a Runtime sends it."""
    info = RuntimeInfo(
        runtime_id=RuntimeId(name), version="1", bundle_schemas=(1,),
        features=tuple(sorted(RUNTIME_FEATURES)), policy_digest=_HASH, policy_error=None,
        builtin_digest=digest, builtin_fallback=False, bundle_required_for=("always",),
        capability_summary=(), following=(),
    )  # fmt: skip
    status = BundleStatus(
        workspace=WORKSPACE, digest=digest, state="accepted", is_current=True,
        received_at=datetime.now(UTC),
    )  # fmt: skip
    return StatusReport(info=info, bundles=(status,)).model_dump_json(by_alias=True).encode()


@dataclass
class Verifier:
    """Every file against its `Repr-Digest`; one is received for real, the others equal it.

    Args:
        receive: Takes in a bundle file that builds on a commit, or raises.
    """

    receive: Callable[[ChannelView, str, bytes], None]
    verified: dict[str, bytes] = field(default_factory=dict)
    """Files that were received, by the commit they lead to."""

    def __call__(self, view: ChannelView, base: str, answer: Answer) -> None:
        """Judge one file.

        Raises:
            AssertionError: It is not what the one that was verified is.
        """
        assert answer.status == 200, answer.body[:300]
        digest = base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
        assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
        commit = str(view.revision.commit)
        if commit not in self.verified:
            self.receive(view, base, answer.body)
            self.verified[commit] = answer.body
        assert self.verified[commit] == answer.body


async def connect_fleet(port: int, names: Sequence[tuple[str, str]]) -> list[Member]:
    """Connect Runtimes, given as names and tokens; each knows the channel and waits."""
    members: list[Member] = []
    for start in range(0, len(names), 50):
        some = [
            Member(name, await Peer.connect(port, token), report=make_report(name, ANY_DIGEST))
            for name, token in names[start : start + 50]
        ]
        await asyncio.gather(*(member.catch_up() for member in some))
        for member in some:
            member.begin_waiting()
        members += some
    return members


async def spread(
    members: Sequence[Member],
    publish: Callable[[], None],
    verify: Callable[[ChannelView, str, Answer], None],
) -> list[float]:
    """Seconds from the start of a publish to each recorded ACK."""
    taken: list[float] = []

    async def follow(member: Member) -> None:
        await member.follow(verify)
        taken.append(time.perf_counter() - started)

    started = time.perf_counter()
    # In a thread, as the publisher is another process in life.
    await asyncio.gather(asyncio.to_thread(publish), *(follow(member) for member in members))
    return taken


async def list_runtimes(
    port: int, token: str, query: str, runs: int, *, is_all: bool
) -> tuple[list[float], int]:
    """Seconds that each of some listings took, and how many Runtimes the last one named.

    Args:
        query: Of the first page, not empty.
        is_all: Whether the other pages are asked for too, up to the last one.
    """
    peer = await Peer.connect(port, token)
    taken: list[float] = []
    count = 0
    for _ in range(runs + 1):
        started = time.perf_counter()
        count = await _list_pages(peer, f"/v1/runtimes?{query}", is_all=is_all)
        taken.append(time.perf_counter() - started)
    await peer.close()
    return taken[1:], count


async def _list_pages(peer: Peer, path: str, *, is_all: bool) -> int:
    count, after = 0, ""
    while True:
        answer = await peer.ask("GET", path + after)
        assert answer.status == 200, answer.body[:300]
        page = json.loads(answer.body)
        count += len(page["runtimes"])
        if page["next"] is None or not is_all:
            return count
        after = f"&after={page['next']}"
