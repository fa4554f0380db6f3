"""Commands in the documents run, with real processes, and print what the documents show."""

from __future__ import annotations

import re
import shutil

import pytest
from console import matches, play, runnable
from markdown import DOCS, ROOT, blocks, documents

from yoi_bundles.backend.fleet.visibility_file import read_visibility

WITH_EXAMPLES = [path for path in documents() if runnable(path.read_text("utf-8"))]


def test_there_are_examples():
    names = {path.name for path in WITH_EXAMPLES}

    assert names >= {"README.md", "operations.md", "http-api.md", "embedding.md"}


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.name)
def test_the_commands_of_a_document_run_and_print_what_it_shows(path, tmp_path):
    text = path.read_text("utf-8")
    missing = [
        name
        for name in ("bash", "git", "curl", "ssh-keygen")
        if re.search(rf"\b{name}\b", "\n".join(one.text for one in runnable(text)))
        and shutil.which(name) is None
    ]
    if missing or shutil.which("bash") is None:
        pytest.skip(f"not installed here: {', '.join(missing) or 'bash'}")

    assert play(text, tmp_path) >= 1


VISIBILITY = [
    block.text
    for path in documents()
    for block in blocks(path.read_text("utf-8"))
    if block.info == "toml visibility"
]


@pytest.mark.parametrize("text", VISIBILITY)
def test_every_visibility_policy_shown_loads(text, tmp_path):
    file = tmp_path / "visibility.toml"
    file.write_text(text, encoding="utf-8")

    assert read_visibility(file).rule


def test_visibility_policies_are_shown_where_they_are_explained():
    assert "```toml visibility" in (DOCS / "policy.md").read_text("utf-8")


def test_every_host_policy_shown_outside_the_policy_document_is_written_by_a_command():
    """docs/policy.md has a test of its own; elsewhere a policy is part of a run example."""
    marked = [
        path.name
        for path in documents()
        for block in blocks(path.read_text("utf-8"))
        if block.info == "toml host-policy" and path != DOCS / "policy.md"
    ]

    assert marked == []
    assert (ROOT / "fixtures" / "policies").is_dir()


@pytest.mark.parametrize(
    ("shown", "printed", "is_match"),
    [
        ("a", "a\n", True),
        ("a", "b\n", False),
        ("a … c", "a b c\n", True),
        ("a … c", "a\nc\n", False),
        ("a\n…\nc", "a\nb\nb\nc\n", True),
        ("a\n…\nc", "a\nc\n", True),
        ("a", "a\nb\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_shown_output_is_compared_line_by_line(shown, printed, is_match):
    assert matches(shown, printed) is is_match
