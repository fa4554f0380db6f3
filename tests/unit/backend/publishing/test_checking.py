"""Checks of a publish after a restart: as much as is safe is taken over, and no more."""

from __future__ import annotations

import json

import pytest
from house import TEAM, publish_request, workspace_files

from yoi_bundles.backend.publishing import kept_checks
from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.content import check_tree as check_tree_module
from yoi_bundles.content.check import check_files
from yoi_bundles.content.check_tree import check_tree
from yoi_bundles.errors import (
    ForbiddenMaterialError,
    InvalidManifestError,
    StoreCorruptError,
    StoreError,
    TooLargeError,
    UnsupportedDeclarationError,
)
from yoi_bundles.kept import file as kept_file
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.store import Repository
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.readers import ObjectTreeReader

CODER = RelativePath("prompts/role/coder.md")
UNUSED = RelativePath("prompts/unused.md")
FILES = workspace_files() | {UNUSED: b"Nobody names me.\n"}
SECRET = ("Use ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8\n").encode()


@pytest.fixture
def whole_checks(monkeypatch):
    """Digests of trees that were checked as a whole."""
    seen = []

    def check(reader, **options):
        seen.append(reader.digest)
        return check_tree(reader, **options)

    monkeypatch.setattr(check_tree_module, "check_tree", check)
    return seen


@pytest.fixture(params=[False, True], ids=["server", "command"])
def is_brief(request):
    return request.param


@pytest.fixture
def publish(tmp_path, is_brief):
    """Publishes in a process of its own."""

    def call(files, limits=DEFAULT_LIMITS, **options):
        publishing, repositories = open_publishing(
            tmp_path / "backend", limits=limits, is_brief=is_brief
        )
        try:
            return publishing.publish(TEAM, publish_request(files, **options))
        finally:
            repositories.close()

    return call


@pytest.fixture
def first(publish, whole_checks):
    made = publish(FILES)
    whole_checks.clear()
    return made


def test_an_edited_prompt_alone_is_checked_after_a_restart(publish, first, whole_checks):
    made = publish({CODER: b"Be exact.\n"}, base=first.revision.digest)

    assert (made.is_new, whole_checks) == (True, [])
    assert made.warnings == first.warnings
    assert [one.message for one in made.warnings] == ["nothing uses this prompt"]


def test_blobs_that_did_not_change_are_not_read_for_their_size(publish, first, monkeypatch):
    sized = []
    real = ObjectDatabase.blob_size
    monkeypatch.setattr(
        ObjectDatabase, "blob_size", lambda self, oid: sized.append(oid) or real(self, oid)
    )

    second = publish({CODER: b"Be exact.\n"}, base=first.revision.digest)
    publish({CODER: b"Be kind.\n"}, base=second.revision.digest)

    assert len(sized) <= 2  # what the edited file was before


@pytest.mark.parametrize(
    ("path", "data", "error"),
    [
        (CODER, SECRET, ForbiddenMaterialError),
        (CODER, b"Say {{nothing}}.\n", InvalidManifestError),
        (RelativePath("profiles/coder.toml"), b"colour = 1\n", UnsupportedDeclarationError),
        (RelativePath("bundle.toml"), b"", InvalidManifestError),
        (RelativePath("notes.txt"), b"x", UnsupportedDeclarationError),
        (CODER, b"x" * (2**20 + 1), TooLargeError),
    ],
)
def test_what_is_wrong_with_a_change_is_found_after_a_restart(publish, first, path, data, error):
    with pytest.raises(error) as caught:
        publish({path: data}, base=first.revision.digest)

    whole = [one for one in check_files(FILES | {path: data}).findings if one.severity == "error"]
    assert caught.value.code == whole[0].code


def test_a_prompt_that_goes_is_missed_by_those_that_name_it(publish, first):
    with pytest.raises(InvalidManifestError, match="prompt"):
        publish({}, base=first.revision.digest, removed=(CODER,))


def test_a_prompt_that_nobody_names_goes_with_its_warning(publish, first):
    made = publish({}, base=first.revision.digest, removed=(UNUSED,))

    assert (made.is_new, made.warnings) == (True, ())


def test_all_files_together_stay_within_the_limits(publish, first):
    total = sum(map(len, FILES.values()))
    grown = FILES[CODER] + b"x" * 1000
    limits = Limits(tree_bytes=total)
    publish(FILES, limits=limits)  # kept under these limits

    with pytest.raises(TooLargeError) as caught:
        publish({CODER: grown}, limits=limits, base=first.revision.digest)

    assert caught.value.code == "too_large"


def test_other_rules_look_at_everything_again(publish, first, whole_checks, monkeypatch):
    monkeypatch.setattr(kept_checks, "find_rules_id", lambda limits: "another version")

    made = publish({CODER: b"Be exact.\n"}, base=first.revision.digest)

    assert whole_checks == [made.revision.digest]


@pytest.mark.parametrize(
    "change",
    [{"rules": "f" * 64}, {"digest": "0" * 64}, {"digest": "x"}, {"findings": [{}]},
     {"marked": 1}, {"measures": {"x": [1]}}, {"measures": [1]},
     {"measures": {"00": ["x", 1, 1, 1]}}, None],
)  # fmt: skip
def test_what_was_kept_of_something_else_is_not_used(
    publish, first, whole_checks, tmp_path, change
):
    file = tmp_path / "backend" / "checks" / str(TEAM)
    table = json.loads(kept_file.read_kept(file, kept_checks._MAGIC))
    text = "[]" if change is None else json.dumps(table | change)
    kept_file.write_kept(file, kept_checks._MAGIC, text.encode())

    made = publish({CODER: b"Be exact.\n"}, base=first.revision.digest)

    assert whole_checks == [made.revision.digest]


def test_a_command_reads_no_prompt_that_did_not_change(publish, first, is_brief, monkeypatch):
    profile = RelativePath("profiles/coder.toml")
    read = []
    real = ObjectTreeReader.read
    monkeypatch.setattr(
        ObjectTreeReader, "read", lambda self, path: read.append(path) or real(self, path)
    )
    monkeypatch.setattr(
        ObjectTreeReader, "read_all", lambda self, paths: ((one, self.read(one)) for one in paths)
    )

    made = publish({profile: FILES[profile] + b"# More.\n"}, base=first.revision.digest)

    prompts = [path for path in read if str(path).startswith("prompts/")]
    assert (profile in read, prompts == []) == (True, is_brief)
    assert made.warnings == first.warnings


def test_what_fails_after_a_publish_does_not_fail_it(publish, first, monkeypatch):
    def fail(*arguments):
        raise StoreError("a directory cannot be read")

    monkeypatch.setattr(Repository, "list_measures", fail)

    assert publish({CODER: b"Be exact.\n"}, base=first.revision.digest).is_new


def test_an_older_tree_that_is_damaged_refuses_no_newer_one(publish, first, monkeypatch):
    def fail(*arguments):
        raise StoreCorruptError("a directory is missing")

    monkeypatch.setattr("yoi_bundles.backend.publishing.checking.count_plain_edits", fail)

    assert publish(FILES | {CODER: b"Be exact.\n"}).is_new


def test_many_changes_are_kept_so_that_later_ones_are_few(publish, first, whole_checks):
    files = dict(FILES)
    prompts = [path for path in files if str(path).startswith("prompts/role/")]
    for turn in range(12):
        for path in prompts:
            files[path] = f"Turn {turn} of many.\n".encode()
        made = publish(files)

    assert (made.revision.number, whole_checks) == (13, [])
