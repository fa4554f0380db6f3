"""Runtimes that are pushed to: tokens for them, connections kept, patience with those that fail.

Source: docs/operations.md, "Push: the Backend sends to the Runtime".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from yoi_bundles.backend.fleet.registry import KnownRuntime
from yoi_bundles.errors import BundleError, InvalidInputError
from yoi_bundles.model.clock import Clock
from yoi_bundles.model.ids import RuntimeId
from yoi_bundles.wire.client.token_files import TokenFile, replace_token_file, write_token_file

if TYPE_CHECKING:
    from yoi_bundles.wire.client.runtime_client import RuntimeClient

Connect: TypeAlias = "Callable[[KnownRuntime], RuntimeClient]"

KEPT_CLIENTS = 256
"""Clients kept while nothing is pushed; those used longest ago go first."""
FIRST_WAIT_SECONDS = 2.0
"""After a second failure in a row; the first one may be a moment's, and is waited for nowhere."""
LONGEST_WAIT_SECONDS = 300.0


class PushTokens:
    """Tokens this Backend signs in with at Runtimes, a file each that only its owner reads.

    Args:
        root: Their directory.
        ca_file: Certificates to trust instead of the system's when Runtimes are called.
    """

    def __init__(self, root: Path, ca_file: Path | None = None) -> None:
        self._root = root
        self._ca_file = None if ca_file is None else str(ca_file)

    def keep(self, runtime_id: RuntimeId, token: str) -> None:
        """Keep the token for a Runtime's own API.

        Raises:
            InvalidInputError: There is one already, or it cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_token_file(self._root / str(runtime_id), token)

    def replace(self, runtime_id: RuntimeId, token: str) -> None:
        """Use another token for a Runtime's own API, from the next request on.

        Raises:
            InvalidInputError: It cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_token_file(self._root / str(runtime_id), token)

    def forget(self, runtime_id: RuntimeId) -> None:
        """Remove the token, if there is one."""
        (self._root / str(runtime_id)).unlink(missing_ok=True)

    def connect(self, runtime: KnownRuntime) -> RuntimeClient:
        """A client for a registered Runtime.

        Raises:
            InvalidInputError: It has no endpoint, or its token cannot be used.
        """
        # A server that pushes to nobody spares 1.4 MB.
        from yoi_bundles.wire.client.http import HttpClient
        from yoi_bundles.wire.client.runtime_client import RuntimeClient

        if runtime.endpoint is None:
            raise InvalidInputError(f"the runtime {runtime.runtime_id} has no endpoint; it pulls")
        file = self._root / str(runtime.runtime_id)
        token = TokenFile(file) if file.exists() else None
        return RuntimeClient(HttpClient(runtime.endpoint, token, ca_file=self._ca_file))


class Backoff:
    """How long each Runtime that fails is left alone; safe to share between threads.

    After the second failure in a row a Runtime is not called for `FIRST_WAIT_SECONDS`, and after
    each further one twice as long, up to `LONGEST_WAIT_SECONDS`, or as long as it asks for, if that
    is more. A part of each wait is left to chance, so that those that failed together do not come
    back together.

    Args:
        clock: Now, with a time zone.
        chance: A number from 0 to 1, another one each time.
    """

    def __init__(self, clock: Clock, chance: Callable[[], float]) -> None:
        self._clock = clock
        self._chance = chance
        self._failed: dict[RuntimeId, _Failed] = {}

    def failures(self, runtime_id: RuntimeId) -> int:
        """How often a Runtime has failed since it last answered."""
        failed = self._failed.get(runtime_id)
        return 0 if failed is None else failed.times

    def find_wait(self, runtime_id: RuntimeId) -> float | None:
        """Seconds that a Runtime is still to be left alone, or None if it may be called."""
        failed = self._failed.get(runtime_id)
        if failed is None:
            return None
        seconds = (failed.until - self._clock()).total_seconds()
        # A clock that was set back must not make anybody wait for longer than was meant.
        return seconds if 0 < seconds <= LONGEST_WAIT_SECONDS else None

    def note_success(self, runtime_id: RuntimeId) -> None:
        """It answered: whatever was before counts no more."""
        self._failed.pop(runtime_id, None)

    def note_failure(self, runtime_id: RuntimeId, error: BundleError) -> None:
        """It did not answer, or could not do what was asked."""
        times = self.failures(runtime_id) + 1
        asked = error.facts.get("retry_after_seconds")
        seconds = 0.0 if times == 1 else FIRST_WAIT_SECONDS * 2.0 ** min(times - 2, 16)
        seconds = min(seconds, LONGEST_WAIT_SECONDS) * (0.5 + 0.5 * self._chance())
        if isinstance(asked, int):
            seconds = max(seconds, min(float(asked), LONGEST_WAIT_SECONDS))
        self._failed[runtime_id] = _Failed(times, self._clock() + timedelta(seconds=seconds))


class _Failed(NamedTuple):
    """Failures in a row, and when the next call may be made."""

    times: int
    until: datetime


class Clients:
    """A client for each Runtime, kept while nothing is pushed to it; safe between threads.

    Args:
        connect: How a Runtime is reached.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._kept: dict[RuntimeId, tuple[KnownRuntime, RuntimeClient]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def use(self, runtime: KnownRuntime) -> Iterator[RuntimeClient]:
        """A client that nobody else uses meanwhile; it is kept unless the block raises.

        Raises:
            BundleError: The Runtime cannot be reached at all.
        """
        client = self._take(runtime)
        try:
            yield client
        except BaseException:
            client.close()
            raise
        self._keep(runtime, client)

    def _take(self, runtime: KnownRuntime) -> RuntimeClient:
        with self._lock:
            known, client = self._kept.pop(runtime.runtime_id, (None, None))
        if client is not None and known is not None and known.endpoint == runtime.endpoint:
            return client
        if client is not None:
            client.close()
        return self._connect(runtime)

    def _keep(self, runtime: KnownRuntime, client: RuntimeClient) -> None:
        with self._lock:
            spare = [self._kept.pop(runtime.runtime_id, None)]
            self._kept[runtime.runtime_id] = (runtime, client)
            if len(self._kept) > KEPT_CLIENTS:
                spare.append(self._kept.pop(next(iter(self._kept))))
        for one in filter(None, spare):
            one[1].close()

    def close(self) -> None:
        """Close all that are kept."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for _, client in kept.values():
            client.close()
