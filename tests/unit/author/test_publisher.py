"""Publishing a directory again and again: only what changed is sent, and nothing is lost."""

from __future__ import annotations

import pytest
from house import TEAM

from yoi_bundles.author import publisher as module
from yoi_bundles.author.publisher import DirectoryPublisher
from yoi_bundles.backend.publishing.publishing import open_publishing
from yoi_bundles.errors import ForbiddenMaterialError, RevisionConflictError
from yoi_bundles.model.ids import CommitId, RelativePath
from yoi_bundles.model.revision import Provenance
from yoi_bundles.store import compute_digest

PROVENANCE = Provenance(
    source_kind="directory", source_uri="team", published_by="Ada", built_with="tests"
)
CODER = "prompts/role/coder.md"


class Desk:
    """Publishing, with a memory of what was sent."""

    def __init__(self, publishing):
        self._publishing = publishing
        self.sent = []
        self.workspace = publishing.workspace

    def publish(self, workspace, request):
        self.sent.append(request)
        return self._publishing.publish(workspace, request)


@pytest.fixture
def desk(house):
    return Desk(house.backend().publishing)


@pytest.fixture(params=[False, True], ids=["far", "near"])
def is_near(request):
    return request.param


@pytest.fixture
def publisher(directory, is_near, monkeypatch):
    """A publisher to which every snapshot is old enough to be believed."""
    real = module.take_snapshot
    monkeypatch.setattr(
        module,
        "take_snapshot",
        lambda *a, **k: real(*a, **k)._replace(began_ns=2**62),
    )
    return DirectoryPublisher(directory, is_near=is_near)


def publish(publisher, desk, **options):
    return publisher.publish(desk, provenance=PROVENANCE, **options).revision


def digest_of(directory):
    files = {
        RelativePath(str(file.relative_to(directory))): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }
    return compute_digest(files)


def test_the_first_time_everything_is_sent(publisher, desk, directory):
    made = publish(publisher, desk)

    [request] = desk.sent
    assert (len(request.files), request.base) == (publisher.count, None)
    assert made.digest == digest_of(directory)


def test_afterwards_what_changed_is_sent(publisher, desk, directory):
    first = publish(publisher, desk)
    (directory / CODER).write_text("Be exact.\n")
    (directory / "prompts/new.md").write_text("New.\n")
    second = publish(publisher, desk)
    (directory / "prompts/new.md").unlink()

    third = publish(publisher, desk)

    _, edited, removing = desk.sent
    assert edited.base == first.digest
    assert sorted(map(str, edited.files)) == ["prompts/new.md", CODER]
    assert (removing.base, removing.files) == (second.digest, {})
    assert removing.removed == (RelativePath("prompts/new.md"),)
    assert (third.number, third.digest) == (3, digest_of(directory))


def test_nothing_changed_is_the_same_revision(publisher, desk):
    first = publish(publisher, desk)

    assert publish(publisher, desk) == first
    assert desk.sent[1].files == {}


def test_another_publisher_in_between_makes_no_difference_to_what_is_published(
    publisher, desk, directory
):
    first = publish(publisher, desk)
    other = DirectoryPublisher(directory)
    (directory / CODER).write_text("By another.\n")
    (directory / "prompts/theirs.md").write_text("Theirs.\n")
    publish(other, desk)
    (directory / "prompts/theirs.md").unlink()
    (directory / CODER).write_text("Be exact.\n")

    made = publish(publisher, desk)

    assert desk.sent[-1].base == first.digest
    assert sorted(map(str, desk.sent[-1].files)) == [CODER]
    assert (made.number, made.digest) == (3, digest_of(directory))


def test_a_desk_that_does_not_hold_the_base_gets_everything(publisher, desk, directory, tmp_path):
    publish(publisher, desk)
    (directory / CODER).write_text("Be exact.\n")
    publishing, repositories = open_publishing(tmp_path / "elsewhere")
    other = Desk(publishing)

    made = publish(publisher, other)

    repositories.close()
    assert [request.base is None for request in other.sent] == [False, True]
    assert (made.number, made.digest) == (1, digest_of(directory))


def test_a_secret_is_refused_before_it_is_sent_and_not_forgotten(
    publisher, desk, directory, is_near
):
    publish(publisher, desk)
    (directory / CODER).write_text("Use ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8\n")

    for _ in range(2):
        with pytest.raises(ForbiddenMaterialError):
            publish(publisher, desk)
    (directory / CODER).write_text("Be exact.\n")
    made = publish(publisher, desk)

    assert len(desk.sent) == (4 if is_near else 2)
    assert made.digest == digest_of(directory)


def test_the_first_secret_stays_here_too(publisher, desk, directory, is_near):
    (directory / CODER).write_text("Use ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8\n")

    with pytest.raises(ForbiddenMaterialError):
        publish(publisher, desk)

    assert len(desk.sent) == is_near


def test_a_failed_publish_loses_no_change(publisher, desk, directory):
    publish(publisher, desk)
    (directory / CODER).write_text("Be exact.\n")
    (directory / "prompts/new.md").write_text("New.\n")
    with pytest.raises(RevisionConflictError):
        publish(publisher, desk, expected=CommitId("0" * 64))

    made = publish(publisher, desk)

    assert made.digest == digest_of(directory)


def test_a_changed_manifest_is_looked_at_with_everything(publisher, desk, directory):
    publish(publisher, desk)
    manifest = directory / "bundle.toml"
    manifest.write_text(manifest.read_text().replace(f'"{TEAM}"', '"other"'))

    made = publish(publisher, desk)

    assert (str(made.workspace), made.number) == ("other", 1)
    assert desk.sent[-1].base is None
