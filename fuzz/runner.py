"""Shares seconds among targets, each in a process of its own, and reads what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.corpus import CORPUS, read_corpus
from fuzz.target import Target

_GRACE_SECONDS = 60
_STATE = re.compile(r"^#\d+\s+(INITED|DONE)\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_RATE = re.compile(r"stat::average_exec_per_sec:\s*(\d+)")
_LAST_LINES = 25


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one target.

    Args:
        executions: Inputs tried.
        per_second: Inputs a second.
        corpus: Inputs known at the end, kept ones and new ones.
        new_coverage: Places reached that the corpus at the start did not reach.
        new_features: The same, counted with how often a place was reached.
        findings: Reproducers, as paths.
        output: The last lines of a process that found something or failed.
    """

    target: str
    executions: int
    per_second: int
    corpus: int
    new_coverage: int
    new_features: int
    findings: tuple[str, ...] = ()
    output: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it ran, to its end, and found nothing."""
        return not self.findings and not self.output


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run.

    Args:
        seconds: Wall time of all targets together.
        jobs: Processes at a time.
        work: Folder of what a fuzzer found interesting, by target; a later run goes on from it.
        findings: Folder of reproducers.
        seed: Of libFuzzer; 0 takes another one each time.
    """

    seconds: float
    jobs: int
    work: Path
    findings: Path
    seed: int = 0


def run_all(targets: Sequence[Target], plan: Plan) -> list[Report]:
    """Run targets, `Plan.jobs` at a time, each for its share of the seconds."""
    plan.findings.mkdir(parents=True, exist_ok=True)
    rounds = -(-len(targets) // plan.jobs)
    with ThreadPoolExecutor(plan.jobs) as pool:
        return list(pool.map(lambda target: _run(target, plan, plan.seconds / rounds), targets))


def _run(target: Target, plan: Plan, seconds: float) -> Report:
    work = plan.work / target.name
    before = set(plan.findings.iterdir())
    done = subprocess.run(
        [
            sys.executable, "-m", "fuzz.worker", target.name,
            "--seconds", str(seconds), "--work", str(work),
            "--findings", str(plan.findings), "--seed", str(plan.seed),
        ],
        cwd=Path(__file__).parents[1],
        capture_output=True, text=True, errors="replace", check=False,
        timeout=seconds + _GRACE_SECONDS,
    )  # fmt: skip
    new = sorted(set(plan.findings.iterdir()) - before)
    findings = [str(path) for path in new if path.name.startswith(f"{target.name}-")]
    return read_report(target.name, done, tuple(findings), len(read_corpus(work)))


def read_report(
    name: str, done: subprocess.CompletedProcess[str], findings: tuple[str, ...], new: int
) -> Report:
    """What a process said on standard error.

    Args:
        name: The target.
        done: The process.
        findings: Reproducers that it left.
        new: Inputs that it found interesting.
    """
    states = [(int(cov), int(ft)) for _, cov, ft in _STATE.findall(done.stderr)]
    first, last = (states[0], states[-1]) if states else ((0, 0), (0, 0))
    runs, rate = _RUNS.search(done.stderr), _RATE.search(done.stderr)
    is_whole = done.returncode == 0 and runs is not None
    lines = (done.stdout + done.stderr).splitlines()[-_LAST_LINES:]
    return Report(
        target=name,
        executions=int(runs[1]) if runs else 0,
        per_second=int(rate[1]) if rate else 0,
        corpus=len(read_corpus(CORPUS / name)) + new,
        new_coverage=last[0] - first[0],
        new_features=last[1] - first[1],
        findings=findings,
        output="" if is_whole else "\n".join(lines) or f"exit status {done.returncode}",
    )
