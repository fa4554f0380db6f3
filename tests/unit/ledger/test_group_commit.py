"""Writes that come together are committed together, and each hears of its own fault."""

from __future__ import annotations

import threading

import pytest

from yoi_bundles.errors import BundleError, BundleMissingError, StorageFullError
from yoi_bundles.ledger.group_commit import GroupCommit

WAIT_SECONDS = 20


class Disk:
    """Commits that a test holds up; odd numbers are refused."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.is_open = threading.Event()
        self.is_busy = threading.Event()
        self.fault: Exception | None = None

    def commit(self, items):
        self.is_busy.set()
        assert self.is_open.wait(WAIT_SECONDS)
        self.batches.append(list(items))
        if self.fault is not None:
            raise self.fault
        return [BundleMissingError(str(one)) if one % 2 else None for one in items]


def write(group: GroupCommit[int], number: int) -> None:
    """Write one item and wait for it, as the registry does."""
    entry = group.add(number)
    group.finish(entry)
    entry.verify()


class Crowd:
    """Threads that write a number each."""

    def __init__(self, group: GroupCommit[int], numbers) -> None:
        self.group = group
        self.outcomes: dict[int, Exception | None] = {}
        self.threads = [threading.Thread(target=self.write, args=(one,)) for one in numbers]
        for thread in self.threads:
            thread.start()

    def write(self, number: int) -> None:
        try:
            write(self.group, number)
        except (BundleError, ZeroDivisionError) as error:
            self.outcomes[number] = error
        else:
            self.outcomes[number] = None

    def join(self) -> None:
        for thread in self.threads:
            thread.join(WAIT_SECONDS)


def run_crowd(disk: Disk, count: int) -> Crowd:
    """One write that is held up, and the others that come meanwhile."""
    group = GroupCommit(disk.commit)
    first = Crowd(group, [0])
    assert disk.is_busy.wait(WAIT_SECONDS)
    crowd = Crowd(group, range(1, count))
    end = threading.Event()
    while len(group._waiting) < count - 1:
        end.wait(0.002)
    disk.is_open.set()
    for one in (first, crowd):
        one.join()
    crowd.outcomes |= first.outcomes
    return crowd


def test_all_who_come_during_a_commit_are_one_commit():
    disk = Disk()
    crowd = run_crowd(disk, 30)

    assert [sorted(batch) for batch in disk.batches] == [[0], list(range(1, 30))]
    assert len(crowd.outcomes) == 30


def test_each_hears_of_its_own_fault():
    crowd = run_crowd(Disk(), 10)

    assert [str(one) for one, wrong in sorted(crowd.outcomes.items()) if wrong] == list("13579")
    assert all(crowd.outcomes[one].message == str(one) for one in range(1, 10, 2))


def test_when_nothing_could_be_written_nobody_believes_it_was():
    disk = Disk()
    disk.fault = StorageFullError("no room")
    crowd = run_crowd(disk, 5)

    assert {getattr(one, "code", None) for one in crowd.outcomes.values()} == {"storage_full"}


def test_a_fault_of_ours_reaches_its_owner_and_fails_the_others():
    disk = Disk()
    disk.fault = ZeroDivisionError()
    crowd = run_crowd(disk, 5)

    kinds = sorted(type(one).__name__ for one in crowd.outcomes.values())
    assert kinds == ["BundleError"] * 3 + ["ZeroDivisionError"] * 2


def test_after_a_failure_writes_go_on():
    disk = Disk()
    disk.is_open.set()
    disk.fault = StorageFullError("no room")
    group = GroupCommit(disk.commit)
    with pytest.raises(BundleError):
        write(group, 2)
    disk.fault = None

    write(group, 4)

    assert disk.batches == [[2], [4]]
