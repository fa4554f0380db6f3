"""A run with two workers says at its end what a run in one process says, and fails as it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import SECRET_VALUE
from sharing import stays_together

TESTS = Path(__file__).parents[1]
TRIED = f"""
import logging, os
import click
import pytest

@pytest.mark.parametrize("number", range(20))
def test_what_stands_alone(number, tell):
    logging.getLogger("yoi_bundles.x").debug("nothing")
    tell(f"tried: {{number:02}}")
    with open("workers", "a") as file:
        file.write(os.environ.get("PYTEST_XDIST_WORKER", "one process") + "\\n")

def test_a_leak():
    click.echo({SECRET_VALUE!r})
"""
SHARED = """
import pytest

@pytest.fixture(scope="module")
def made():
    with open("made", "a") as file:
        file.write("once\\n")

@pytest.mark.parametrize("number", range(20))
def test_what_is_shared(made, number):
    pass
"""


def run(place: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A run of its own, and what it told at its end."""
    place.mkdir()
    (place / "test_tried.py").write_text(TRIED)
    (place / "test_shared.py").write_text(SHARED)
    plugins = [word for name in ("canaries", "sharing", "telling") for word in ("-p", name)]
    # No plugin but those that are named: others take longer to load than this has to do.
    alone = {
        "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments, "-q", "-p", "no:cacheprovider",
         "--rootdir", str(place), str(place)],
        cwd=place, env={**os.environ, **alone}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith(("tried", "canaries"))]
    return done, told


def test_two_workers_tell_and_fail_as_one_process_does(tmp_path):
    alone, told = run(tmp_path / "alone")
    together, told_together = run(tmp_path / "together", "-p", "xdist", "-n", "2")

    workers = (tmp_path / "together" / "workers").read_text().split()
    assert set(workers) <= {"gw0", "gw1"}
    assert told_together == told
    assert told == [
        *(f"tried: {number:02}" for number in range(20)),
        "canaries: looked at 20 log lines, 1 outputs",
    ]
    for done in alone, together:
        assert done.returncode == 1
        assert "ERROR test_tried.py::test_a_leak" in done.stdout
        assert "the output of `yoi-bundles` shows a secret value" in done.stdout
        assert "41 passed, 1 error" in done.stdout
    assert (tmp_path / "together" / "made").read_text() == "once\n", "by one worker"


@pytest.mark.parametrize(
    ("name", "is_so"),
    [
        ("hostile/test_corpus.py", True),  # a fixture of its conftest
        ("cli/test_demo.py", True),
        ("crash/test_faults.py", False),
        ("integration/test_main_job.py", False),
    ],
)
def test_files_whose_tests_share_something_are_known(name, is_so):
    assert stays_together(TESTS / name) is is_so
