"""CPU time of a server with all its children, wherever these end up.

fcgiwrap's children leave its process tree, so sums over /proc miss them. A cgroup does not: whoever
a member starts is a member. Where no cgroup can be made, the processor time of reaped descendants
stands in, with this process as the one that orphans fall to.

Source: the kernel's documentation of cgroup v1 ``cpuacct`` and cgroup v2 ``cpu.stat``; prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
_PR_SET_CHILD_SUBREAPER = 36
_STOP_SECONDS = 10


class ServerProcess:
    """A server in a cgroup of its own; `cpu_seconds` grows while it works.

    Args:
        command: What to start.
        name: Part of the cgroup's name.
    """

    def __init__(self, command: Sequence[str], name: str, **options: Any) -> None:
        self._group = _make_group(f"yoi-bench-{os.getpid()}-{name}")
        if self._group is None:
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Stopped before it does anything, so that nothing is started outside the group.
        self.popen: subprocess.Popen[str] = subprocess.Popen(
            ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command],
            start_new_session=True, **options,
        )  # fmt: skip
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED | os.WNOWAIT)
        if self._group is not None:
            (self._group / "cgroup.procs").write_text(str(self.popen.pid))
        self.popen.send_signal(18)  # SIGCONT

    @property
    def is_live(self) -> bool:
        """Whether `cpu_seconds` can be read while the server runs."""
        return self._group is not None

    def cpu_seconds(self) -> float:
        """User and system time of all members so far, the ended ones included.

        Raises:
            RuntimeError: There is no cgroup; only `stop` knows.
        """
        if self._group is None:
            raise RuntimeError("without a cgroup the time is known once the server has stopped")
        usage = self._group / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        lines = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(lines["usage_usec"]) / 1e6

    def stop(self) -> float:
        """End it with all it started; returns `cpu_seconds` at the end."""
        for process in self._members() or [self.popen.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 15)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(_STOP_SECONDS)
        for process in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(_STOP_SECONDS)
        if self._group is not None:
            total = self.cpu_seconds()
            self._remove_group()
            return total
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - self._before.ru_utime) + (after.ru_stime - self._before.ru_stime)

    def _members(self) -> list[int]:
        if self._group is None:
            return []
        return [int(text) for text in (self._group / "cgroup.procs").read_text().split()]

    def _remove_group(self) -> None:
        assert self._group is not None
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._group.rmdir()
                return
            time.sleep(0.02)


def _make_group(name: str) -> Path | None:
    for parent in (_V1, _V2):
        is_usable = (parent / "cpuacct.usage").exists() or (parent / "cgroup.controllers").exists()
        if is_usable and os.access(parent, os.W_OK):
            group = parent / name
            with contextlib.suppress(OSError):
                group.mkdir()
                return group
    return None
