"""One workload on a Backend process and on git over nginx: the same commits on both sides."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.cpu import ServerProcess
from bench.gitweb import GitWeb
from bench.leftovers import set_aside
from bench.processes import start_backend
from bench.workload import WORKSPACE, edit, make_files, write_changed
from yoi_bundles.author.publisher import DirectoryPublisher
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.service_manager import settle_memory
from yoi_bundles.model.ids import CommitId, Digest, RelativePath, RuntimeId
from yoi_bundles.model.revision import Provenance, Revision
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.messages.publishing import PublishReply, PublishRequest
from yoi_bundles.wire.messages.runtimes import RegisterRuntime

POLICY = 'schema = 1\n\n[bundles]\nworkspaces = ["bench"]\n'
VISIBILITY = 'schema = 1\n\n[[rule]]\nworkspaces = ["bench"]\n'
BRANCH = "+main:main"
PROVENANCE = Provenance(
    source_kind="directory", source_uri="bench", published_by="Bench <bench@example.org>",
    built_with="bench",
)  # fmt: skip


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory; returns what it printed."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_request(files: dict[RelativePath, bytes]) -> PublishRequest:
    """What a publisher sends."""
    return PublishRequest(
        files={path: data.decode() for path, data in files.items()},
        provenance=PROVENANCE,
        message="One edit",
    )  # fmt: skip


def make_edit_request(
    base: Digest, before: dict[RelativePath, bytes], after: dict[RelativePath, bytes]
) -> PublishRequest:
    """What a publisher sends that knows what it published last, and has edited it."""
    changed = {path: data for path, data in after.items() if before[path] is not data}
    return replace(make_request(changed), base=base)


@dataclass
class Stage:
    """A Backend process and a git server with the same history.

    Args:
        root: Directory of everything.
        files: The newest revision's.
        turn: Edits so far.
    """

    root: Path
    files: dict[RelativePath, bytes]
    turn: int = 0
    url: str = ""
    _count: Iterator[int] = field(default_factory=itertools.count)

    backend: Backend = field(init=False)
    server: ServerProcess = field(init=False)
    web: GitWeb = field(init=False)
    publisher: HttpClient = field(init=False)
    work_publisher: DirectoryPublisher = field(init=False)
    token: str = field(init=False)
    """Of a Runtime that stands for all clients whose own name does not matter."""

    @property
    def git_url(self) -> str:
        """Of the repository behind nginx."""
        return f"{self.web.url}/git/bench.git"

    @property
    def mirror(self) -> Path:
        """The repository behind nginx."""
        return self.root / "git" / "bench.git"

    @property
    def work(self) -> Path:
        """git's own work tree with the newest files, for `git add` and `git commit`."""
        return self.root / "work"

    def head(self) -> Revision:
        """The Backend's newest revision."""
        found = self.backend.publishing.workspace(WORKSPACE).head
        assert found is not None
        return found

    def edit(self) -> None:
        """One more line in one file, in memory."""
        self.turn += 1
        self.files = edit(self.files, self.turn)

    def edit_work(self) -> None:
        """One more line in one file of the work tree."""
        before = self.files
        self.edit()
        write_changed(self.work, before, self.files)

    def publish_work(self) -> PublishReply:
        """Publish the work tree in this process, as a long-running publisher does."""
        return self.work_publisher.publish(self.backend.publishing, provenance=PROVENANCE)

    def publish_everywhere(self) -> None:
        """An edit on both sides: the git server takes the very commit the Backend made."""
        before, base = self.files, self.head().digest
        self.edit()
        request = make_edit_request(base, before, self.files)
        assert BackendClient(self.publisher).publish(WORKSPACE, request).is_new
        self.copy_to_git()

    def copy_to_git(self) -> None:
        """Bring the mirror to the Backend's head, packed as a busy server keeps it."""
        repository = self.root / "backend" / "workspaces" / "bench.git"
        git(self.mirror, "fetch", "-q", str(repository), BRANCH)

    def make_bare(self) -> Path:
        """An empty repository to fetch into."""
        path = self.root / f"bare-{next(self._count)}"
        path.mkdir()
        git(path, "init", "-q", "--bare", "--object-format=sha256")
        return path

    def register(self) -> tuple[str, str]:
        """A fresh Runtime's name and token."""
        name = f"rt-{next(self._count)}"
        made = self.backend.fleet.register(RegisterRuntime(runtime_id=RuntimeId(name)))
        return name, made.token

    @contextmanager
    def runtime(self) -> Iterator[tuple[Runtime, Follower]]:
        """A fresh Runtime with a warm connection to the Backend; its files go at the end."""
        name, token = self.register()
        policy = self.root / "policy.toml"
        policy.write_text(POLICY)
        policy.chmod(0o600)
        client = HttpClient(self.url, token)
        # As `yoi-bundles runtime serve` does before it takes requests.
        settle_memory()
        with Runtime.open(self.root / name, policy=policy, runtime_id=name) as runtime:
            yield (
                runtime,
                Follower(runtime, BackendClient(client), [WORKSPACE], interval_seconds=3600),
            )
        client.close()
        set_aside(self.root / name)


@contextmanager
def open_stage(root: Path, size: int, *, revisions: int) -> Iterator[Stage]:
    """Prepare a history, start both servers, stop them at the end.

    Args:
        root: Empty directory.
        size: Files of the workspace.
        revisions: One-file edits before the stage is handed out.
    """
    with ExitStack() as stack:
        stage = Stage(root, make_files(size))
        visibility = root / "visibility.toml"
        visibility.write_text(VISIBILITY)
        stage.backend = stack.enter_context(
            Backend.open(root / "backend", visibility=visibility, clock=lambda: datetime.now(UTC))
        )
        stage.files = publish_history(stage.backend, stage.files, revisions)
        stage.turn = revisions
        token = stage.backend.credentials.create("bench", "publisher", now=datetime.now(UTC)).token
        stage.token = stage.register()[1]
        stage.server, stage.url = start_backend(root, visibility)
        stack.callback(stage.server.stop)
        stage.publisher = HttpClient(stage.url, token)
        stack.callback(stage.publisher.close)
        _make_mirror(stage)
        stage.work_publisher = DirectoryPublisher(stage.work, is_near=True)
        stage.web = GitWeb(root / "web", root / "git")
        stack.callback(stage.web.close)
        yield stage


def publish_history(
    backend: Backend, files: dict[RelativePath, bytes], revisions: int
) -> dict[RelativePath, bytes]:
    """Publish files, and one-file edits after that; returns the newest files."""
    publishing = backend.publishing
    newest = publishing.publish(WORKSPACE, make_request(files)).revision
    for turn in range(1, revisions + 1):
        before, files = files, edit(files, turn)
        request = make_edit_request(newest.digest, before, files)
        newest = publishing.publish(WORKSPACE, request).revision
    return files


def _make_mirror(stage: Stage) -> None:
    """The same history behind nginx, collected, with bitmaps: git at its best."""
    source = stage.root / "backend" / "workspaces" / "bench.git"
    stage.mirror.parent.mkdir()
    git(stage.root, "clone", "-q", "--bare", "--single-branch", "-b", "main", str(source),
        str(stage.mirror))  # fmt: skip
    git(stage.mirror, "gc", "-q", "--prune=now")
    git(stage.mirror, "repack", "-adbq")
    git(stage.root, "clone", "-q", str(stage.mirror), str(stage.work))
    git(stage.work, "config", "user.name", "Bench")
    git(stage.work, "config", "user.email", "bench@example.org")


def verify_bare(stage: Stage, bare: Path, commit: CommitId | None = None) -> None:
    """The fetched repository holds what the Backend holds.

    Raises:
        AssertionError: It does not.
    """
    wanted = stage.head().commit if commit is None else commit
    assert git(bare, "rev-parse", "main") == str(wanted)
