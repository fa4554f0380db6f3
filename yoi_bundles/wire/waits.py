"""Requests that wait for news: no thread, no timer and no framework each, one clock for all.

A route that has nothing new answers with a `Parked`. The request then leaves the framework, whose
frames weigh more than all else of it, and comes again through all of it when there may be news: who
asks, and what may be seen, is judged by what holds at that time.

While somebody waits, one task looks every 50 ms at whether anything was changed by another process,
and at whose time is over; the fewer look-outs a second, the more there is to look at.

Source: RFC 7240 section 4.3 (``wait``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable
from http import HTTPStatus
from typing import Generic, TypeAlias, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from yoi_bundles.wire.responses import EncodedResponse
from yoi_bundles.wire.roles import CredentialView
from yoi_bundles.wire.throttle import BUSY_SECONDS, refuse_for

K = TypeVar("K", bound=Hashable)
WhenLeft: TypeAlias = Callable[[Callable[[], None] | None], None]
"""Takes what is to be called when the connection is lost; None takes it back."""

LEFT = "yoi_bundles.left"
"""The extension of a request's scope that is such a one; without it a wait ends in time only."""

_PARKED = "parked"
_WAITED = "has waited"
Woken: TypeAlias = "asyncio.Future[None]"

MAX_WAIT_SECONDS = 60
"""The longest wait that is granted; who wants more is told how much it got."""
TICK_SECONDS = 0.05
_BUSY_PART = 0.01
"""Part of the time that may be spent looking, however much is watched."""

_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


def preferred_wait_seconds(scope: Scope) -> int:
    """How long a caller would like to wait for news, at most `MAX_WAIT_SECONDS`; 0: not at all."""
    for name, value in scope["headers"]:
        if name != b"prefer":
            continue
        for preference in value.decode("latin-1").split(","):
            match = _WAIT.fullmatch(preference)
            if match is not None:
                return min(int(match[1]), MAX_WAIT_SECONDS)
    return 0


class Parked(EncodedResponse):
    """Stands for an answer that is not there yet.

    Args:
        wait: Returns when the request is to come again; may be told when its caller has left.
    """

    def __init__(self, wait: Callable[[WhenLeft], Awaitable[None]]) -> None:
        super().__init__(HTTPStatus.ACCEPTED, [])
        self._wait = wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing, and tell `serve_with_waits`."""
        scope["state"][_PARKED] = self._wait


def is_parked(scope: Scope) -> bool:
    """Whether a request has been answered with `Parked`."""
    return _PARKED in scope.get("state", ())


def has_waited(scope: Scope) -> bool:
    """Whether a request comes again after its wait: it is answered now, with news or without."""
    return _WAITED in scope.get("state", ())


async def serve_with_waits(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let an app answer, after a wait if it says so."""
    state = scope.setdefault("state", {})
    # A copy: what the framework notes in it goes with the framework's frames.
    await app(dict(scope), receive, send)
    if _PARKED in state:
        state[_WAITED] = True
        await state.pop(_PARKED)(scope.get("extensions", {}).get(LEFT, _never))
        await app(scope, receive, send)


class Waits(Generic[K]):
    """Who waits for news of what; lives in one event loop, only rings come from elsewhere.

    Args:
        look: What something looks like now; another value than before is news.
        each: How many requests of one caller may wait.
        may_wait: Whether a caller may still know of something; asked by `ring_for_some`.
    """

    def __init__(
        self,
        look: Callable[[K], object],
        each: Callable[[], int],
        may_wait: Callable[[CredentialView, K], bool] = lambda owner, key: True,
    ) -> None:
        self._look = look
        self._each = each
        self._may_wait = may_wait
        self._owners: Counter[str] = Counter()
        self._waiting: dict[K, dict[Woken, CredentialView]] = {}
        self._seen: dict[K, object] = {}
        self._ends: dict[int, set[Woken]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        self._rung: set[K] = set()

    def look(self, key: K) -> object:
        """What to give `wait`; asked before it is judged whether there is anything to wait for."""
        return self._look(key)

    def park(self, owner: CredentialView, key: K, seen: object, seconds: float) -> Parked:
        """The answer of a route that has nothing new.

        Args:
            owner: Whose request it is.
            seen: What `look` said before.

        Raises:
            TooManyRequestsError: Too many of this caller's wait already.
        """
        if self._owners[owner.name] >= self._each():
            raise refuse_for("too many requests of this token wait for news", BUSY_SECONDS)
        return Parked(functools.partial(self.wait, owner, key, seen, seconds))

    async def wait(
        self, owner: CredentialView, key: K, seen: object, seconds: float, when_left: WhenLeft
    ) -> None:
        """Return when there is news, when the time is over, or when the caller has left."""
        if self._is_stopped or not self._may_wait(owner, key):
            return
        self._loop = asyncio.get_running_loop()
        woken: Woken = self._loop.create_future()
        end = math.ceil((self._loop.time() + seconds) / TICK_SECONDS)
        self._owners[owner.name] += 1
        self._seen.setdefault(key, seen)
        self._waiting.setdefault(key, {})[woken] = owner
        self._ends.setdefault(end, set()).add(woken)
        if self._ticking is None:
            self._ticking = self._loop.create_task(self._tick())
        when_left(functools.partial(_wake, (woken,)))
        try:
            await woken
        finally:
            when_left(None)
            self._forget(owner.name, key, end, woken)

    def _forget(self, owner: str, key: K, end: int, woken: Woken) -> None:
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
        self._ends[end].discard(woken)
        if not self._ends[end]:
            del self._ends[end]
        del self._waiting[key][woken]
        if not self._waiting[key]:
            del self._waiting[key]
            self._seen.pop(key, None)

    def ring(self, key: K) -> None:
        """Wake who waits for this; from any thread, whatever has become of the event loop."""
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            is_first = not self._rung
            self._rung.add(key)
        if is_first:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._wake_rung)

    def ring_for_some(self) -> None:
        """Wake whoever may not know any more of what it waits for; from any thread, as `ring`."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # as of `ring`
                self._loop.call_soon_threadsafe(self._wake_some)

    def _wake_some(self) -> None:
        for key, members in self._waiting.items():
            _wake(woken for woken, owner in members.items() if not self._may_wait(owner, key))

    def _wake_rung(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, set()
        for key in rung:
            _wake(self._waiting.get(key, ()))

    def stop(self) -> None:
        """Wake everybody, and let nobody wait any more: the server stops."""
        self._is_stopped = True
        for members in self._waiting.values():
            _wake(members)

    async def _tick(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while self._waiting:
                started = clock()
                self._look_round(started)
                spent = clock() - started
                await asyncio.sleep(max(TICK_SECONDS, spent / _BUSY_PART))
        finally:
            # Should a look fail, nobody waits on without a clock: all ask again, and the next
            # who waits has a new one.
            self._ticking = None
            for members in self._waiting.values():
                _wake(members)

    def _look_round(self, now_seconds: float) -> None:
        """Wake whose time is over, and who waits for what has changed."""
        for end in [one for one in self._ends if one * TICK_SECONDS <= now_seconds]:
            _wake(self._ends[end])
        for key in list(self._waiting):
            now = self._look(key)
            if now != self._seen.get(key):
                self._seen[key] = now
                _wake(self._waiting[key])


def _never(callback: Callable[[], None] | None) -> None:
    """For a server that does not say when a caller has left."""


def _wake(members: Iterable[Woken]) -> None:
    for woken in members:
        if not woken.done():
            woken.set_result(None)
