"""Every row of the target table: who the peer is, and how good we must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is held against.

    Args:
        suite: The one that measures it.
        work: What was done; the name of the row.
        limit: Largest ratio to the peer, or largest figure where there is no peer; None only
            informs.
        peer: Who the peer is; None where the limit is absolute.
        unit: Of both figures.
        at_least: The limit is a smallest ratio of the peer's figure to ours.
        limits: Limits of sizes that have one of their own.
        more_is_better: A larger figure is the better one; `at_least` is of the ratio alone.
    """

    suite: str
    work: str
    limit: float | None = None
    peer: str | None = None
    unit: str = "ms"
    at_least: bool = False
    limits: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    more_is_better: bool = False

    def limit_of(self, size: str) -> float | None:
        """The limit for one size."""
        return self.limits.get(size, self.limit)


FLAT = 0.15
"""Largest exponent of what should not depend on a number."""
LINEAR = 1.15
"""Largest exponent of what should grow with a number."""

_AXES = (("files", "files"), ("revisions", "revisions"), ("held", "held bundles"))
_FLAT_WORK = {
    "files": (
        "increment", "publish", "publish, beyond a walk", "look-up by digest", "anything new?",
    ),
    "revisions": ("full sync", "increment", "publish", "look-up by digest", "anything new?"),
    "held": ("increment", "look-up by digest", "anything new?"),
}  # fmt: skip

_SERVING = (
    Target("serving", "server CPU, fresh Runtime", 1 / 20, "git"),
    Target("serving", "server CPU, increment", 1 / 20, "git"),
    Target("serving", 'server CPU, "anything new?"', 1 / 20, "git"),
    Target("serving", "server CPU, fresh Runtime, git --depth=1", None, "git"),
    Target("serving", "floor: nginx, finished file", None, "nginx"),
    Target("serving", "floor: uvicorn, bare 304", None, "uvicorn"),
)
_SYNCING = (
    Target("syncing", "fresh sync", 1.0, "git", limits={"50": 1 / 2, "1000": 0.7, "10000": 1.0}),
    Target("syncing", "fresh sync, git --depth=1", None, "git"),
    Target("syncing", "one-file increment", 1 / 5, "git"),
    Target("syncing", "one-file increment, git core.fsync=all", None, "git"),
    Target("syncing", "publish one changed file, warm", 1.0, "git"),
    Target("syncing", "bytes of a full bundle", 1.05, "git", "KiB"),
    Target("syncing", "bytes of a first bundle, tip alone", 1.05, "git", "KiB"),
    Target("syncing", "bytes of an increment", 1.0, "git", "KiB"),
    Target("syncing", "verify the bytes of a pack", 1.5, "git"),
)
_COPYING = (
    Target("copying", "fresh copy, rsync", None, "rsync"),
    Target("copying", "one-file copy, rsync", None, "rsync"),
    Target("copying", "fresh copy, ostree", None, "ostree"),
    Target("copying", "one-file copy, ostree", None, "ostree"),
)
_CLI = (
    Target("cli", "yoi-bundles --help", 150),
    Target("cli", "yoi-bundles publish, small workspace", 400),
    Target("cli", "publish through the CLI, more than warm", 150),
)
_RESOLVE = (
    Target("resolve", "resolve, warm", 15, None, "us"),
    Target("resolve", "resolve, warm, the resolver alone", None, None, "us"),
    Target("resolve", "resolve, warm, against JSON load and merge", 1.0, "JSON", "us"),
    Target("resolve", "resolve, first time for a digest", 2_000, None, "us"),
    Target("resolve", "resolve, first time, with another profile", 2_000, None, "us"),
    Target("resolve", "resolve, warm, against Hydra", 100, "Hydra", "us", at_least=True),
    Target("resolve", "resolve, warm, against OmegaConf", 10, "OmegaConf", "us", at_least=True),
    Target("resolve", "resolve, warm, against rjsonnet", None, "rjsonnet", "us"),
    Target("resolve", "resolve, first time, against Hydra", None, "Hydra", "us"),
    Target("resolve", "resolve, first time, against OmegaConf", None, "OmegaConf", "us"),
)
_MEMORY = (
    Target("memory", "peak memory, Backend with fresh clients", 100, None, "MB"),
    Target("memory", "peak memory, Runtime that receives", 120, None, "MB"),
)
_FANOUT = (
    Target("fanout", "publish to ACK, 99% of a fleet", 2_000),
    Target("fanout", "publish to ACK, the last of a fleet"),
    Target("fanout", "idle long polls, memory", 150, None, "MB"),
    Target("fanout", "idle long polls, CPU", 2, None, "%"),
    Target("fanout", "registered Runtimes, first page", 50),
    Target("fanout", "registered Runtimes, filtered by label", 50),
    Target("fanout", "registered Runtimes, all pages"),
)
_GROWTH = (
    Target("growth", "growth with files: full sync", LINEAR, None, "exp"),
    *(
        Target("growth", f"growth with {words}: {work}", FLAT, None, "exp")
        for axis, words in _AXES
        for work in _FLAT_WORK[axis]
    ),
)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        one.work: one
        for one in (
            *_SERVING, *_SYNCING, *_COPYING, *_CLI, *_RESOLVE, *_MEMORY, *_FANOUT, *_GROWTH,
        )
    }
)  # fmt: skip
SUITES = tuple(dict.fromkeys(one.suite for one in TARGETS.values()))
