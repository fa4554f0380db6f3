"""Resolve: the same request again, and a digest's first time, against what composes tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from bench.composing import Table, make_peers, merge
from bench.scale import Scale
from bench.stage import VISIBILITY, make_request
from bench.table import Record
from bench.workload import WORKSPACE, edit, make_files
from yoi_bundles.author.source import RACY_NANOSECONDS
from yoi_bundles.backend.service import Backend
from yoi_bundles.content.check import check_files, raise_if_refused
from yoi_bundles.content.inheritance import NOT_INHERITED
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.ids import Digest, Name, RelativePath
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent
from yoi_bundles.resolve import ResolutionCache
from yoi_bundles.resolve.resolution import prepare_profile
from yoi_bundles.runtime.host.facts import observe_host
from yoi_bundles.runtime.host.packages import PackageInspector
from yoi_bundles.runtime.host.secrets import SecretStore
from yoi_bundles.runtime.service import Runtime

Files: TypeAlias = dict[RelativePath, bytes]

FILES = 200
"""The builtin tree, and prompts as a team has them."""
CHAIN = ("base", "coder", "night-coder")
NIGHT_CODER = b"""\
description = "Changes code at night, alone and with less"
extends = "coder"

[model]
reasoning = "medium"
max_output_tokens = 8000

[limits]
max_turns = 60
max_cost_cents = 500

[tools]
optional = ["run-command", "git"]
"""
POLICY = """\
schema = 1

[bundles]
required_for = ["always"]
workspaces = ["bench"]

[capabilities.shell]
commands = ["make", "pytest"]

[capabilities.git]
operations = ["read", "commit"]

[[network]]
hosts = ["*"]

[[mount]]
name = "checkout"
path = "{mount}"
mode = "rw"

[[secret]]
name = "anthropic-api-key"
file = "{secret}"

[[tool]]
tools = ["*"]
"""
_NIGHT_CODER_FILE = RelativePath("profiles/night-coder.toml")
_OURS = "ours"
_BATCHES = 9
_BATCH_SECONDS = 0.05


def measure_resolving(root: Path, scale: Scale, record: Record) -> None:
    """Rows of the suite ``resolve``, in microseconds."""
    files = make_files(FILES) | {_NIGHT_CODER_FILE: NIGHT_CODER}
    visibility = root / "visibility.toml"
    visibility.write_text(VISIBILITY)
    policy = _write_policy(root)
    with (
        Backend.open(root / "backend", visibility=visibility) as backend,
        Runtime.open(root / "runtime", policy=policy) as runtime,
    ):
        digest = _send(backend, runtime, files)
        request = _request(digest)
        report = runtime.resolve(request)
        assert str(report.spec.profile) == CHAIN[-1]
        assert report.spec.bundle == digest
        # Before the peers are loaded: what they leave in memory would have to be looked through.
        first = _first_us(backend, runtime, files, 5 * scale.runs, edit)
        anew = _first_us(backend, runtime, files, 5 * scale.runs, _edit_profile)
        _settle(root, lambda: runtime.resolve(request))
        bundle = raise_if_refused(check_files(files, digest=digest))
        times = _measure_warm(root, bundle, lambda: runtime.resolve(request), record)
        assert runtime.resolve(request) == report
        alone = _resolver_us(runtime, bundle, request)
    record.add("resolve, warm", FILES, times[_OURS])
    record.add("resolve, warm, the resolver alone", FILES, alone)
    record.add("resolve, first time for a digest", FILES, first)
    record.add("resolve, first time, with another profile", FILES, anew)
    for name in ("JSON load and merge", "Hydra", "OmegaConf", "rjsonnet"):
        peer = times.get(name.partition(" ")[0])
        record.add(f"resolve, warm, against {name}", FILES, times[_OURS], peer)
    for name in ("Hydra", "OmegaConf"):
        record.add(f"resolve, first time, against {name}", FILES, first, times.get(name))


def _settle(root: Path, ask: Callable[[], object]) -> None:
    """Ask until nothing is so young that it is read for each request: two seconds at most.

    A file changed within the steps of a file system's clock may change again and look the same.
    """
    runtime = root / "runtime"
    refs = (*runtime.rglob("refs/**/*"), *runtime.rglob("packed-refs"))
    files = [*refs, *root.glob("*")]
    newest_ns = max(file.stat().st_ctime_ns for file in files)
    while time.time_ns() < newest_ns + RACY_NANOSECONDS:
        ask()


def _write_policy(root: Path) -> Path:
    mount, secret, policy = root / "mounted", root / "model-key", root / "policy.toml"
    mount.mkdir()
    secret.write_text("not one")
    policy.write_text(POLICY.format(mount=mount, secret=secret))
    secret.chmod(0o600)
    policy.chmod(0o600)
    return policy


def _request(digest: Digest) -> CreateWorkerRequest:
    return CreateWorkerRequest(
        worker_id="worker-1",
        selector=f"project:{CHAIN[-1]}",
        bundle=BundleRef(workspace=WORKSPACE, digest=digest),
        intent=Intent(summary="Fix the rounding bug"),
    )


def _send(backend: Backend, runtime: Runtime, files: Files) -> Digest:
    """Publish and hand over a bundle file, as push sync does."""
    revision = backend.publishing.publish(WORKSPACE, make_request(files)).revision
    haves = runtime.held.haves(WORKSPACE)
    file = backend.bundle_file(revision.digest, haves=haves, workspace=WORKSPACE)
    result = runtime.put_bundle(WORKSPACE, revision.digest, [file.path.read_bytes()])
    assert result.is_new
    return revision.digest


def _edit_profile(files: Files, turn: int) -> Files:
    """As `edit`, of the profile: nothing that was prepared for another bundle serves this one."""
    return files | {_NIGHT_CODER_FILE: NIGHT_CODER + f"# Turn {turn}\n".encode()}


def _first_us(
    backend: Backend,
    runtime: Runtime,
    files: Files,
    runs: int,
    change: Callable[[Files, int], Files],
) -> float:
    """Each time one file has changed, and the bundle has just come."""
    taken = []
    for turn in range(1, runs + 1):
        digest = _send(backend, runtime, change(files, turn))
        request = _request(digest)
        started = time.perf_counter()
        report = runtime.resolve(request)
        taken.append(time.perf_counter() - started)
        assert report.spec.bundle == digest
    return statistics.median(taken) * 1e6


def _resolver_us(runtime: Runtime, bundle: Bundle, request: CreateWorkerRequest) -> float:
    """The cache in front of the pure function, everything it needs at hand."""
    loaded, cache = runtime.policy.current, ResolutionCache()
    facts = observe_host(loaded.policy, SecretStore(loaded.policy.secret), PackageInspector())
    return _median_us(
        lambda: cache.resolve(
            bundle, mode="synced", commit=None, request=request, policy=loaded.policy,
            policy_digest=loaded.digest, facts=facts,
        )
    )  # fmt: skip


def _median_us(work: Callable[[], object]) -> float:
    """Median of batches, microseconds for each call."""
    return _medians_us({"": work})[""]


def _medians_us(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Medians of batches, microseconds for each call; one batch of each in turn."""
    calls = {name: _count_calls(work) for name, work in works.items()}
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_BATCHES):
        for name, work in works.items():
            started = time.perf_counter()
            for _ in range(calls[name]):
                work()
            taken[name].append((time.perf_counter() - started) / calls[name])
    return {name: statistics.median(seconds) * 1e6 for name, seconds in taken.items()}


def _count_calls(work: Callable[[], object]) -> int:
    """How many calls make a batch; they warm up, too."""
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < _BATCH_SECONDS:
        work()
        calls += 1
    return calls


def _measure_warm(
    root: Path, bundle: Bundle, ask: Callable[[], object], record: Record
) -> dict[str, float]:
    """Microseconds of ours and of each peer, in turn; the peers compose what ours does."""
    layers = [_table_of(bundle, name) for name in CHAIN]
    peers, absent = make_peers(root, layers)
    record.absent |= absent
    wanted: dict[str, Any] = {}
    for layer in layers:
        wanted = merge(wanted, layer)
    ours = prepare_profile(bundle, Name(CHAIN[-1])).merged.profile
    own = {"description": ours.description, "extends": ours.extends}
    assert Profile.model_validate(wanted | own) == ours
    for name, compose in peers.items():
        assert compose() == wanted, f"{name} composes something else"
    return _medians_us({_OURS: ask, **peers})


def _table_of(bundle: Bundle, name: str) -> Table:
    """What a profile hands down, as the TOML file says it."""
    table = bundle.profiles[Name(name)].table
    return {key: value for key, value in table.items() if key not in NOT_INHERITED}
