"""kill -9 before every change a write makes: nothing acknowledged is lost, every retry works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from operations import CASES

DRIVER = Path(__file__).with_name("kill_driver.py")


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_write_killed_anywhere_leaves_the_old_state_or_the_new_one(name, tmp_path, tell):
    done = subprocess.run(
        [sys.executable, str(DRIVER), name, str(tmp_path)],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(done.stdout)
    assert summary["points"] >= 10
    assert summary["survived"] == summary["points"]
    tell(f"crash: kill -9, {name}: {summary['survived']} of {summary['points']} points survived")
