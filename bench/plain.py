"""One workload on a Backend process, with no peer beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.cpu import ServerProcess
from bench.processes import start_backend
from bench.stage import VISIBILITY, make_edit_request, publish_history
from bench.workload import WORKSPACE, edit, make_files
from yoi_bundles.backend.service import Backend
from yoi_bundles.model.ids import RelativePath, RuntimeId
from yoi_bundles.model.revision import Revision
from yoi_bundles.wire.messages.publishing import PublishRequest
from yoi_bundles.wire.messages.runtimes import RegisterRuntime


@dataclass
class Plain:
    """A Backend process, and the library over the same directory.

    Args:
        files: The newest revision's.
        turn: Edits so far.
    """

    root: Path
    backend: Backend
    files: dict[RelativePath, bytes]
    server: ServerProcess
    url: str
    turn: int = 0

    def head(self) -> Revision:
        """The Backend's newest revision."""
        found = self.backend.publishing.workspace(WORKSPACE).head
        assert found is not None
        return found

    def edit_request(self) -> PublishRequest:
        """An edit of the newest files, to be published."""
        self.turn += 1
        before, self.files = self.files, edit(self.files, self.turn)
        return make_edit_request(self.head().digest, before, self.files)

    def register(self, name: str, labels: dict[str, str] | None = None) -> str:
        """Make a Runtime known; returns its token."""
        request = RegisterRuntime(runtime_id=RuntimeId(name), labels=labels or {})
        return self.backend.fleet.register(request).token

    def token(self, name: str, role: str) -> str:
        """A credential of another role."""
        return self.backend.credentials.create(name, role, now=datetime.now(UTC)).token  # type: ignore[arg-type]


@contextmanager
def open_plain(root: Path, size: int, *, revisions: int) -> Iterator[Plain]:
    """Publish a history, start the server, stop it at the end.

    Args:
        root: Directory to make.
        size: Files of the workspace.
        revisions: One-file edits.
    """
    root.mkdir()
    visibility = root / "visibility.toml"
    visibility.write_text(VISIBILITY)
    files = make_files(size)
    with ExitStack() as stack:
        backend = stack.enter_context(Backend.open(root / "backend", visibility=visibility))
        files = publish_history(backend, files, revisions)
        server, url = start_backend(root, visibility)
        stack.callback(server.stop)
        yield Plain(root, backend, files, server, url, revisions)
