"""Processes of ours as an operator runs them: a Backend, Runtimes that follow it."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cpu import ServerProcess

_START_SECONDS = 60


def start_backend(root: Path, visibility: Path) -> tuple[ServerProcess, str]:
    """`yoi-bundles backend serve` on a free port; returns it and its base URL.

    Args:
        root: Its data directory; the log is written there too.
        visibility: Its policy.
    """
    command = ["yoi_bundles", "backend", "serve", "--data", str(root),
               "--visibility", str(visibility), "--log-level", "warning"]  # fmt: skip
    return _serve(command, root / "backend.log", "ours", os.environ)


def start_bare(root: Path) -> tuple[ServerProcess, str]:
    """The web server of ours with an application that does nothing; and its base URL."""
    return _serve(["bench.bare"], root / "bare.log", "bare", os.environ)


def start_runtime(
    root: Path, policy: Path, *, name: str, url: str, token: str, workspace: str
) -> tuple[ServerProcess, str]:
    """`yoi-bundles runtime serve` that follows a Backend; returns it and its base URL.

    Args:
        root: Its data directory, which is made; the log is written there too.
        policy: Its host policy, outside of ``root``.
        name: At the Backend.
        url: The Backend's.
        token: Which the Runtime signs in with there.
        workspace: The one it follows.
    """
    root.mkdir()
    command = ["yoi_bundles", "runtime", "serve", "--data", str(root), "--policy", str(policy),
               "--id", name, "--backend", url, "--follow", workspace,
               "--log-level", "warning"]  # fmt: skip
    return _serve(command, root / "runtime.log", name, os.environ | {"YOI_BUNDLES_TOKEN": token})


def _serve(
    arguments: Sequence[str], log: Path, name: str, environment: Mapping[str, str]
) -> tuple[ServerProcess, str]:
    command = [sys.executable, "-m", *arguments]
    with log.open("wb") as errors:
        server = ServerProcess(
            command, name, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    assert server.popen.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(server.popen.stdout, selectors.EVENT_READ)
        line = server.popen.stdout.readline() if selector.select(_START_SECONDS) else ""
    if "listening on" not in line:
        server.stop()
        raise RuntimeError(f"{' '.join(arguments[:3])} did not start: {log.read_text()[-2000:]}")
    return server, line.rpartition(" ")[2].strip()


def peak_mb(server: ServerProcess) -> float:
    """Most memory that a process has had resident at a time, in millions of bytes.

    Source: proc(5), ``VmHWM``.
    """
    return _memory_mb(server, "VmHWM")


def resident_mb(server: ServerProcess) -> float:
    """Memory that a process has resident now, in millions of bytes."""
    return _memory_mb(server, "VmRSS")


def _memory_mb(server: ServerProcess, field: str) -> float:
    status = Path(f"/proc/{server.popen.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
