"""What a run waits for ends with it, and in order."""

import os
import signal
import sys

import pytest

from bench.children import last_line, run_child

TIDIES = """
import os, pathlib, signal, sys
def end(*_):
    print("tidied", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
os.kill(os.getppid(), signal.SIGUSR1)
signal.pause()
"""


def test_a_child_has_its_directory_its_environment_and_a_status(tmp_path):
    script = "import os; print(os.getcwd(), os.environ['WORD']); raise SystemExit(7)"
    log = tmp_path / "log"
    environment = os.environ | {"WORD": "word"}

    status = run_child(
        [sys.executable, "-c", script], directory=tmp_path, environment=environment, log=log
    )

    assert (status, last_line(log)) == (7, f"{tmp_path} word")


def test_a_child_may_tidy_up_when_its_run_is_interrupted(tmp_path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    log = tmp_path / "log"
    try:
        with pytest.raises(KeyboardInterrupt):
            run_child(
                [sys.executable, "-c", TIDIES],
                directory=tmp_path,
                environment=os.environ,
                log=log,
            )
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert last_line(log) == "tidied"


def test_a_child_that_says_nothing_has_no_last_line(tmp_path):
    (tmp_path / "log").write_text("\n \n")

    assert last_line(tmp_path / "log") == ""
