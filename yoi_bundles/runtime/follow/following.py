"""A Runtime that follows a Backend, begun and ended in one call each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import WorkspaceId
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.client.token_files import TokenFile

POLL_SECONDS = 60.0


class Following:
    """A Runtime that follows, until `stop` or the end of the block."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def stop(self) -> None:
        """End it; returns when the poll under way has ended."""
        self._follower.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def follow(
    runtime: Runtime,
    url: str,
    workspaces: Sequence[WorkspaceId | str],
    *,
    token: str | None = None,
    token_file: Path | str | None = None,
    ca_file: Path | str | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> Following:
    """Keep a Runtime's workspaces at what a Backend has, in threads of this process.

    Returns at once; the first poll is under way. Failures are noted in `Runtime.info` and tried
    again. News come at once where the Backend lets callers wait for them.

    Args:
        runtime: What receives; it must stay open until the end.
        url: The Backend's base address.
        workspaces: Which to follow; at least one.
        token: What the Runtime signs in with.
        token_file: Read instead, before each request: so a token can be replaced.
        ca_file: Certificates to trust instead of the system's.
        poll_seconds: Between two polls of a workspace; more than 0.

    Raises:
        InvalidInputError: A name is none, there is no workspace, or there are two tokens.
    """
    if not workspaces or isinstance(workspaces, str):
        raise InvalidInputError("which workspaces are to be followed?", hint='give ["a-team"]')
    if token is not None and token_file is not None:
        raise InvalidInputError("a token and a file with one: only one can be meant")
    if not 0 < poll_seconds < float("inf"):
        raise InvalidInputError("poll_seconds: must be a number of seconds, more than 0")
    names = [WorkspaceId.coerce(one) for one in workspaces]
    signs_in = token if token_file is None else TokenFile(Path(token_file))
    client = HttpClient(url, signs_in, ca_file=None if ca_file is None else str(ca_file))
    follower = Follower(runtime, BackendClient(client), names, interval_seconds=poll_seconds)
    follower.start()
    return Following(follower)
