"""What a program may do, and the types it gets: checkers have nothing to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import assert_type

from yoi_bundles import (
    Backend,
    BackendClient,
    BundleError,
    BundleRef,
    BundleStatus,
    CreatedWorker,
    CreateWorkerRequest,
    Digest,
    HttpClient,
    Intent,
    LaunchPlan,
    Name,
    PowerRef,
    PublishReply,
    PutResult,
    RegisterRuntime,
    ResolvedWorkerSpec,
    ResolveReport,
    Revision,
    Runtime,
    RuntimeId,
    SecretRef,
    SecretValue,
    SshCommitSigner,
    SyncReply,
    SyncRequest,
    TransportError,
    WorkerId,
    WorkerView,
    WorkspaceId,
    WorkspacePublisher,
    __version__,
    aio,
    follow,
    publish,
)

TEAM = WorkspaceId("team")


def publish_it(backend: Backend, client: BackendClient) -> None:
    reply = publish("work", to=backend, message="First", published_by="Ada")
    assert_type(reply, PublishReply)
    assert_type(reply.revision, Revision)
    assert_type(reply.revision.number, int)
    publish(Path("work"), to=client, sign=SshCommitSigner(Path("key")))
    WorkspacePublisher(client).publish("work", expected=reply.revision.commit)
    WorkspacePublisher(backend).publish("work", expected=str(reply.revision.commit))
    first = reply.revision.provenance
    made = backend.publish("team", {"a": "text", "b": b"bytes"}, provenance=first)
    assert_type(made, PublishReply)
    assert_type(backend.log(TEAM).revisions, tuple[Revision, ...])
    for change in backend.diff("team", "1").changes:
        assert_type(change.patch, str)
    request = SyncRequest(runtimes=(RuntimeId("eu-1"),))
    assert_type(backend.sync("team", request), SyncReply)
    eu_1 = RegisterRuntime(runtime_id=RuntimeId("eu-1"), labels={Name("region"): "eu"})
    assert_type(backend.fleet.register(eu_1).token, str)


def use(backend: Backend, runtime: Runtime, revision: Revision) -> None:
    with backend.bundle_file(revision.digest).path.open("rb") as file:
        assert_type(runtime.put_bundle("team", None, file), PutResult)
    runtime.put_bundle(revision.workspace, revision.digest, [b"some", b"bytes"])
    request = CreateWorkerRequest(
        worker_id=WorkerId.parse("worker-1"),
        bundle=BundleRef.of(revision),
        intent=Intent(summary="Mend it"),
        required_capabilities=(PowerRef("shell:run-tests"),),
    )
    assert_type(runtime.create_worker(request), CreatedWorker)
    assert_type(runtime.resolve(request), ResolveReport)
    assert_type(runtime.worker("worker-1"), WorkerView)
    plan = runtime.plan_launch(request.worker_id)
    assert_type(plan.spec, ResolvedWorkerSpec)
    assert_type(plan.read_secret(SecretRef("secret:key")), SecretValue)
    assert_type(plan.read_secret(plan.spec.secrets[0]).reveal(), str)
    assert_type([mount.path for mount in plan.mounts], list[Path])


def listen(runtime: Runtime, told: list[Revision]) -> None:
    assert_type(runtime.on_accepted("team", told.append), Callable[[], None])
    with follow(
        runtime, "http://127.0.0.1:8470", ["team", TEAM], token_file=Path("a")
    ) as following:
        following.stop()
    HttpClient("http://127.0.0.1:8470", "token").close()


def mend(error: BundleError) -> bool:
    assert_type(error.code, str)
    assert_type(error.hint, str | None)
    return isinstance(error, TransportError) and error.retryable


async def awaited(request: CreateWorkerRequest, told: Callable[[Revision], object]) -> None:
    async with (
        await aio.Backend.open("data/backend", visibility=Path("visibility.toml")) as backend,
        await aio.Runtime.open(Path("data/runtime"), policy="policy.toml") as runtime,
    ):
        assert_type(backend, aio.Backend)
        assert_type(runtime.sync, Runtime)
        reply = await aio.WorkspacePublisher(backend).publish("work", message="First")
        assert_type(reply, PublishReply)
        assert_type((await backend.log("team", limit=2)).revisions, tuple[Revision, ...])
        assert_type((await backend.bundle_file(reply.revision.digest)).path, Path)
        assert_type(await backend.sync_runtimes(TEAM), SyncReply)
        assert_type(await runtime.plan_launch("worker-1"), LaunchPlan)
        assert_type(await runtime.create_worker(request, origin="remote"), CreatedWorker)
        assert_type(await runtime.bundle_status(Digest("0" * 64)), BundleStatus)
        assert_type(runtime.on_accepted("team", told), Callable[[], None])


assert_type(__version__, str)
