"""The same for asyncio: each call in a thread of the event loop's own pool, its answer awaited.

Thin on purpose. A `Backend` and a `Runtime` are safe to share between threads, so these are safe to
share between tasks. A call that is cancelled is still carried out to its end, in its thread. What
waits for a disk never holds up the event loop. For anything else, ``sync`` is the object behind.

    async with await aio.Runtime.open("runtime", policy="host-policy.toml") as runtime:
        created = await runtime.create_worker(request)
        plan = await runtime.plan_launch(created.worker.worker_id)
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from yoi_bundles.author.workspace_publisher import WorkspacePublisher as _WorkspacePublisher
from yoi_bundles.backend.service import Backend as _Backend
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.model.revision import Revision
from yoi_bundles.runtime.service import Runtime as _Runtime

__all__ = ["Backend", "Runtime", "WorkspacePublisher"]

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def _awaited(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[_Wrapped[S], P], Coroutine[Any, Any, T]]:
    """A method that calls another one, of the object behind, in a thread."""

    async def call(self: _Wrapped[S], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self.sync, *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


class _Wrapped(Generic[S]):
    """Holds the object behind.

    Args:
        sync: What does the work; it may be used beside this one, from any thread.
    """

    def __init__(self, sync: S) -> None:
        self.sync = sync


class _Opened(Generic[P, S]):
    """A class method that opens what a class wraps, in a thread, and wraps it.

    Args:
        open_it: Opens; its parameters are those of the method.
    """

    def __init__(self, open_it: Callable[P, S]) -> None:
        self._open_it = open_it

    def __get__(
        self, instance: object, owner: Callable[[S], T]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner(await asyncio.to_thread(self._open_it, *args, **kwargs))

        functools.update_wrapper(call, self._open_it)
        return call


class Backend(_Wrapped[_Backend]):
    """A `yoi_bundles.Backend` whose methods are awaited."""

    open = _Opened(_Backend.open)
    publish = _awaited(_Backend.publish)
    workspace = _awaited(_Backend.workspace)
    log = _awaited(_Backend.log)
    diff = _awaited(_Backend.diff)
    sync_runtimes = _awaited(_Backend.sync)
    bundle_file = _awaited(_Backend.bundle_file)
    channel = _awaited(_Backend.channel)
    overview = _awaited(_Backend.overview)
    close = _awaited(_Backend.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


class Runtime(_Wrapped[_Runtime]):
    """A `yoi_bundles.Runtime` whose methods are awaited."""

    open = _Opened(_Runtime.open)
    put_bundle = _awaited(_Runtime.put_bundle)
    bundle_status = _awaited(_Runtime.bundle_status)
    bundles = _awaited(_Runtime.bundles)
    create_worker = _awaited(_Runtime.create_worker)
    resolve = _awaited(_Runtime.resolve)
    plan_launch = _awaited(_Runtime.plan_launch)
    worker = _awaited(_Runtime.worker)
    workers = _awaited(_Runtime.workers)
    info = _awaited(_Runtime.info)
    close = _awaited(_Runtime.close)

    def on_accepted(
        self, workspace: WorkspaceId | str, callback: Callable[[Revision], object]
    ) -> Callable[[], None]:
        """As `yoi_bundles.Runtime.on_accepted`, but called in this event loop."""
        loop = asyncio.get_running_loop()
        return self.sync.on_accepted(
            workspace, lambda revision: loop.call_soon_threadsafe(callback, revision)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


class WorkspacePublisher(_Wrapped[_WorkspacePublisher]):
    """A `yoi_bundles.WorkspacePublisher` whose `publish` is awaited; one call at a time."""

    def __init__(self, target: Backend) -> None:
        super().__init__(_WorkspacePublisher(target.sync))

    publish = _awaited(_WorkspacePublisher.publish)
