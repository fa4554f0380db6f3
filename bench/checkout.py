"""Another commit beside this working tree, with a virtual environment of its own.

Both lie in ``build/against/<commit>/``. The tree is a git worktree and goes with the run. The
environment stays, as it depends on the commit alone; it has the project installed from that very
path, so the tree has to come back to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.children import last_line, run_child
from bench.errors import BenchError
from bench.progress import say
from bench.sides import Side, last_word, run_git

KEPT = 3
"""Commits whose environments stay."""
_READY = ".against-ready"
_STAMPS = (".installed", ".installed-bench")
"""Of the Makefile: the project and the peers are there."""


def resolve_commit(repository: Path, rev: str) -> str:
    """The full id of a commit.

    Raises:
        BenchError: The repository has none by this name.
    """
    command = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"]
    done = run_git(repository, *command)
    if done.returncode != 0:
        raise BenchError(f"--against {rev} names no commit of this repository")
    return done.stdout.strip()


@contextlib.contextmanager
def check_out(ours: Side, commit: str) -> Iterator[Side]:
    """The other side, ready to run; its tree is gone afterwards, whatever happens.

    Args:
        ours: This side; it lends what the other one needs just the same.
        commit: Full id.

    Raises:
        BenchError: It cannot be made ready, or another run is using it.
    """
    against = ours.tree / "build" / "against"
    against.mkdir(parents=True, exist_ok=True)
    home = against / commit
    with _alone(against / "lock"):
        home.mkdir(exist_ok=True)
        os.utime(home)
        _prune(ours.tree, against)
        with _worktree(ours.tree, home / "tree", commit) as tree:
            side = Side(commit[:10], tree, home / "venv" / "bin" / "python")
            _make_environment(ours, side, home)
            yield side


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("another run with --against is under way in this tree") from error
        yield


@contextlib.contextmanager
def _worktree(repository: Path, tree: Path, commit: str) -> Iterator[Path]:
    _remove_worktree(repository, tree)  # of a run that was killed
    try:
        # Hooks of the developer have no business here.
        done = run_git(
            repository, "-c", "core.hooksPath=/dev/null",
            "worktree", "add", "--quiet", "--detach", "--force", str(tree), commit,
        )  # fmt: skip
        if done.returncode != 0:
            raise BenchError(f"no worktree of {commit[:10]}: {last_word(done.stderr)}")
        yield tree
    finally:
        _remove_worktree(repository, tree)


def _remove_worktree(repository: Path, tree: Path) -> None:
    run_git(repository, "worktree", "remove", "--force", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)


def _make_environment(ours: Side, side: Side, home: Path) -> None:
    """Install once for each commit, and anew for another interpreter or place.

    Raises:
        BenchError: It failed; the log that is named says more.
    """
    venv, log = home / "venv", home / "install.log"
    ready, made_for = venv / _READY, f"{sys.version}\n{side.tree}\n"
    if ready.exists() and ready.read_text() == made_for:
        return
    shutil.rmtree(venv, ignore_errors=True)
    say(f"{side.name}: installing what it needs")
    if _needs_the_same(ours, side):
        status = _borrow(ours, side, venv, log)
    else:
        stamps = [str(venv / name) for name in _STAMPS]
        make = ["make", "-s", f"VENV={venv}", f"PYTHON={ours.python}", *stamps]
        status = run_child(make, directory=side.tree, environment=side.environment(), log=log)
    if status != 0:
        raise BenchError(f"{side.name} cannot be installed: {last_line(log)} (all of it: {log})")
    ready.write_text(made_for)


def _needs_the_same(ours: Side, side: Side) -> bool:
    """Whether both pin the same packages, so that what is here serves, also without a network."""
    mine, its = (_read_locks(one.tree / "requirements") for one in (ours, side))
    is_venv = (ours.venv / "pyvenv.cfg").exists()
    return bool(mine) and mine == its and is_venv


def _read_locks(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.lock*")}


def _borrow(ours: Side, side: Side, venv: Path, log: Path) -> int:
    """An environment with our packages, as links, and with the project of the other tree."""
    steps = [
        [str(ours.python), "-m", "venv", "--without-pip", str(venv)],
        [str(ours.python), "-m", "pip", "--disable-pip-version-check",
         "--python", str(side.python), "install", "-q", "--no-index", "--no-build-isolation",
         "--no-deps", "-e", str(side.tree)],
    ]  # fmt: skip
    for number, step in enumerate(steps):
        status = run_child(step, directory=side.tree, environment=side.environment(), log=log)
        if status != 0:
            return status
        if number == 0:
            _link_packages(ours.venv, venv)
    return 0


def _link_packages(source: Path, target: Path) -> None:
    """All that is installed but the project itself, which leads to the tree it came from."""
    for directory in source.glob("lib/python*/site-packages"):
        shutil.copytree(
            directory, target / directory.relative_to(source), symlinks=True, dirs_exist_ok=True,
            copy_function=_link, ignore=shutil.ignore_patterns("__editable__*", "yoi_bundles-*"),
        )  # fmt: skip


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # on another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _prune(repository: Path, against: Path) -> None:
    """Keep what was used last; a tree that a killed run left behind goes with its commit."""
    homes = sorted(
        (path for path in against.iterdir() if path.is_dir()),
        key=lambda path: path.stat().st_mtime_ns,
    )
    for home in homes[:-KEPT]:
        _remove_worktree(repository, home / "tree")
        shutil.rmtree(home, ignore_errors=True)
