"""An API of your own, asyncio throughout: publishes a directory, tells what a Worker would get.

It serves itself on a free port, asks itself, and ends: python examples/fastapi_app.py
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as Question
from urllib.request import urlopen

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from yoi_bundles import (
    BundleError,
    BundleRef,
    CreateWorkerRequest,
    Intent,
    PolicyError,
    WorkerId,
    aio,
)

POLICY = 'schema = 1\n\n[bundles]\nworkspaces = ["my-team"]\n'


def create_app(root: Path) -> FastAPI:
    """The app over the workspace and the data below a directory."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        policy = root / "policy.toml"
        async with (
            await aio.Backend.open(root / "backend") as app.state.backend,
            await aio.Runtime.open(root / "runtime", policy=policy) as app.state.runtime,
        ):
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/publish", publish, methods=["POST"])
    app.add_api_route("/powers/{profile}", powers)
    app.add_exception_handler(BundleError, refuse)
    app.state.workspace = root / "my-team"
    return app


async def publish(request: Request) -> dict[str, str | int]:
    """Publish the directory and carry the bundle to the Runtime."""
    state = request.app.state
    backend: aio.Backend = state.backend
    runtime: aio.Runtime = state.runtime
    reply = await aio.WorkspacePublisher(backend).publish(state.workspace, published_by="Ada")
    made = reply.revision
    with (await backend.bundle_file(made.digest)).path.open("rb") as file:
        await runtime.put_bundle(made.workspace, made.digest, file)
    return {"revision": made.number, "digest": str(made.digest)}


async def powers(profile: str, request: Request) -> dict[str, str]:
    """What the host would say to each power that a profile asks for."""
    runtime: aio.Runtime = request.app.state.runtime
    held = (await runtime.bundles("my-team")).bundles
    newest = next(one for one in held if one.is_current)
    report = await runtime.resolve(
        CreateWorkerRequest(
            worker_id=WorkerId("dry-run"),
            selector=f"project:{profile}",
            bundle=BundleRef(workspace=newest.workspace, digest=newest.digest),
            intent=Intent(summary="Only asking"),
        )
    )
    return {str(one.power): one.outcome for one in report.decisions}


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """Errors as this API shows them."""
    if not isinstance(error, BundleError):
        raise error
    status = 403 if isinstance(error, PolicyError) else 422
    return JSONResponse({"code": error.code, "detail": error.message}, status)


def ask(method: str, url: str) -> str:
    """What the app answers."""
    try:
        with urlopen(Question(url, method=method)) as answer:  # noqa: S310  (its own address)
            return str(answer.read().decode())
    except HTTPError as error:
        return f"{error.code} {error.read().decode()}"


async def main(root: Path) -> None:
    """Serve, ask, end."""
    init = [sys.executable, "-m", "yoi_bundles", "init", str(root / "my-team")]
    subprocess.run(init, check=True, capture_output=True)
    (root / "policy.toml").write_text(POLICY, "utf-8")
    (root / "policy.toml").chmod(0o600)
    server = uvicorn.Server(uvicorn.Config(create_app(root), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        url = "http://{}:{}".format(*listening.getsockname())
        print(await asyncio.to_thread(ask, "POST", f"{url}/publish"))
        print(await asyncio.to_thread(ask, "GET", f"{url}/powers/coder"))
        server.should_exit = True
        await serving


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))
