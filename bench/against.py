"""``--against REV``: this working tree and another commit of it, in turn, in one run.

Modules move between commits, so neither side can import the other's product. Each runs its own
benchmarks in its own interpreter, a small repetition of one suite at a time, and rows are matched
by their names.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.checkout import check_out, resolve_commit
from bench.children import last_line, run_child
from bench.errors import BenchError
from bench.outputs import prepare_output
from bench.pairing import HEADER, Figures, Pairing, cells, read_figures, write_pairs
from bench.progress import say
from bench.report import describe_machine
from bench.sides import Side, ask_help, compile_all, has_changes, verify_side
from bench.table import print_columns
from bench.targets import SUITES

OURS = Side("ours", Path(__file__).parents[1], Path(sys.executable))
LEFT_OUT = "copying"
"""Unless it is named: what it times of ours is what `syncing` times, and the rest is of others."""
_SIZES, _QUICK_SIZES = "50,1000", "50"
_NEEDED = ("--only", "--json", "--quick", "--sizes", "--runs", "--clients", "--revisions")
"""Options that the benchmarks of both sides must have."""
_LOG_LINES = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how often.

    Args:
        suites: One after the other in each pair.
        pairs: Of repetitions.
        scale: Options of each repetition, the same on both sides.
    """

    suites: Sequence[str]
    pairs: int
    scale: Sequence[str]


def make_plan(options: argparse.Namespace) -> Plan:
    """What the command line asks for: a repetition is a quick run of one turn.

    Nine pairs of it tell more than one pair of full runs would, and meet the same machine.
    """
    scale = ["--quick", "--sizes", _QUICK_SIZES if options.quick else _SIZES, "--runs", "1"]
    if options.sizes is not None:
        scale[2] = ",".join(map(str, options.sizes))
    if options.runs is not None:
        scale[4] = str(options.runs)
    for name in ("revisions", "clients"):
        if getattr(options, name) is not None:
            scale += [f"--{name}", str(getattr(options, name))]
    suites = options.only or [name for name in SUITES if name != LEFT_OUT]
    return Plan(tuple(dict.fromkeys(suites)), options.pairs, scale)


def run_against(options: argparse.Namespace, scratch: Path, *, ours: Side = OURS) -> int:
    """Measure both sides, print the table, write it down; returns the exit status.

    Args:
        options: Of the command line.
        scratch: Empty directory for the files of both.
        ours: This side.

    Returns:
        0 if all was measured, unless ``--fail-slower`` was given and a row is slower; else 1.

    Raises:
        BenchError: One of the sides cannot be measured at all.
    """
    plan = make_plan(options)
    commit = resolve_commit(ours.tree, options.against)
    if options.json is not None:
        prepare_output("--json", options.json)
    say("compiling")
    _make_ready(ours)  # first, so that bytecode is among what the other side borrows
    with check_out(ours, commit) as theirs:
        _make_ready(theirs)
        lacking = _find_lacking(theirs, plan.suites)
        about = _describe(ours, commit, options, plan)
        pairing = Pairing(failed=dict.fromkeys(lacking, f"{theirs.name} has no such suite"))
        for number in range(plan.pairs):
            _run_pair(number, (ours, theirs), plan, scratch, pairing)
            if options.json is not None:  # after each, so that an end by signal loses one at most
                write_pairs(options.json, pairing, about)
    print_columns([HEADER, *(cells(row) for row in pairing.ordered())])
    for name, reason in pairing.failed.items():
        print(f"incomplete: {name}: {reason}")
    if pairing.failed:
        return 1
    return 1 if options.fail_slower and pairing.has_slower() else 0


def _make_ready(side: Side) -> None:
    """Everything that could spoil a run is done or looked at before it."""
    verify_side(side)
    compile_all(side)


def _find_lacking(side: Side, suites: Sequence[str]) -> list[str]:
    """Suites that only we have.

    Raises:
        BenchError: Its benchmarks lack an option.
    """
    offered = ask_help(side)
    missing = [option for option in _NEEDED if option not in offered]
    if missing:
        raise BenchError(f"the benchmarks of {side.name} lack {', '.join(missing)}")
    named = re.search(r"--only \{([\w,]+)\}", offered)
    return [] if named is None else [one for one in suites if one not in named[1].split(",")]


def _describe(
    ours: Side, commit: str, options: argparse.Namespace, plan: Plan
) -> Mapping[str, str]:
    about = describe_machine()
    if has_changes(ours.tree):
        about["commit"] += " with changes"
    scale = " ".join(plan.scale)
    return about | {"against": commit, "rev": options.against, "scale": scale}


def _run_pair(
    number: int, sides: tuple[Side, Side], plan: Plan, scratch: Path, pairing: Pairing
) -> None:
    """Each suite on both sides; one that has failed is not run again."""
    # The second of a pair finds the machine as the first left it: each is first in turn.
    turn = sides if number % 2 == 0 else sides[::-1]
    for suite in plan.suites:
        if suite in pairing.failed:
            continue
        say(f"pair {number + 1} of {plan.pairs}: {suite}")
        taken: dict[Side, Figures] = {}
        try:
            for side in turn:
                taken[side] = _repeat(side, suite, plan.scale, scratch)
        except _RepetitionError as error:
            pairing.failed[suite] = str(error)
            continue
        pairing.add_pair(*(taken[side] for side in sides))


class _RepetitionError(Exception):
    """One side could not measure a suite; the others go on."""


def _repeat(side: Side, suite: str, scale: Sequence[str], scratch: Path) -> Figures:
    """One repetition of a suite on one side, in a process of its own.

    Raises:
        _RepetitionError: It failed, and its log was shown.
    """
    written, log = scratch / "repetition.json", scratch / "repetition.log"
    written.unlink(missing_ok=True)
    command = [str(side.python), "-m", "bench", "--only", suite, *scale, "--json", str(written)]
    environment = side.environment() | {"TMPDIR": str(scratch)}
    status = run_child(command, directory=side.tree, environment=environment, log=log)
    try:
        if status != 0:
            raise ValueError(f"status {status}: {last_line(log)}")
        return read_figures(written)
    except (OSError, ValueError) as error:
        tail = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        print(*tail, sep="\n", file=sys.stderr)
        raise _RepetitionError(f"{side.name}: {error}") from error
