"""``python -m fuzz``: fuzz every target for its share of some seconds, or replay the corpus."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from fuzz.corpus import CORPUS, keep, name_of, read_corpus, replay
from fuzz.runner import Plan, Report, run_all
from fuzz.target import Target
from fuzz.targets import TARGETS

_HEAD = ("target", "executions", "per second", "corpus", "new places", "findings")


def main() -> int:
    """Run; 1 if anything was found."""
    chosen = _parse()
    targets = [TARGETS[name] for name in chosen.targets or TARGETS]
    if chosen.seeds or chosen.keep is not None:
        return _grow(targets, chosen.keep)
    if chosen.replay:
        return _replay(targets)
    plan = Plan(
        seconds=chosen.seconds,
        jobs=chosen.jobs,
        work=chosen.work / "corpus",
        findings=chosen.work / "findings",
        seed=chosen.seed,
    )
    reports = run_all(targets, plan)
    _print(reports)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(one) for one in reports], indent=2) + "\n")
    return 0 if all(report.is_good for report in reports) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    # argparse puts the default of "any number" to the choices as well.
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60, help="of all targets together")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"), help="corpus, findings")
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer; 0 is another each time")
    parser.add_argument("--json", type=Path, help="write what came of it to a file")
    parser.add_argument("--replay", action="store_true", help="the kept corpus only, no atheris")
    parser.add_argument("--seeds", action="store_true", help="add seeds to the kept corpus")
    parser.add_argument(
        "--keep", type=Path, help="add to the kept corpus what below this folder reaches more"
    )
    return parser.parse_args()


def _grow(targets: list[Target], found: Path | None) -> int:
    for target in targets:
        new = {f"seed-{name}"[:80]: data for name, data in target.seeds().items()}
        if found is not None:
            new = {name_of(data): data for data in read_corpus(found / target.name).values()}
        kept = keep(target, CORPUS / target.name, new)
        print(f"{target.name}: kept {len(kept)} of {len(new)}")
    return 0


def _replay(targets: list[Target]) -> int:
    findings: list[str] = []
    for target in targets:
        count, found = replay(target, read_corpus(CORPUS / target.name).items())
        print(f"{target.name}: {count} inputs, {len(found)} findings")
        findings += found
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


def _print(reports: list[Report]) -> None:
    print(("{:12}" + "{:>12}" * 5).format(*_HEAD))
    for one in reports:
        row = (one.executions, one.per_second, one.corpus, one.new_coverage, len(one.findings))
        print(("{:12}" + "{:>12}" * 5).format(one.target, *row))
    for one in reports:
        if not one.is_good:
            print(f"\n{one.target}: {', '.join(one.findings) or 'did not end well'}\n{one.output}")


if __name__ == "__main__":
    sys.exit(main())
