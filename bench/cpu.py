"""CPU time of a server with all its children, wherever these end up.

fcgiwrap's children leave its process tree and nobody waits for them, so sums over /proc miss them.
A cgroup does not: whoever a member starts is a member. Where no cgroup can be made, the time of the
server itself and of children it waited for is known, and `sees_all` says no.

Source: the kernel's documentation of cgroup v1 ``cpuacct`` and cgroup v2 ``cpu.stat``; proc(5),
``/proc/pid/stat``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
_STOP_SECONDS = 10
_LOOKS = 500
"""In that time, whether what was killed is gone."""


class ServerProcess:
    """A server in a cgroup of its own; `cpu_seconds` grows while it works.

    Args:
        command: What to start.
        name: Part of the cgroup's name.
    """

    def __init__(self, command: Sequence[str], name: str, **options: Any) -> None:
        # Stopped before it does anything, so that nothing is started outside the group.
        self.popen: subprocess.Popen[str] = subprocess.Popen(
            ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command],
            start_new_session=True, **options,
        )  # fmt: skip
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED | os.WNOWAIT)
        self._group = _make_group(f"yoi-bench-{os.getpid()}-{name}", self.popen.pid)
        self.popen.send_signal(signal.SIGCONT)

    @property
    def sees_all(self) -> bool:
        """Whether `cpu_seconds` includes children that nobody waited for."""
        return self._group is not None

    def cpu_seconds(self) -> float:
        """User and system time of all members so far, the ended ones included."""
        if self._group is None:
            return _session_seconds(self.popen.pid)
        usage = self._group / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        lines = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(lines["usage_usec"]) / 1e6

    def stop(self) -> None:
        """End it with all it started; harmless again."""
        for process in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(_STOP_SECONDS)
        for process in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.popen.wait(_STOP_SECONDS)
        for _ in range(_LOOKS):
            if self._is_gone():
                return
            time.sleep(_STOP_SECONDS / _LOOKS)

    def _is_gone(self) -> bool:
        """Whether no member runs any more: a signal is not obeyed at once."""
        if self._group is None:
            return all(fields[0] == "Z" for _, fields in _list_session(self.popen.pid))
        with contextlib.suppress(OSError):  # a member is not quite gone
            self._group.rmdir()
        return not self._group.exists()

    def _members(self) -> list[int]:
        if self._group is None:
            return [process for process, _ in _list_session(self.popen.pid)]
        try:
            return [int(text) for text in (self._group / "cgroup.procs").read_text().split()]
        except FileNotFoundError:  # stopped before
            return []


def _make_group(name: str, process: int) -> Path | None:
    """A cgroup with one process in it, or None if that cannot be had here."""
    for parent in (_V1, _V2):
        is_usable = (parent / "cpuacct.usage").exists() or (parent / "cgroup.controllers").exists()
        if not is_usable or not os.access(parent, os.W_OK):
            continue
        group = parent / name
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                (group / "cgroup.procs").write_text(str(process))
            except OSError:
                group.rmdir()
                raise
            return group
    return None


def _session_seconds(session: int) -> float:
    ticks = sum(sum(map(int, fields[11:15])) for _, fields in _list_session(session))
    return ticks / os.sysconf("SC_CLK_TCK")


def _list_session(session: int) -> Iterator[tuple[int, list[str]]]:
    """Processes of a session, and their statistics."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name stands in parentheses and may hold anything.
            fields = path.read_text().rpartition(") ")[2].split()
            if int(fields[3]) == session:
                yield int(path.parent.name), fields
