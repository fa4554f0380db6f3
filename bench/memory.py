"""Peak memory of real processes: a Backend, and the fresh Runtimes that fetch from it at once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.cpu import ServerProcess
from bench.plain import open_plain
from bench.processes import peak_mb, start_runtime
from bench.scale import Scale
from bench.stage import POLICY
from bench.table import Record
from bench.workload import WORKSPACE
from yoi_bundles.backend.service import Backend
from yoi_bundles.model.ids import Digest, RuntimeId

_RECEIVE_SECONDS = 300
_REVISIONS = 5


def measure_memory(root: Path, scale: Scale, record: Record) -> None:
    """Rows of the suite ``memory``: every Runtime must say that it has accepted the bundle."""
    policy = root / "policy.toml"
    policy.write_text(POLICY)
    policy.chmod(0o600)
    with open_plain(root / "data", scale.memory_files, revisions=_REVISIONS) as plain:
        names = [f"fresh-{number}" for number in range(scale.memory_clients)]
        digest = plain.head().digest
        with ExitStack() as stack:
            runtimes = []
            for name in names:
                token = plain.register(name)
                server, _ = start_runtime(
                    root / name, policy, name=name, url=plain.url, token=token,
                    workspace=str(WORKSPACE),
                )  # fmt: skip
                stack.callback(server.stop)
                runtimes.append(server)
            for name, server in zip(names, runtimes, strict=True):
                _wait_for(plain.backend, RuntimeId(name), digest, server)
            received = max(map(peak_mb, runtimes))
        size = f"{scale.memory_files}"
        record.add("peak memory, Backend with fresh clients", size, peak_mb(plain.server))
        record.add("peak memory, Runtime that receives", size, received)


def _wait_for(backend: Backend, runtime: RuntimeId, digest: Digest, server: ServerProcess) -> None:
    """Until a Runtime has reported the bundle accepted.

    Raises:
        AssertionError: It refused it, ended, or took too long.
    """
    deadline = time.monotonic() + _RECEIVE_SECONDS
    while time.monotonic() < deadline:
        states = {one.digest: one.state for one in backend.fleet.view(runtime).bundles}
        if states.get(digest) == "accepted":
            return
        assert states.get(digest) != "rejected", backend.fleet.view(runtime)
        assert server.popen.poll() is None, f"{runtime} ended"
        time.sleep(0.1)
    raise AssertionError(f"{runtime} has not received {digest} in {_RECEIVE_SECONDS} s")
