"""The demo as a newcomer runs it: every act is seen, and nothing is left running."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MARKS = (
    # act, and what must be seen in it, in this order
    r"1\. A Backend and two Runtimes",
    r"backend listening on http://127\.0\.0\.1:\d+",
    r"runtime eu-1 listening on",
    r"runtime us-1 listening on",
    r"2\. A workspace becomes a commit",
    r"published payments r1, \d+ files",
    r"3\. Sync",
    r"synced +eu-1 +full bundle",
    r"not_visible +us-1",
    r"not held here, or not visible to you \(bundle_missing\)",
    r"4\. A Worker",
    r"created",
    r"narrowed +network:",
    r"5\. One prompt changes",
    r"published payments r2",
    r"synced +eu-1 +increment",
    r"\d+ times less",
    r"6\. Refusals",
    r"\(policy_denied\)",
    r"refused shell:operate +profiles/operator\.toml:\d+",
    r"\(bundle_missing\)",
    r"\(digest_mismatch\)",
    r"7\. Operators look",
    r"Bundle-Revision: 2",
    r"fsck found nothing",
    r"Done\.",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run with --keep, its output, and the directory it kept."""
    place = tmp_path_factory.mktemp("demo")
    environment = {k: v for k, v in os.environ.items() if "YOI_BUNDLES" not in k}
    environment |= {"TMPDIR": str(place), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "yoi_bundles", "demo", "--keep"],
        env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    found = re.search(r"^kept in (\S+)$", done.stdout, re.MULTILINE)
    yield done, None if found is None else Path(found[1]), place
    if found is not None:
        shutil.rmtree(found[1], ignore_errors=True)


@pytest.mark.timeout(300)
def test_it_ends_well_and_shows_all_seven_acts_in_order(demo):
    done, _, _ = demo

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    place = 0
    for mark in MARKS:
        found = re.compile(mark).search(done.stdout, place)
        assert found, f"{mark} is not seen after {done.stdout[max(0, place - 200) : place]}"
        place = found.end()


@pytest.mark.timeout(300)
def test_its_secret_is_never_shown(demo):
    done, _, _ = demo

    assert "only-the-host-knows" not in done.stdout + done.stderr
    assert "yoi_" not in done.stdout, "no token is printed"


@pytest.mark.timeout(300)
def test_what_it_keeps_is_where_it_says_and_nothing_else_is_left(demo):
    _, kept, place = demo

    assert kept is not None
    assert (kept / "host" / "policy.toml").is_file()
    assert (kept / "backend" / "backend" / "workspaces" / "payments.git").is_dir()
    assert [path.resolve() for path in place.iterdir()] == [kept.resolve()]


@pytest.mark.timeout(300)
def test_no_process_of_it_is_left(demo):
    _, kept, _ = demo

    left = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and cwd_of(entry).startswith(str(kept))
    ]
    assert left == []


def cwd_of(process: Path) -> str:
    """Where a process works; nothing if it is gone or not ours."""
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


def test_without_keep_the_directory_is_removed_also_when_an_act_fails(yoi, monkeypatch, tmp_path):
    """The first command of the demo fails here, as there is no interpreter to run it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))

    ran = yoi("demo")

    assert ran.code == 8
    assert "exit code 1 instead of 0" in ran.err
    assert list((tmp_path / "tmp").iterdir()) == []
