"""What a program may not do: each line that ends with a mark is reported, and no other."""

from __future__ import annotations

from yoi_bundles import (
    Backend,
    BundleError,
    BundleRef,
    CommitId,
    CreateWorkerRequest,
    Digest,
    Intent,
    LaunchPlan,
    Runtime,
    WorkerId,
    WorkspaceId,
    aio,
    follow,
    publish,
)


def publish_it(backend: Backend) -> None:
    backend.log(7)  # wrong
    backend.log(Digest("0" * 64))  # wrong
    backend.publish("team", {"a": 7})  # wrong
    backend.workspace("team").head.number  # wrong: there may be none
    backend.launch("team")  # wrong
    publish("work")  # wrong
    publish("work", to="team")  # wrong
    publish("work", to=backend, expected=7)  # wrong
    Backend.open("data", visibility=7)  # wrong


def use(runtime: Runtime, plan: LaunchPlan, digest: Digest) -> None:
    Runtime.open("data")  # wrong
    runtime.put_bundle("team", CommitId("0" * 64), [])  # wrong
    runtime.put_bundle("team", digest, "text")  # wrong
    runtime.plan_launch(WorkspaceId("team"))  # wrong
    runtime.on_accepted("team", lambda: None)  # wrong
    follow(runtime, "http://127.0.0.1:8470", [7])  # wrong
    plan.read_secret("secret:key")  # wrong
    plan.mounts = ()  # wrong
    BundleRef(workspace="team", digest=digest)  # wrong, if not for pydantic's plugin
    CreateWorkerRequest(worker_id=WorkerId("a"))  # wrong
    Intent(summary="Mend it", sumary="Mend it")  # wrong


def mend(error: BundleError) -> bool:
    return error.retryable  # wrong


async def awaited(backend: aio.Backend, runtime: aio.Runtime) -> None:
    aio.Backend.open(7)  # wrong
    await aio.Backend.open(7)  # wrong
    await aio.Runtime.open("data")  # wrong
    await aio.Runtime.open("data", policy="policy.toml", name="eu-1")  # wrong
    await backend.log(7)  # wrong
    await backend.log("team", limt=7)  # wrong
    await runtime.plan_launch()  # wrong
    runtime.plan_launch("worker-1").spec  # wrong
    runtime.on_accepted("team", lambda: None)  # wrong
    aio.WorkspacePublisher(backend.sync)  # wrong
