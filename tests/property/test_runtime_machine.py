"""A Runtime through any sequence of good and bad days: what was acknowledged stays, and only it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

from canaries import SECRET_VALUE
from depth import times
from house import TEAM, House, worker_request
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from io_seam import watching
from kill_driver import Killer

from yoi_bundles.errors import BundleError, BundleMissingError
from yoi_bundles.model.ids import Digest

NOWHERE = Digest("0" * 63 + "1")


class RuntimeMachine(RuleBasedStateMachine):
    """A Backend publishes; a Runtime receives, restarts, is tampered with, and makes Workers."""

    def __init__(self) -> None:
        super().__init__()
        os.environ["TEST_MODEL_KEY"] = SECRET_VALUE
        self.root = Path(tempfile.mkdtemp(prefix="yoi-machine-"))
        self.house = House(self.root)
        self.backend = self.house.backend()
        self.runtime = self.house.runtime()
        self.turn = 0
        self.acknowledged: list[Digest] = []
        self.files: list[tuple[Digest, bytes]] = []
        self.workers = 0

    def teardown(self) -> None:
        fsck = self._git("fsck", "--full", "--strict") if self.acknowledged else None
        self.house.close()
        for directory, _, _ in os.walk(self.root):
            Path(directory).chmod(0o755)
        shutil.rmtree(self.root)
        if fsck is not None:
            assert fsck.returncode == 0, fsck.stderr

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        repository = self.root / "eu-1" / "bundles" / "team.git"
        return subprocess.run(
            ["git", "--git-dir", str(repository), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _put(self, digest: Digest, data: bytes) -> bool:
        return self.runtime.put_bundle(TEAM, digest, [data]).is_new

    def _refusal_of(self, digest: Digest, data: bytes) -> BundleError | None:
        """Why a bundle file was refused; None if it was held already. It is never taken as new."""
        try:
            assert not self._put(digest, data), "something was taken as new that may not be"
        except BundleError as error:
            return error
        return None

    @rule()
    def publish_and_sync(self) -> None:
        self.turn += 1
        reply = self.house.publish(self.backend, prompts__role__coder=f"\nTurn {self.turn}.\n")
        haves = self.runtime.held.haves(TEAM)
        file = self.backend.bundle_file(reply.revision.digest, haves=haves, workspace=TEAM)
        data = file.path.read_bytes()
        assert self._put(reply.revision.digest, data)
        self.acknowledged.append(reply.revision.digest)
        self.files.append((reply.revision.digest, data))

    @rule(at=st.integers(0, 60))
    def kill_while_it_receives(self, at: int) -> None:
        """The retry after the restart must do, whether or not the commit point had been passed."""
        self.turn += 1
        reply = self.house.publish(self.backend, prompts__role__coder=f"\nTurn {self.turn}.\n")
        haves = self.runtime.held.haves(TEAM)
        file = self.backend.bundle_file(reply.revision.digest, haves=haves, workspace=TEAM)
        data = file.path.read_bytes()
        self.runtime.close()
        child = os.fork()
        if child == 0:
            self._put_and_be_killed(reply.revision.digest, data, at)
        os.waitpid(child, 0)
        self.runtime = self.house.runtime()
        self._put(reply.revision.digest, data)
        self.acknowledged.append(reply.revision.digest)
        self.files.append((reply.revision.digest, data))

    def _put_and_be_killed(self, digest: Digest, data: bytes, at: int) -> NoReturn:
        try:
            with watching(self.root / "eu-1", Killer(at)):
                self.runtime = self.house.runtime()
                self._put(digest, data)
        finally:
            os._exit(0)

    @precondition(lambda self: self.acknowledged)
    @rule()
    def collect_garbage(self) -> None:
        dropped = self.runtime.held.upkeep.collect(TEAM, keep=len(self.acknowledged)).dropped
        assert dropped == ()

    @precondition(lambda self: self.files)
    @rule(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
    def put_damaged(self, position: float, flip: int) -> None:
        digest, data = self.files[-1]
        damaged = bytearray(data)
        damaged[int(position * len(data))] ^= flip
        refusal = self._refusal_of(digest, bytes(damaged))
        assert refusal is None or refusal.code != "internal_error"

    @precondition(lambda self: self.files)
    @rule()
    def put_under_another_digest(self) -> None:
        refusal = self._refusal_of(NOWHERE, self.files[-1][1])
        assert refusal is not None
        assert refusal.code in {"digest_mismatch", "missing_prerequisite"}

    @precondition(lambda self: self.files)
    @rule(index=st.integers(0, 30))
    def put_an_older_one_again(self, index: int) -> None:
        digest, data = self.files[index % len(self.files)]
        assert self._refusal_of(digest, data) is None, "what is held is accepted again"

    @rule()
    def restart(self) -> None:
        self.runtime.close()
        self.runtime = self.house.runtime()

    @precondition(lambda self: self.acknowledged)
    @rule(index=st.integers(0, 30))
    def make_a_worker(self, index: int) -> None:
        self.workers += 1
        digest = self.acknowledged[index % len(self.acknowledged)]
        made = self.runtime.create_worker(worker_request(digest, worker_id=f"w{self.workers}"))
        assert made.worker.spec.bundle == digest

    @precondition(lambda self: self.acknowledged)
    @rule()
    def tamper_with_a_checkout(self) -> None:
        for path in (self.root / "eu-1" / "checkouts").glob("*/bundle.toml"):
            path.parent.chmod(0o755)
            path.chmod(0o644)
            path.write_bytes(path.read_bytes() + b"# changed\n")

    @precondition(lambda self: self.acknowledged)
    @rule()
    def operator_runs_gc(self) -> None:
        assert self._git("gc", "-q", "--prune=now").returncode == 0

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        for digest in self.acknowledged:
            assert self.runtime.held.revision(TEAM, digest, None).digest == digest
        if self.acknowledged:
            assert self.runtime.bundle_status(self.acknowledged[-1]).is_current

    @invariant()
    def what_was_never_acknowledged_is_not_there(self) -> None:
        try:
            self.runtime.held.revision(TEAM, NOWHERE, None)
        except BundleMissingError:
            return
        raise AssertionError("a bundle nobody sent is held")


TestRuntimeMachine = RuntimeMachine.TestCase
TestRuntimeMachine.settings = settings(
    max_examples=times(12), stateful_step_count=12, deadline=None
)
