"""A Backend and Runtimes for tests: real sockets, real files, a clock that stands still.

Imported by conftest files; nothing here replaces a part of the product.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from canaries import CONTENT, watched, watched_at_once

from yoi_bundles.backend.service import Backend
from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.model.ids import Digest, Name, RelativePath, RuntimeId, WorkspaceId
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent
from yoi_bundles.model.revision import Provenance
from yoi_bundles.model.texts import Label
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.store import compute_digest
from yoi_bundles.wire.at_once.connections import DEFAULT_CONNECTION_LIMITS, ConnectionLimits
from yoi_bundles.wire.client.http import ClientLimits, HttpClient
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
from yoi_bundles.wire.messages.runtimes import RegisterRuntime
from yoi_bundles.wire.server.serving import ConnectionKind, Listen, make_config

TEAM = WorkspaceId("team")
OTHER = WorkspaceId("other")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FAST = ClientLimits(connect_seconds=2, read_seconds=20, attempts=2, retry_seconds=2)

POLICY = """\
schema = 1

[bundles]
required_for = ["always"]
workspaces = ["team", "other"]

[capabilities.git]
operations = ["read", "commit"]

[[network]]
hosts = ["*"]

[[mount]]
name = "checkout"
path = "{mount}"
mode = "rw"

[[secret]]
name = "anthropic-api-key"
env = "TEST_MODEL_KEY"

[[tool]]
tools = ["*"]
"""

VISIBILITY = """\
schema = 1

[[rule]]
labels = { region = "eu" }
workspaces = ["team"]

[[rule]]
runtimes = ["all-*"]
workspaces = ["*"]
"""


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def workspace_files(workspace: WorkspaceId = TEAM, **changed: str) -> dict[RelativePath, bytes]:
    """The builtin tree as a workspace; ``changed`` appends text (``prompts__role__coder``)."""
    files = dict(load_builtin_files())
    manifest = RelativePath("bundle.toml")
    text = files[manifest].decode()
    assert 'id = "builtin"' in text
    files[manifest] = text.replace('id = "builtin"', f'id = "{workspace}"').encode()
    files[RelativePath("prompts/role/coder.md")] += f"\nSay nothing of {CONTENT}.\n".encode()
    for key, added in changed.items():
        path = RelativePath(key.replace("__", "/") + ".md")
        files[path] = files[path] + added.encode()
    return files


def publish_request(files: dict[RelativePath, bytes], **changes: object) -> PublishRequest:
    """A publish request of these files."""
    values: dict[str, object] = {
        "files": {path: data.decode() for path, data in files.items()},
        "provenance": Provenance(
            source_kind="directory",
            source_uri="team",
            published_by="Ada <ada@example.org>",
            built_with="tests",
        ),
        "message": "A change",
    }
    return PublishRequest(**(values | changes))  # type: ignore[arg-type]


def digest_of(request: PublishRequest) -> Digest:
    """The digest that a request of all files makes."""
    return compute_digest({path: text.encode() for path, text in request.files.items()})


def worker_request(
    digest: Digest | None = None, *, workspace: WorkspaceId = TEAM, **changes: object
) -> CreateWorkerRequest:
    """A request for the coder profile of a bundle, or of the builtin one."""
    bundle = None if digest is None else BundleRef(workspace=workspace, digest=digest)
    values = {
        "worker_id": "worker-1",
        "selector": "default",
        "bundle": bundle,
        "intent": Intent(summary="Fix the rounding bug"),
    }
    return CreateWorkerRequest.model_validate(values | changes)


@dataclass
class House:
    """One Backend and as many Runtimes as a test asks for, below one directory."""

    root: Path
    clock: Clock = field(default_factory=Clock)
    policy_text: str = POLICY
    visibility_text: str = VISIBILITY
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def close(self) -> None:
        self._stack.close()

    def policy(self, text: str | None = None, name: str = "policy.toml") -> Path:
        """A host policy file with a mount that exists."""
        mount = self.root / "mounted"
        mount.mkdir(exist_ok=True)
        path = self.root / "etc" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((text or self.policy_text).replace("{mount}", str(mount)))
        path.chmod(0o600)
        return path

    def backend(self) -> Backend:
        visibility = self.root / "visibility.toml"
        visibility.write_text(self.visibility_text)
        return self._stack.enter_context(
            Backend.open(self.root / "backend", visibility=visibility, clock=self.clock)
        )

    def runtime(self, name: str = "eu-1", policy: Path | None = None) -> Runtime:
        return self._stack.enter_context(
            Runtime.open(
                self.root / name,
                policy=policy or self.policy(),
                runtime_id=name,
                clock=self.clock,
            )
        )

    def serve(self, app: object, limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS) -> str:
        """Serve an app on a free loopback port; returns its base URL."""
        return self._stack.enter_context(serving(app, limits))

    def serve_backend(self, backend: Backend) -> str:
        from yoi_bundles.backend.app import create_app

        return self.serve(create_app(backend))

    def serve_runtime(self, runtime: Runtime) -> tuple[str, str]:
        """Base URL, and a token with the role backend."""
        from yoi_bundles.runtime.app import create_app

        token = runtime.credentials.create("backend", "backend", now=self.clock()).token
        return self.serve(create_app(runtime)), token

    def serve_runtime_again(self, runtime: Runtime) -> str:
        """Base URL of a further server over the same Runtime."""
        from yoi_bundles.runtime.app import create_app

        return self.serve(create_app(runtime))

    def client(self, url: str, token: str | None) -> HttpClient:
        made = HttpClient(url, token, limits=FAST)
        self._stack.callback(made.close)
        return made

    def register(
        self,
        backend: Backend,
        name: str,
        *,
        endpoint: str | None = None,
        push_token: str | None = None,
        region: str = "eu",
    ) -> str:
        """Register a Runtime; returns the token it signs in with."""
        labels: dict[Name, Label] = {Name("region"): region}
        return backend.fleet.register(
            RegisterRuntime(
                runtime_id=RuntimeId(name), endpoint=endpoint, labels=labels, push_token=push_token
            )
        ).token

    def publish(
        self, backend: Backend, workspace: WorkspaceId = TEAM, **changed: str
    ) -> PublishReply:
        return backend.publishing.publish(
            workspace, publish_request(workspace_files(workspace, **changed))
        )


@contextlib.contextmanager
def serving(
    app: object,
    limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS,
    *,
    port: int = 0,
    connections: ConnectionKind = "parking",
) -> Iterator[str]:
    """Serve an ASGI app from a thread until the block ends, as the product serves it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    if state := getattr(app, "state", None):
        state.at_once = watched_at_once(state.at_once)
    config = make_config(app, Listen(connections=connections), limits=limits, graceful_seconds=1)  # type: ignore[arg-type]
    config.app = watched(config.app)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        thread.join(timeout=0.005)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        sock.close()


def tree_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, for "nothing was changed"."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
