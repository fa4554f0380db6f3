"""A small repository with benchmarks of its own, measured against a commit of itself."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench.against
from bench.against import make_plan, run_against
from bench.checkout import KEPT, _link_packages, check_out, resolve_commit
from bench.errors import BenchError
from bench.options import parse_options
from bench.sides import Side, compile_all, verify_side

pytestmark = pytest.mark.needs_git

MAKEFILE = """\
VENV := .venv
$(VENV)/.installed:
\t@echo "$(BENCH_ARGS)[$(PYTHONPATH)]" >> $(VENV)-made
\t@$(PYTHON) -m venv --without-pip $(VENV)
\t@for d in $(VENV)/lib/python*/site-packages; do echo $(CURDIR) > $$d/tree.pth; done
\t@touch $@
$(VENV)/.installed-bench: $(VENV)/.installed
\t@touch $@
"""
PROGRAM = """\
import argparse, json, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--only", choices=["resolve", "memory"], action="append")
for option in ("--sizes", "--runs", "--clients", "--revisions", "--json"):
    parser.add_argument(option)
parser.add_argument("--quick", action="store_true")
options = parser.parse_args()
here = pathlib.Path(__file__).parents[1]
with open(os.path.join(os.environ["TMPDIR"], "order"), "a") as order:
    print(here.name, *sys.argv[1:-2], file=order)
figures = json.loads((here / "figures.json").read_text())
if figures is None:
    sys.exit("the figures are gone")
rows = [
    {"suite": suite, "work": work, "size": "200", "unit": "us", "ours": ours}
    for suite, work, ours in figures if suite in options.only
]
pathlib.Path(options.json).write_text(json.dumps({"rows": rows, "curves": []}))
"""
BEFORE = [["resolve", "resolve, warm", 10.0], ["resolve", "old", 1.0], ["memory", "peak", 5.0]]
AFTER = [["resolve", "resolve, warm", 15.0], ["resolve", "new", 2.0], ["memory", "peak", 5.0]]


class Small:
    """A repository whose working tree is one change ahead of its only commit."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        for name in ("bench", "yoi_bundles"):
            (tree / name).mkdir(parents=True)
            (tree / name / "__init__.py").write_text("")
        (tree / "bench" / "__main__.py").write_text(PROGRAM)
        (tree / "Makefile").write_text(MAKEFILE)
        (tree / ".gitignore").write_text("build/\n.venv*\n")
        self.write(BEFORE)
        self.git("init", "-q")
        self.commit()
        self.write(AFTER)
        python = f"PYTHON={sys.executable}"
        subprocess.run(["make", "-s", python, ".venv/.installed"], cwd=tree, check=True)
        self.side = Side("ours", tree, tree / ".venv" / "bin" / "python")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, figures: object) -> None:
        (self.tree / "figures.json").write_text(json.dumps(figures))

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "State")
        return self.git("rev-parse", "HEAD")

    def run(self, scratch: Path, *arguments: object) -> int:
        rest = ["--against", "HEAD", "--pairs", "3", *map(str, arguments)]
        options = parse_options(["--only", "resolve", *rest])
        return run_against(options, scratch, ours=self.side)

    def is_tidy(self) -> bool:
        trees = self.git("worktree", "list", "--porcelain").count("worktree ")
        return trees == 1 and list(self.tree.glob("build/against/*/tree")) == []


@pytest.fixture
def small(tmp_path, monkeypatch):
    # A second for each run, and there is little to compile; a test of its own shows what it does.
    monkeypatch.setattr(bench.against, "compile_all", lambda side: None)
    return Small(tmp_path / "small")


@pytest.fixture
def scratch(tmp_path):
    made = tmp_path / "scratch"
    made.mkdir()
    return made


def test_both_sides_are_measured_in_turn_and_compared(small, scratch, capsys):
    output = small.tree / "build" / "new" / "pairs.json"

    assert small.run(scratch, "--json", output, "--clients", 7) == 0

    lines = [line.split() for line in (scratch / "order").read_text().splitlines()]
    scale = ["--quick", "--sizes", "50,1000", "--runs", "1", "--clients", "7"]
    assert [line[0] for line in lines] == ["small", "tree", "tree", "small", "small", "tree"]
    assert all(line[1:] == ["--only", "resolve", *scale] for line in lines)
    rows = {row["work"]: row for row in json.loads(output.read_text())["rows"]}
    assert rows["resolve, warm"]["pairs"] == [[15.0, 10.0]] * 3
    assert rows["resolve, warm"]["ratio_quartiles"] == [1.5, 1.5, 1.5]
    verdicts = {work: row["verdict"] for work, row in rows.items()}
    assert verdicts == {"resolve, warm": "slower", "new": "only ours", "old": "only theirs"}
    shown = capsys.readouterr()
    assert "1.500" in shown.out
    assert "pair 3 of 3: resolve" in shown.err
    about = json.loads(output.read_text())["about"]
    assert (about["against"], about["rev"]) == (small.git("rev-parse", "HEAD"), "HEAD")
    assert small.is_tidy()


def test_a_slower_row_is_a_failure_if_that_is_asked_for(small, scratch):
    assert small.run(scratch, "--fail-slower") == 1

    small.write(BEFORE)
    assert small.run(scratch, "--fail-slower") == 0


def test_an_environment_is_made_once_and_by_nothing_of_ours(small, scratch, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "-k -- BENCH_ARGS=x")
    monkeypatch.setenv("PYTHONPATH", str(small.tree))
    for _ in range(2):
        small.run(scratch)

    (made,) = small.tree.glob("build/against/*/venv-made")
    assert made.read_text() == "[]\n"


def test_a_side_that_fails_is_named_and_leaves_no_tree(small, scratch, capsys):
    small.write(None)
    commit = small.commit()
    small.write(AFTER)

    assert small.run(scratch, "--only", "memory") == 1

    reason = f"{commit[:10]}: status 1: the figures are gone"
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"incomplete: resolve: {reason}",
        f"incomplete: memory: {reason}",
    ]
    assert small.is_tidy()


def test_a_suite_that_fails_on_one_side_does_not_end_the_others(small, scratch, monkeypatch):
    repeat, output = bench.against._repeat, scratch / "pairs.json"

    def fail_once(side: Side, suite: str, *rest: object) -> object:
        if suite == "resolve":
            raise bench.against._RepetitionError("ours: it failed")
        return repeat(side, suite, *rest)

    monkeypatch.setattr(bench.against, "_repeat", fail_once)

    assert small.run(scratch, "--only", "memory", "--json", output) == 1
    document = json.loads(output.read_text())
    assert document["failed"] == {"resolve": "ours: it failed"}
    assert [(row["work"], row["verdict"]) for row in document["rows"]] == [("peak", "same")]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_ended_leaves_no_tree(small, scratch, monkeypatch, end):
    def run_child(*_: object, **options: object) -> int:
        assert len(list(small.tree.glob("build/against/*/tree/Makefile"))) == 1
        raise end

    monkeypatch.setattr(bench.against, "run_child", run_child)
    with pytest.raises(end):
        small.run(scratch)

    assert small.is_tidy()


def test_a_tree_that_a_killed_run_left_is_replaced(small):
    commit = small.git("rev-parse", "HEAD")
    left = small.tree / "build" / "against" / commit / "tree"
    small.git("worktree", "add", "--quiet", "--detach", str(left), commit)
    (left / "Makefile").write_text("damaged")

    with check_out(small.side, commit) as side:
        assert (side.tree / "Makefile").read_text() == MAKEFILE
        assert json.loads((side.tree / "figures.json").read_text()) == BEFORE

    assert small.is_tidy()


def test_two_runs_at_once_are_refused(small):
    (small.tree / "build" / "against").mkdir(parents=True)
    with (small.tree / "build" / "against" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with (
            pytest.raises(BenchError, match="another run with --against is under way"),
            check_out(small.side, small.git("rev-parse", "HEAD")),
        ):
            pytest.fail("it goes on")


def test_environments_of_the_commits_used_last_are_kept(small):
    against = small.tree / "build" / "against"
    for number in range(KEPT + 2):
        (against / f"old-{number}").mkdir(parents=True)
        os.utime(against / f"old-{number}", (number, number))
    commit = small.git("rev-parse", "HEAD")

    with check_out(small.side, commit):
        pass

    kept = {path.name for path in against.iterdir() if path.is_dir()}
    assert kept == {commit, *(f"old-{number}" for number in range(3, KEPT + 2))}


def commit_without(small: Small, path: str, text: str | None = None) -> None:
    """A commit that lacks a file, or has another one; the working tree has it."""
    before = (small.tree / path).read_text()
    (small.tree / path).unlink()
    if text is not None:
        (small.tree / path).write_text(text)
    small.commit()
    (small.tree / path).write_text(before)


def test_a_commit_without_benchmarks_is_told_in_a_line(small, scratch):
    shutil.rmtree(small.tree / "bench")
    small.commit()
    small.git("checkout", "-q", "HEAD^", "--", "bench")

    with pytest.raises(BenchError, match=r"^\w{10} has no package 'bench' that could be measured$"):
        small.run(scratch)
    assert small.is_tidy()


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("bench/__main__.py", None, "do not start: .*No module named bench.__main__"),
        ("bench/__main__.py", "import nothing_of_this_name", "do not start: ModuleNotFound"),
        ("bench/__main__.py", "print('--only --json --runs')", "lack --quick, --sizes, --cli"),
        ("Makefile", "all:\n", "cannot be installed: make: .*No rule to make target"),
    ],
)
def test_a_commit_that_cannot_be_measured_is_told_in_a_line(small, scratch, path, text, reason):
    commit_without(small, path, text)

    with pytest.raises(BenchError, match=reason) as told:
        small.run(scratch)
    assert "\n" not in str(told.value)
    assert small.is_tidy()


def test_a_suite_that_the_commit_lacks_is_named(small, scratch, capsys):
    assert small.run(scratch, "--only", "serving") == 1

    commit = small.git("rev-parse", "--short=10", "HEAD")
    assert f"incomplete: serving: {commit} has no such suite" in capsys.readouterr().out


@pytest.mark.parametrize("rev", ["no-such-branch", "--all", "HEAD:Makefile"])
def test_what_is_no_commit_is_refused(small, rev):
    with pytest.raises(BenchError, match="names no commit"):
        resolve_commit(small.tree, rev)


def test_an_interpreter_of_another_tree_is_refused(small):
    # As `python -m bench` would find its own modules there, but `yoi-bundles` would not.
    side = Side("ours", small.tree, Path(sys.executable))

    with pytest.raises(BenchError, match="would measure 'yoi_bundles' of another tree"):
        verify_side(side)


def test_bytecode_of_a_side_is_there_before_it_is_measured(small):
    (small.tree / "bench" / "broken.py").write_text("def")
    compile_all(small.side)

    assert len(list(small.tree.glob("bench/__pycache__/__main__.*.pyc"))) == 1
    assert len(list(small.tree.glob("yoi_bundles/__pycache__/__init__.*.pyc"))) == 1


def test_packages_are_shared_and_the_project_is_not(tmp_path):
    packages = tmp_path / "ours" / "lib" / "python3.11" / "site-packages"
    for name in ("peer/part.py", "yoi_bundles-0.1.0.dist-info/RECORD", "__editable__.pth"):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(name)

    _link_packages(tmp_path / "ours", tmp_path / "theirs")

    found = tmp_path / "theirs" / "lib" / "python3.11" / "site-packages"
    assert [path.name for path in found.iterdir()] == ["peer"]
    assert (found / "peer" / "part.py").samefile(packages / "peer" / "part.py")


def test_a_repetition_is_small_unless_more_is_asked_for():
    plan = make_plan(parse_options(["--against", "main"]))
    assert list(plan.scale) == ["--quick", "--sizes", "50,1000", "--runs", "1"]
    assert "copying" not in plan.suites
    assert plan.pairs == 9

    small = make_plan(parse_options(["--against", "main", "--quick", "--only", "copying"]))
    assert list(small.scale) == ["--quick", "--sizes", "50", "--runs", "1"]
    assert small.suites == ("copying",)

    more = ["--sizes", "50,10000", "--runs", "3", "--clients", "20", "--revisions", "9"]
    assert list(make_plan(parse_options(["--against", "main", *more])).scale) == [
        "--quick", "--sizes", "50,10000", "--runs", "3", "--revisions", "9", "--clients", "20",
    ]  # fmt: skip
