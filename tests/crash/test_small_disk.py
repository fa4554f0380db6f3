"""A real file system that is too small: done or ``storage_full``, never half; then it works."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from house import TEAM, House, publish_request, worker_request, workspace_files

from yoi_bundles.backend.service import Backend
from yoi_bundles.errors import BundleError
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.store import CheckoutArea
from yoi_bundles.wire.messages.problems import STATUS

STEPS_KIB = (*range(0, 200, 20), 260, 340, 500)
"""Free space that is left before each try."""
ROOM_KIB = 4096


def mount(place: Path, *options: str) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


@pytest.fixture
def small(tmp_path):
    """A tmpfs of a few MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or not mount(place, f"size={ROOM_KIB}k"):
        pytest.skip("mounting a tmpfs needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def leave(place: Path, free_kib: int) -> None:
    """Make the file system so small that this much is free."""
    stat = os.statvfs(place)
    used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize // 1024
    resize(place, used + free_kib)


def resize(place: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(place)], check=True)


class Job:
    """The life of a bundle on one small disk; a fresh directory for each step."""

    def __init__(self, house: House, root: Path) -> None:
        self.house, self.root = house, root
        self.backend = Backend.open(root / "backend", clock=house.clock)
        self.runtime = Runtime.open(root / "runtime", policy=house.policy(), clock=house.clock)
        first = self.publish("")
        self.raw = self.bundle(first)
        self.runtime.put_bundle(TEAM, first.digest, [self.raw])
        self.first = first

    def publish(self, text: str):
        files = workspace_files(prompts__role__coder=text)
        return self.backend.publishing.publish(TEAM, publish_request(files)).revision

    def bundle(self, revision) -> bytes:
        return self.backend.bundle_file(revision.digest, workspace=TEAM).path.read_bytes()

    def act(self, name: str) -> None:
        getattr(self, name)()

    def publishing(self) -> None:
        self.publish("\nSecond.\n" * 400)

    def receiving(self) -> None:
        self.runtime.put_bundle(TEAM, self.second.digest, [self.second_raw])

    def checkout(self) -> None:
        self.runtime.held.trees.get(TEAM, self.first.digest)

    def worker(self) -> None:
        self.runtime.create_worker(worker_request(self.first.digest))

    def close(self) -> None:
        self.runtime.close()
        self.backend.close()


def prepare(job: Job, name: str) -> None:
    if name == "receiving":
        job.second = job.publish("\nSecond.\n" * 400)
        job.second_raw = job.bundle(job.second)
    if name == "worker":
        job.checkout()


@pytest.mark.needs_git
@pytest.mark.parametrize("name", ["publishing", "receiving", "checkout", "worker"])
def test_a_disk_too_small_is_told_and_with_room_the_same_works(name, small, tmp_path, house, tell):
    full = 0
    for step, free_kib in enumerate(STEPS_KIB):
        resize(small, ROOM_KIB * 8)
        job = Job(house, small / str(step))
        prepare(job, name)
        leave(small, free_kib)
        try:
            job.act(name)
        except BundleError as error:
            full += 1
            told = error
            assert (told.code, STATUS[told.code]) == ("storage_full", 507), (free_kib, str(told))
        resize(small, ROOM_KIB * 8)
        job.act(name)
        job.close()
        left = [path.name for path in job.root.rglob("*") if "yoi_tmp_" in path.name]
        assert left == []
        assert list(job.root.rglob("quarantine/*")) == []
        for repository in job.root.rglob("team.git"):
            command = ["git", "--git-dir", repository, "fsck", "--full", "--strict"]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        CheckoutArea(job.root / "runtime" / "checkouts")
        subprocess.run(["rm", "-rf", str(job.root)], check=True)
    assert 0 < full < len(STEPS_KIB)
    tell(f"crash: small disk, {name}: {len(STEPS_KIB)} sizes, {full} full, every next try worked")
