"""What may be asked of ``python -m bench``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.pairing import FEWEST_PAIRS
from bench.targets import SUITES

PAIRS = 9
"""Of a run with ``--against``."""
QUICK_PAIRS = FEWEST_PAIRS
_AGAINST_ALONE = ("beside", "write_docs")
_WITH_AGAINST = ("pairs", "fail_slower")


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, None for that of this process.

    Raises:
        SystemExit: It asks for what does not exist, or for two things that exclude each other.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    unwanted = _WITH_AGAINST if options.against is None else _AGAINST_ALONE
    for name in unwanted:
        if getattr(options, name):
            needs = "needs" if options.against is None else "does not go with"
            parser.error(f"--{name.replace('_', '-')} {needs} --against")
    if options.pairs is None:
        options.pairs = QUICK_PAIRS if options.quick else PAIRS
    return options


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Every target, measured against git and the other peers in one run.",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs")
    parser.add_argument("--only", action="append", choices=SUITES, help="this suite; repeatable")
    parser.add_argument("--sizes", type=_numbers, metavar="FILES,FILES")
    parser.add_argument("--revisions", type=int)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--json", type=Path, help="write all that was measured to this file too")
    parser.add_argument(
        "--beside", type=Path, metavar="JSON", help="other suites as this file has them"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="put table and picture into docs/performance.*"
    )
    _add_against(parser)
    return parser


def _add_against(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "before and after",
        "This working tree and another commit of it in turn, in small: about half an hour for all "
        "suites, two to eight minutes for one of them, and up to twice that on a busy machine.",
    )
    group.add_argument("--against", metavar="REV", help="measure this commit too, and compare")
    group.add_argument(
        "--pairs", type=_pairs, metavar="N", help=f"of one run of each side; {PAIRS} if not given"
    )
    group.add_argument("--fail-slower", action="store_true", help="status 1 if a row is slower")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _pairs(text: str) -> int:
    number = int(text)
    if number < FEWEST_PAIRS:
        raise argparse.ArgumentTypeError(f"quartiles need {FEWEST_PAIRS} or more")
    return number
