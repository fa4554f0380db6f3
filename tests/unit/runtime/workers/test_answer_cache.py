"""Answers given before: given again only while nothing that they depend on has changed."""

from __future__ import annotations

import os
import time

import pytest
from house import TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.errors import BundleMissingError, PolicyDeniedError
from yoi_bundles.runtime.host import trusted_files
from yoi_bundles.runtime.workers import answer_cache as answers

SECRET = "anthropic-api-key"


@pytest.fixture
def key(tmp_path):
    """A secret's file that was made long ago, as far as its stamp can tell."""
    file = tmp_path / "model-key"
    file.write_text("not one")
    file.chmod(0o600)
    return file


@pytest.fixture
def runtime(house, key):
    text = house.policy_text.replace('env = "TEST_MODEL_KEY"', f'file = "{key}"')
    return house.runtime(policy=house.policy(text))


@pytest.fixture
def digest(house, runtime):
    backend = house.backend()
    revision = backend.publishing.publish(TEAM, publish_request(workspace_files())).revision
    file = backend.bundle_file(revision.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, revision.digest, [file.path.read_bytes()])
    return revision.digest


@pytest.fixture
def later(monkeypatch):
    """Everything seen so far is old enough to be known by its stamp."""
    monkeypatch.setattr(trusted_files, "_RACY_NANOSECONDS", -1)


def test_the_same_question_has_the_same_answer(runtime, digest):
    first = runtime.resolve(worker_request(digest))

    assert runtime.resolve(worker_request(digest)) is first


@pytest.mark.parametrize(
    "change",
    [{"worker_id": "worker-2"}, {"selector": "project:coder"}, {"intent": {"summary": "Else"}}],
)  # fmt: skip
def test_another_question_has_an_answer_of_its_own(runtime, digest, change):
    first = runtime.resolve(worker_request(digest))

    other = runtime.resolve(worker_request(digest, **change))

    assert other.receipt.request_digest != first.receipt.request_digest


def test_another_origin_is_another_circumstance(runtime, digest):
    near = runtime.resolve(worker_request(digest), origin="embedded")
    far = runtime.resolve(worker_request(digest), origin="remote")

    assert far is not near
    assert runtime.resolve(worker_request(digest), origin="embedded") == near


def test_a_policy_that_was_reloaded_is_asked(house, runtime, digest):
    request = worker_request(digest)
    runtime.resolve(request)
    house.policy(house.policy_text.replace('workspaces = ["team", "other"]', "workspaces = []"))
    house.policy("schema = 1\n\n[bundles]\nworkspaces = ['team']\n")

    runtime.policy.reload()

    with pytest.raises(PolicyDeniedError):
        runtime.resolve(request)


@pytest.mark.parametrize(
    "spoil",
    [
        os.unlink,
        lambda file: file.chmod(0o604),
        lambda file: (file.unlink(), file.symlink_to("/etc/hostname")),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["gone", "readable by all", "a link", "a directory"],
)
def test_a_source_that_is_lost_is_missed_at_once(runtime, digest, key, later, spoil):
    request = worker_request(digest)
    for _ in range(2):
        assert runtime.resolve(request).warnings == ()
    spoil(key)

    with pytest.raises(PolicyDeniedError):
        runtime.resolve(request)


def test_a_source_that_is_young_is_opened_each_time(runtime, digest, key, monkeypatch):
    opened = []
    real = trusted_files.open_regular
    monkeypatch.setattr(
        "yoi_bundles.runtime.host.secrets.open_regular",
        lambda path: opened.append(path) or real(path),
    )
    monkeypatch.setattr(trusted_files, "_RACY_NANOSECONDS", 10**12)
    for _ in range(3):
        runtime.resolve(worker_request(digest))
    assert len(opened) == 3

    monkeypatch.setattr(trusted_files, "_RACY_NANOSECONDS", -1)
    for _ in range(3):
        runtime.resolve(worker_request(digest))
    assert len(opened) == 4


def test_a_mount_that_is_lost_is_missed_at_once(house, runtime, digest):
    request = worker_request(digest)
    runtime.resolve(request)
    (house.root / "mounted").rmdir()

    with pytest.raises(PolicyDeniedError):
        runtime.resolve(request)


def test_a_bundle_that_was_dropped_has_no_answer(house, runtime, digest):
    request = worker_request(digest)
    runtime.resolve(request)
    backend = house.backend()
    newer = backend.publishing.publish(
        TEAM, publish_request(workspace_files(prompts__role__coder="More.\n"))
    ).revision
    file = backend.bundle_file(newer.digest, workspace=TEAM)
    runtime.put_bundle(TEAM, newer.digest, [file.path.read_bytes()])
    runtime.resolve(request)

    runtime.held.upkeep.find_open(TEAM).drop([digest])

    with pytest.raises(BundleMissingError):
        runtime.resolve(request)


def test_what_is_remembered_is_bounded(runtime, digest, monkeypatch):
    monkeypatch.setattr(answers, "_KEPT", 3)
    for number in range(5):
        runtime.resolve(worker_request(digest, worker_id=f"worker-{number}"))

    assert len(runtime._workers._answers._answers) == 2


def test_a_stamp_tells_mode_and_owner_apart(tmp_path):
    file = tmp_path / "key"
    file.write_text("x")
    before = trusted_files.find_stamp(str(file))
    file.chmod(0o600)

    assert trusted_files.find_stamp(str(file)) != before
    assert trusted_files.find_stamp(str(tmp_path / "gone")) is None
    assert trusted_files.find_stamp("\0") is None
    assert not trusted_files.is_settled((time.time_ns(),))
