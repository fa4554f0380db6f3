"""The corpus as files says all that another implementation needs: a runner knows nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.corpus import write_corpus
from tools.run_corpus import run_corpus
from yoi_bundles.errors import InvalidInputError

ROOT = Path(__file__).parents[2]
FAMILIES = (
    "container", "refs", "prerequisites", "pack", "deltas", "graph", "digest", "paths", "modes",
    "metadata", "trailers", "content", "shallow",
)  # fmt: skip
"""All but the large ones, which a run by hand sends."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    write_corpus(path, FAMILIES)
    return path


@pytest.fixture(scope="module")
def manifest(corpus):
    return json.loads((corpus / "manifest.json").read_text())


def test_a_runner_of_the_files_alone_gets_the_expected_answers(corpus, tmp_path):
    answers = list(run_corpus(corpus, tmp_path))

    assert [answer for answer in answers if not answer.is_right] == []
    assert len(answers) > 500


def test_the_runner_reads_no_builder():
    program = (
        "import sys; import tools.run_corpus;"
        "print(*sorted({'builder', 'families', 'harness', 'tools.corpus'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


def test_the_manifest_names_every_case_with_its_code_and_every_file(corpus, manifest):
    table = tomllib.loads((ROOT / "fixtures" / "hostile" / "cases.toml").read_text())["case"]
    wanted = {row["name"]: row["code"] for row in table if row["family"] in FAMILIES}
    rows = [*manifest["cases"], *manifest["controls"]]
    rows += [row for one in manifest["receivers"].values() for row in one["setup"]]

    assert {row["name"]: row["expected"]["code"] for row in manifest["cases"]} == wanted
    assert all(row["description"] for row in [*manifest["cases"], *manifest["controls"]])
    written = {str(path.relative_to(corpus)) for path in corpus.rglob("*.bundle")}
    assert {row["file"] for row in rows} == written
    assert all((corpus / row["file"]).stat().st_size == row["bytes"] for row in rows)
    assert len(manifest["controls"]) == 27


def test_two_runs_write_the_same_manifest(corpus, tmp_path):
    digest = write_corpus(tmp_path / "again", FAMILIES)

    text = (corpus / "manifest.json").read_bytes()
    assert (tmp_path / "again" / "manifest.json").read_bytes() == text
    assert digest == hashlib.sha256(text).hexdigest()


@pytest.fixture
def copied(corpus, tmp_path):
    return Path(shutil.copytree(corpus, tmp_path / "copied"))


def change(corpus, **changes):
    path = corpus / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_another_version_of_the_format_is_not_guessed_at(copied, tmp_path):
    change(copied, format_version=2)

    with pytest.raises(InvalidInputError, match="format version 2"):
        list(run_corpus(copied, tmp_path))


def test_a_file_that_changed_on_its_way_is_not_taken_for_a_case(copied, tmp_path):
    (copied / "cases/digest/of-nothing.bundle").write_bytes(b"something else")

    with pytest.raises(InvalidInputError, match="is not the file"):
        list(run_corpus(copied, tmp_path, ["digest/of-nothing"]))


def test_a_wrong_answer_is_told(copied, manifest, tmp_path):
    case = next(row for row in manifest["cases"] if row["name"] == "digest/of-nothing")
    expected = {**case["expected"], "code": "too_large"}
    change(copied, cases=[{**case, "expected": expected}], controls=[])

    wrong = [one for one in run_corpus(copied, tmp_path) if not one.is_right]

    assert [tuple(one) for one in wrong] == [(case["name"], "too_large", "digest_mismatch")]
