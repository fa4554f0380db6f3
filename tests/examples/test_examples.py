"""The programs in examples/ run as their README says, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "publish_and_launch.py": "secret:anthropic-api-key: <secret>",
    "follow.py": "held: r1 r2",
    "fastapi_app.py": '403 {"code":"policy_denied"',
}


def test_every_example_is_run_and_named():
    files = {file.name for file in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text("utf-8")

    assert files == set(SAYS)
    assert [name for name in files if f"[{name}]({name})" not in listed] == []


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_and_cleans_up(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
