"""Runs a receiver over the written corpus: python -m tools.run_corpus build/corpus

Reads the manifest and the files it names, nothing of the builders: what another implementation
would do, with this project's receiver in its place.

Source: docs/hostile-corpus.md, "As files".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from yoi_bundles.content.check_tree import verify_content
from yoi_bundles.errors import BundleError, InvalidInputError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Advance
from yoi_bundles.runtime.held.trust import verify_advance
from yoi_bundles.store import Repository

FORMAT_VERSION = 1
"""The one that is understood here."""

Row = Mapping[str, Any]


class Answer(NamedTuple):
    """What a receiver made of one file, and what it should have."""

    name: str
    expected: str
    found: str

    @property
    def is_right(self) -> bool:
        """Whether they agree."""
        return self.expected == self.found


def read_manifest(corpus: Path) -> Row:
    """The manifest of a corpus.

    Raises:
        InvalidInputError: It is of another version of the format.
    """
    manifest: Row = json.loads((corpus / "manifest.json").read_text("ascii"))
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
        raise InvalidInputError(f"format version {version!r} is not {FORMAT_VERSION}")
    return manifest


def run_corpus(corpus: Path, work: Path, only: Iterable[str] = ()) -> Iterator[Answer]:
    """Send every case to its receiver, then every control to the same receivers, in order.

    Args:
        corpus: The directory with the manifest.
        work: An empty directory for the receivers' repositories.
        only: Names of the cases to send; all if none is named. All controls are sent.

    Raises:
        InvalidInputError: See `read_manifest`; or a file is not the one that was written.
    """
    manifest, wanted = read_manifest(corpus), set(only)
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(
                Repository.create(work / f"{name}.git", WorkspaceId(manifest["workspace"]))
            )
            for name in manifest["receivers"]
        }
        for name, receiver in manifest["receivers"].items():
            for row in receiver["setup"]:
                yield _answer(corpus, stores[name], {**row, "name": row["file"]}, "accepted")
        for row in manifest["cases"]:
            if not wanted or row["name"] in wanted:
                yield _answer(corpus, stores[row["receiver"]], row, row["expected"]["code"])
        for row in manifest["controls"]:
            expected = "accepted" if row["expected"]["is_new"] else "held already"
            yield _answer(corpus, stores[row["receiver"]], row, expected)


def _answer(corpus: Path, store: Repository, row: Row, expected: str) -> Answer:
    path = corpus / row["file"]
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != row["sha256"]:
            raise InvalidInputError(f"{row['file']} is not the file that was written")
    limits = Limits(**row.get("limits", {}))

    def check_advance(advance: Advance) -> None:
        verify_advance(advance, trust=TrustRules(), verify_signature=None)

    try:
        with store.open_upload(limits) as upload:
            upload.write(path.read_bytes())
            result = store.accept(
                upload,
                expected=Digest(row["digest"]),
                check_advance=check_advance,
                check_content=verify_content(workspace=store.workspace, limits=limits),
            )
    except BundleError as error:
        return Answer(row["name"], expected, error.code)
    return Answer(row["name"], expected, "accepted" if result.is_new else "held already")


def main(arguments: list[str] | None = None) -> None:
    """Print each wrong answer and how many were right; exits with 1 if one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args(arguments).corpus
    with tempfile.TemporaryDirectory() as work:
        answers = list(run_corpus(corpus, Path(work)))
    wrong = [answer for answer in answers if not answer.is_right]
    for answer in wrong:
        print(f"{answer.name}: {answer.found}, not {answer.expected}")
    print(f"right: {len(answers) - len(wrong)} of {len(answers)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
