"""The kept corpus and a minute of fuzzing: parsers raise our errors and keep their promises."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from platform import machine

import pytest

from fuzz.corpus import CORPUS, features_of, keep, read_corpus, replay
from fuzz.runner import read_report
from fuzz.target import PromiseError, Target, judge, must
from fuzz.targets import TARGETS
from yoi_bundles.errors import BundleError, MalformedBundleError

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
HAS_WHEEL = sys.version_info < (3, 14) and (sys.platform, machine()) == ("linux", "x86_64")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_every_kept_input_keeps_the_promises_of_its_parser(target):
    inputs = read_corpus(CORPUS / target.name)

    assert replay(target, inputs.items()) == (len(inputs), [])
    assert inputs, "run `python -m fuzz --seeds`"


def test_the_kept_corpus_is_small_and_has_no_folder_without_a_target():
    files = [path for path in CORPUS.rglob("*") if path.is_file()]

    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 1024 * 1024
    assert all(path.stat().st_size <= TARGETS[path.parent.name].max_bytes for path in files), (
        "an input that no fuzzer would try"
    )


def promise_of(error: Exception | None, codes: frozenset[str] = frozenset({"malformed_bundle"})):
    def check(data: bytes) -> None:
        must(data != b"bad", "it was bad")
        if error is not None:
            raise error

    return Target("made-up", check, codes, dict)


@pytest.mark.parametrize(
    "error",
    [
        BundleError("another code than this parser may say"),
        MalformedBundleError("text that \x9bsteers"),
        MalformedBundleError("text", hint="that \u202eturns"),
        MalformedBundleError("text", name=["\x1b"]),
        MalformedBundleError(""),
        MalformedBundleError("long" * 50_000),
    ],
)
def test_an_error_that_a_parser_may_not_raise_is_a_finding(error):
    with pytest.raises(PromiseError):
        judge(promise_of(error), b"x")


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), RecursionError(), KeyError("x")])
def test_an_error_that_is_not_ours_is_a_finding(error):
    count, findings = replay(promise_of(error), [("a", b"x")])

    assert count == 1
    assert findings[0].startswith(f"made-up/a: {type(error).__name__}")


def test_a_property_that_does_not_hold_is_a_finding():
    assert judge(promise_of(MalformedBundleError("x")), b"x") == "malformed_bundle"
    assert judge(promise_of(None), b"x") == "accepted"
    assert replay(promise_of(None), [("a", b"bad")]) == (1, ["made-up/a: it was bad"])


def test_the_corpus_keeps_what_goes_where_nothing_went_and_the_smallest_of_it(tmp_path):
    header = TARGETS["header"]
    seeds = header.seeds()
    good = seeds["honest-0"]

    assert keep(header, tmp_path, {"big": good + b"tail", "good": good}) == ["good"]
    assert keep(header, tmp_path, {"again": good, "other": b"PACK"}) == ["other"]
    assert read_corpus(tmp_path) == {"good": good, "other": b"PACK"}
    assert features_of(header, good) != features_of(header, b"PACK")


def test_a_fuzzer_that_died_is_no_success():
    done = subprocess.CompletedProcess([], 1, "", "Traceback: no module of that name")

    report = read_report("header", done, (), 0)

    assert not report.is_good
    assert "no module of that name" in report.output


def test_the_replay_needs_no_fuzzer():
    script = (
        "import sys; sys.modules['atheris'] = None; sys.argv = ['fuzz', '--replay', 'header'];"
        "import runpy; runpy.run_module('fuzz', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("header: ")


def test_the_lock_installs_a_fuzzer_only_where_there_is_a_wheel():
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = next(line for line in dev["dev"] if line.startswith("atheris"))
    locked = next(
        line
        for line in (ROOT / "requirements" / "dev.lock").read_text().splitlines()
        if line.startswith("atheris")
    )

    for condition in ("python_full_version < '3.14'", "sys_platform == 'linux'"):
        assert condition in locked
    assert "python_version < '3.14'" in asked


@pytest.mark.skipif(SECONDS <= 0, reason="FUZZ_SECONDS is 0")
@pytest.mark.skipif(
    not HAS_ATHERIS and not HAS_WHEEL, reason="atheris has no wheel for this Python and machine"
)
@pytest.mark.timeout(SECONDS + 240)
def test_fuzzing_finds_nothing(tmp_path, tell):
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "fuzz", "--seconds", str(SECONDS), "--work", str(tmp_path),
            "--json", str(report), "--seed", "1",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["target"]: row for row in json.loads(report.read_text())}
    assert set(rows) == set(TARGETS)
    for name, row in rows.items():
        tell(
            f"fuzz: {name}: {row['executions']:,} executions, {row['per_second']:,}/s, corpus "
            f"{row['corpus']}, {row['new_coverage']} new places, {len(row['findings'])} findings"
        )
    assert [name for name, row in rows.items() if row["executions"] == 0] == []
    assert [row["findings"] for row in rows.values() if row["findings"]] == []
