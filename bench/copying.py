"""How long rsync and ostree take to bring the same trees to another directory; no targets.

Both serve over a loopback socket, as git does. Neither brings history; rsync proves nothing about
what it brings, ostree checks a commit by its checksums.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from bench.cpu import ServerProcess
from bench.gitweb import free_port, wait_for_port
from bench.leftovers import set_aside
from bench.scale import Scale
from bench.stage import Stage
from bench.syncing import timed
from bench.table import Record
from bench.workload import WORKSPACE, write_changed, write_files

_MODULE = """\
use chroot = no
port = {port}
address = 127.0.0.1
pid file = {root}/rsyncd.pid
[source]
path = {source}
read only = yes
"""


def measure_copying(stage: Stage, scale: Scale, record: Record) -> None:
    """Rows of the suite ``copying``: ours are the fresh sync and the increment of the same run."""
    size = len(stage.files)
    root = stage.root / "copying"
    source = root / "source"
    write_files(source, stage.files)
    with ExitStack() as stack:
        peers = {
            name: make(stack, stage, root) if shutil.which(name) else None
            for name, make in (("rsync", Rsync), ("ostree", Ostree))
        }
        record.absent |= {name for name, peer in peers.items() if peer is None}
        taken = [_run_once(stage, source, peers) for _ in range(scale.runs + 1)]
    set_aside(root)
    for name, peer in peers.items():
        for work in ("fresh copy", "one-file copy"):
            row = f"{work}, {name}"
            pairs = [(one[work, "ours"], one.get((work, name), 0.0)) for one in taken]
            if peer is not None:
                record.add_pairs(row, size, pairs)
            else:
                record.add_absent(row, size)


def _run_once(
    stage: Stage, source: Path, peers: dict[str, Rsync | Ostree | None]
) -> dict[tuple[str, str], float]:
    """Seconds by work and name: into an empty directory, then after one edit."""
    seen = {}
    here = {name: peer for name, peer in peers.items() if peer is not None}
    with stage.runtime() as (runtime, follower):
        for work in ("fresh copy", "one-file copy"):
            seen[work, "ours"] = timed(lambda: follower.poll(WORKSPACE))
            assert runtime.bundle_status(stage.head().digest, WORKSPACE).is_current
            for name, peer in here.items():
                if work == "fresh copy":
                    peer.begin()
                seen[work, name] = timed(peer.fetch)
                peer.verify(source)
            if work == "fresh copy":
                _edit(stage, source, here)
    for peer in here.values():
        set_aside(peer.target)
    return seen


def _edit(stage: Stage, source: Path, peers: dict[str, Rsync | Ostree]) -> None:
    before = stage.files
    stage.publish_everywhere()
    write_changed(source, before, stage.files)
    for peer in peers.values():
        peer.publish()


class Rsync:
    """A daemon over the source directory, and a directory that follows it."""

    def __init__(self, stack: ExitStack, stage: Stage, root: Path) -> None:
        port = free_port()
        config = root / "rsyncd.conf"
        config.write_text(_MODULE.format(port=port, root=root, source=root / "source"))
        self.target = root / "rsynced"
        self._url = f"rsync://127.0.0.1:{port}/source/"
        command = ["rsync", "--daemon", "--no-detach", f"--config={config}"]
        server = ServerProcess(command, "rsync", stderr=subprocess.DEVNULL)
        stack.callback(server.stop)
        wait_for_port(port)

    def publish(self) -> None:
        """The daemon serves what lies there."""

    def begin(self) -> None:
        """An empty directory."""
        self.target.mkdir()

    def fetch(self) -> None:
        """Bring the directory to what the daemon has."""
        _run("rsync", "-a", "--delete", self._url, str(self.target))

    def verify(self, source: Path) -> None:
        """The directories are equal."""
        _run("diff", "-r", str(source), str(self.target))


class Ostree:
    """An archive repository behind nginx, and one that pulls from it."""

    def __init__(self, stack: ExitStack, stage: Stage, root: Path) -> None:
        self._served = stage.web.files / "ostree"
        self._source = root / "source"
        self._url = f"{stage.web.url}/files/ostree"
        self.target = root / "ostreed"
        stack.callback(set_aside, self._served)
        _run("ostree", f"--repo={self._served}", "init", "--mode=archive")
        self.publish()

    def publish(self) -> None:
        """Commit the source directory."""
        _run(
            "ostree", f"--repo={self._served}", "commit", "-b", "main", "-s", "edit",
            f"--tree=dir={self._source}",
        )  # fmt: skip

    def begin(self) -> None:
        """An empty repository that knows where to pull from."""
        repository = f"--repo={self.target}"
        _run("ostree", repository, "init", "--mode=bare-user")
        _run("ostree", repository, "remote", "add", "--no-gpg-verify", "origin", self._url)

    def fetch(self) -> None:
        """Pull the newest commit."""
        _run("ostree", f"--repo={self.target}", "pull", "origin", "main")

    def verify(self, source: Path) -> None:
        """What was pulled is what was committed."""
        mine = _run("ostree", f"--repo={self.target}", "rev-parse", "origin:main")
        assert mine == _run("ostree", f"--repo={self._served}", "rev-parse", "main")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
