"""Requests that wait for news: no thread, no timer and no framework each, one clock for all.

A route that has nothing new answers with a `Parked`. The request then leaves the framework, whose
frames weigh more than all else of it, and comes again through all of it when there may be news: who
asks, and what may be seen, is judged by what holds at that time. A connection of ours keeps no more
of it than its head meanwhile; for others a task waits.

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
from collections.abc import Callable, Hashable, Iterable
from http import HTTPStatus
from typing import Any, Generic, TypeAlias, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from yoi_bundles.wire.answers.responses import EncodedResponse
from yoi_bundles.wire.answers.throttle import BUSY_SECONDS, refuse_for
from yoi_bundles.wire.messages.roles import CredentialView

K = TypeVar("K", bound=Hashable)
WhenLeft: TypeAlias = Callable[[Callable[[], None] | None], None]
"""Takes what is to be called when the connection is lost; None takes it back."""

LEFT = "yoi_bundles.left"
"""The extension of a request's scope that is such a one; without it a wait ends in time only."""

_PARKED = "parked"
_WAITED = "has waited"
Tell: TypeAlias = Callable[[], object]

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


class Wait(Generic[K]):
    """One request that waits, from `Waits.begin` until it is over.

    Args:
        waits: Where it is counted.
        owner: Whose request it is.
        key: What it waits for.
        end: When its time is over, in ticks of the event loop's clock.
        tell: Called in a turn of the event loop of its own when it is over, unless it was left.
    """

    __slots__ = ("_waits", "end", "is_over", "key", "owner", "tell")

    def __init__(
        self, waits: Waits[K], owner: CredentialView, key: K, end: int, tell: Tell
    ) -> None:
        self._waits = waits
        self.owner = owner
        self.key = key
        self.end = end
        self.tell = tell
        self.is_over = False

    def leave(self) -> None:
        """Wait no longer; nobody is told."""
        if not self.is_over:
            self.is_over = True
            self._waits.forget(self)

    def wake(self) -> None:
        """The request is to come again."""
        if not self.is_over:
            self.leave()
            asyncio.get_running_loop().call_soon(self.tell)

    async def until_over(self, when_left: WhenLeft) -> None:
        """Return when it is over, or when the caller has left."""
        if self.is_over:
            return
        over = asyncio.Event()
        self.tell = over.set
        when_left(self.wake)
        try:
            await over.wait()
        finally:
            when_left(None)
            self.leave()


class Parked(EncodedResponse):
    """Stands for an answer that is not there yet.

    Args:
        begin: Lets the request wait; it is to come again when the argument is called.
    """

    def __init__(self, begin: Callable[[Tell], Wait[Any]]) -> None:
        super().__init__(HTTPStatus.ACCEPTED, [])
        self.begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing, and tell `serve_with_waits`."""
        scope["state"][_PARKED] = self.begin


def is_parked(scope: Scope) -> bool:
    """Whether a request has been answered with `Parked`."""
    return _PARKED in scope.get("state", ())


def has_waited(scope: Scope) -> bool:
    """Whether a request comes again after its wait: it is answered now, with news or without."""
    return _WAITED in scope.get("state", ())


def state_of_parked(wait: Wait[Any]) -> dict[str, Any]:
    """State of a request that waits already when an app gets it for the first time."""
    return {_PARKED: lambda tell: wait}


def state_of_waited() -> dict[str, Any]:
    """State of a request that an app gets after its wait."""
    return {_WAITED: True}


async def serve_with_waits(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let an app answer, after a wait if it says so."""
    state = scope.setdefault("state", {})
    if _PARKED not in state:
        # A copy: what the framework notes in it goes with the framework's frames.
        await app(dict(scope), receive, send)
    if _PARKED in state:
        wait = state.pop(_PARKED)(_tell_nobody)
        await wait.until_over(scope.get("extensions", {}).get(LEFT, _never))
        state[_WAITED] = True
        await app(scope, receive, send)


class Waits(Generic[K]):
    """Who waits for news of what; lives in one event loop, only `wake` comes from elsewhere.

    Args:
        look: What something looks like now; another value than before is news.
        each: How many requests of one caller may wait.
        may_wait: Whether a caller may still know of something; asked by `wake_some`.
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
        self._waiting: dict[K, set[Wait[K]]] = {}
        self._seen: dict[K, object] = {}
        self._ends: dict[int, set[Wait[K]]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        self._with_news: set[K] = set()

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
        return Parked(functools.partial(self.begin, owner, key, seen, seconds))

    def begin(
        self, owner: CredentialView, key: K, seen: object, seconds: float, tell: Tell
    ) -> Wait[K]:
        """Let somebody wait until there is news, or the time is over.

        Returns:
            What is over at once if nobody may wait, or this one may not know of the key any more.
        """
        loop = self._loop = asyncio.get_running_loop()
        end = math.ceil((loop.time() + seconds) / TICK_SECONDS)
        wait = Wait(self, owner, key, end, tell)
        self._owners[owner.name] += 1
        self._seen.setdefault(key, seen)
        self._waiting.setdefault(key, set()).add(wait)
        self._ends.setdefault(end, set()).add(wait)
        if self._is_stopped or not self._may_wait(owner, key):
            wait.wake()
        elif self._ticking is None:
            self._ticking = loop.create_task(self._tick())
        return wait

    def forget(self, wait: Wait[K]) -> None:
        """Count somebody as not waiting any more; see `Wait.leave`."""
        self._owners[wait.owner.name] -= 1
        if not self._owners[wait.owner.name]:
            del self._owners[wait.owner.name]
        self._ends[wait.end].discard(wait)
        if not self._ends[wait.end]:
            del self._ends[wait.end]
        self._waiting[wait.key].discard(wait)
        if not self._waiting[wait.key]:
            del self._waiting[wait.key]
            del self._seen[wait.key]

    def wake(self, key: K) -> None:
        """Wake who waits for this; from any thread, whatever has become of the event loop."""
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            is_first = not self._with_news
            self._with_news.add(key)
        if is_first:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._wake_waiting)

    def wake_some(self) -> None:
        """Wake whoever may not know any more of what it waits for; from any thread, as `wake`."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # as of `wake`
                self._loop.call_soon_threadsafe(self._wake_some)

    def _wake_some(self) -> None:
        for key, members in list(self._waiting.items()):
            _wake(one for one in members if not self._may_wait(one.owner, key))

    def _wake_waiting(self) -> None:
        with self._lock:
            woken, self._with_news = self._with_news, set()
        for key in woken:
            _wake(self._waiting.get(key, ()))

    def stop(self) -> None:
        """Wake everybody, and let nobody wait any more: the server stops."""
        self._is_stopped = True
        self._wake_all()

    def _wake_all(self) -> None:
        for members in list(self._waiting.values()):
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
            self._wake_all()

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


def _tell_nobody() -> None:
    """Whoever waits finds out by itself."""


def _wake(members: Iterable[Wait[Any]]) -> None:
    for wait in list(members):
        wait.wake()
