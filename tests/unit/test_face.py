"""The public names: what is there, how little it loads, and what a program does with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
from canaries import SECRET_VALUE
from house import START, TEAM, publish_request, worker_request, workspace_files

import yoi_bundles
from yoi_bundles import (
    Backend,
    BundleMissingError,
    BundleRef,
    Digest,
    InvalidInputError,
    Runtime,
    WorkspaceId,
    WorkspacePublisher,
    aio,
    errors,
    follow,
    publish,
)


@pytest.fixture
def directory(tmp_path):
    """The directory of the workspace `team`."""
    for path, data in workspace_files().items():
        file = tmp_path / "work" / str(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "work"


def carry(backend: Backend, runtime: Runtime, revision) -> None:
    """Bring a revision from one to the other, as a program does that has both."""
    with backend.bundle_file(revision.digest).path.open("rb") as file:
        runtime.put_bundle(str(revision.workspace), str(revision.digest), file)


# --- the names ---


@pytest.mark.parametrize("name", yoi_bundles.__all__)
def test_each_public_name_is_there(name):
    assert getattr(yoi_bundles, name) is not None
    assert name in dir(yoi_bundles)


def test_every_error_is_public():
    assert {cls.__name__ for cls in errors.error_classes()} <= set(yoi_bundles.__all__)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = yoi_bundles.Nothing


def test_importing_the_package_loads_none_of_it():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, yoi_bundles; print(*sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {name for name in done.stdout.split() if name.startswith("yoi_bundles")}

    assert loaded == {"yoi_bundles", "yoi_bundles.version"}


# --- publishing ---


def test_a_directory_is_published_in_one_call(house, directory):
    reply = publish(directory, to=house.backend(), message="First", published_by="Ada")

    assert (reply.revision.number, reply.revision.message) == (1, "First")
    assert reply.revision.provenance.published_by == "Ada"
    assert reply.revision.provenance.source_uri == "work"


def test_a_publisher_sends_what_changed_of_each_directory(house, directory):
    backend = house.backend()
    publisher = WorkspacePublisher(backend)
    first = publisher.publish(directory, published_by="Ada").revision
    (directory / "prompts/role/coder.md").write_text("Another one.\n")

    second = publisher.publish(str(directory), expected=str(first.commit), published_by="Ada")

    assert [one.number for one in backend.log("team").revisions] == [2, 1]
    [change] = backend.diff("team", "1").changes
    assert (str(change.path), change.kind) == ("prompts/role/coder.md", "changed")
    assert second.is_new


def test_a_backend_takes_files_as_text_or_bytes(house):
    backend, request = house.backend(), publish_request(workspace_files())
    as_bytes = {str(path): text.encode() for path, text in request.files.items()}
    first = backend.publish("team", dict(request.files), provenance=request.provenance)

    again = backend.publish(TEAM, as_bytes, provenance=request.provenance, message="Same")

    assert (first.is_new, again.is_new) == (True, False)
    assert again.revision == backend.workspace("team").head


def test_files_need_a_provenance_and_a_whole_request_nothing(house):
    backend, request = house.backend(), publish_request(workspace_files())
    with pytest.raises(InvalidInputError, match="where do the files come from"):
        backend.publish(TEAM, dict(request.files))
    with pytest.raises(InvalidInputError, match="nothing can be added"):
        backend.publish(TEAM, request, message="More")
    with pytest.raises(BundleMissingError):
        backend.log("team")


# --- plain text for names ---


def test_plain_text_means_what_a_value_means(house):
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    carry(backend, runtime, revision)

    assert runtime.bundle_status(str(revision.digest), "team").is_current
    assert runtime.bundles("team").bundles[0].digest == revision.digest
    assert backend.channel("team", "main").revision == revision
    assert backend.repository_path("team") == backend.repository_path(TEAM)
    assert backend.publishing.store("team") is backend.publishing.store(TEAM)


@pytest.mark.parametrize("wrong", ["Team", "../team", "", 7, None, Digest("0" * 64)])
def test_what_is_no_name_is_a_typed_error(house, wrong):
    backend = house.backend()
    for ask in backend.log, backend.workspace, backend.sync, backend.repository_path:
        with pytest.raises(InvalidInputError, match="is not a workspace"):
            ask(wrong)


def test_a_value_of_another_type_is_not_taken_for_text():
    assert WorkspaceId.coerce("team") == WorkspaceId.coerce(TEAM) == TEAM
    with pytest.raises(InvalidInputError, match="a WorkspaceId is not a bundle digest"):
        Digest.coerce(TEAM)


# --- directories of the wrong side ---


def test_a_directory_of_the_other_side_is_refused_and_nothing_is_made_in_it(house):
    house.publish(house.backend())
    house.runtime("eu-1").close()
    policy = house.policy()
    both = house.root / "both"
    (both / "runtime").mkdir(parents=True)
    (both / "runtime" / "catalog.sqlite3").touch()
    before = sorted(house.root.rglob("*"))

    with pytest.raises(InvalidInputError, match="is a runtime's, and no backend's"):
        Backend.open(house.root / "eu-1")
    with pytest.raises(InvalidInputError, match="is a backend's, and no runtime's"):
        Runtime.open(house.root / "backend", policy=policy)
    with pytest.raises(InvalidInputError, match="the runtime's is `runtime` in it"):
        Runtime.open(both, policy=policy)
    assert sorted(house.root.rglob("*")) == before


# --- Workers ---


def test_a_worker_is_made_of_a_revision_and_its_launch_is_planned(house):
    backend, runtime = house.backend(), house.runtime()
    revision = house.publish(backend).revision
    carry(backend, runtime, revision)
    request = worker_request(revision.digest).model_copy(update={"bundle": BundleRef.of(revision)})
    runtime.create_worker(request)

    plan = runtime.plan_launch("worker-1")

    assert plan.spec.bundle == revision.digest
    [ref] = plan.spec.secrets
    assert plan.read_secret(ref).reveal() == SECRET_VALUE
    assert runtime.worker("worker-1").receipt.commit == revision.commit
    with pytest.raises(BundleMissingError):
        runtime.plan_launch("worker-2")
    with pytest.raises(InvalidInputError):
        runtime.plan_launch("no id")


def test_who_listens_is_told_of_each_new_revision_once(house, caplog):
    backend, runtime = house.backend(), house.runtime()
    first = house.publish(backend).revision
    told, failing = [], []

    def fail(revision) -> None:
        failing.append(revision)
        raise ZeroDivisionError

    runtime.on_accepted("team", fail)
    end = runtime.on_accepted("team", told.append)
    runtime.on_accepted("other", told.append)
    carry(backend, runtime, first)
    carry(backend, runtime, first)
    end()
    end()
    second = house.publish(backend, prompts__role__coder="x\n").revision
    carry(backend, runtime, second)

    assert told == [first]
    assert failing == [first, second]
    assert runtime.bundle_status(second.digest).is_current
    assert "a listener to team failed" in caplog.text


def test_a_runtime_follows_in_one_call(house):
    backend, runtime = house.backend(), house.runtime()
    token, url = house.register(backend, "eu-1"), house.serve_backend(backend)
    revision, is_there = house.publish(backend).revision, threading.Event()
    runtime.on_accepted("team", lambda accepted: is_there.set())

    with follow(runtime, url, ["team"], token=token):
        assert is_there.wait(20)

    assert runtime.bundle_status(revision.digest).is_current


@pytest.mark.parametrize(
    ("workspaces", "options", "match"),
    [
        ([], {}, "which workspaces"),
        ("team", {}, "which workspaces"),
        (["Team"], {}, "is not a workspace"),
        (["team"], {"token": "a", "token_file": "b"}, "only one"),
        (["team"], {"poll_seconds": float("nan")}, "poll_seconds"),
        (["team"], {"poll_seconds": 0}, "poll_seconds"),
    ],
)
def test_what_cannot_be_followed_is_told_at_once(house, workspaces, options, match):
    with pytest.raises(InvalidInputError, match=match):
        follow(house.runtime(), "http://127.0.0.1:9", workspaces, **options)


# --- asyncio ---


def test_the_same_is_awaited_and_callbacks_come_in_the_event_loop(house, directory):
    async def program():
        async with (
            await aio.Backend.open(house.root / "backend", clock=lambda: START) as backend,
            await aio.Runtime.open(house.root / "eu", policy=house.policy()) as runtime,
        ):
            published = await aio.WorkspacePublisher(backend).publish(directory, published_by="A")
            told = asyncio.get_running_loop().create_future()
            runtime.on_accepted("team", told.set_result)
            file = await backend.bundle_file(published.revision.digest)
            with file.path.open("rb") as chunks:
                await runtime.put_bundle("team", published.revision.digest, chunks)
            return published.revision, await asyncio.wait_for(told, 20)

    published, accepted = asyncio.run(program())

    assert accepted == published
    assert published.created_at == START
