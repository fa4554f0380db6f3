"""Publish a workspace, carry the bundle to a Runtime, have a Worker made, plan its launch.

All of it is in one process and a temporary directory: python examples/publish_and_launch.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from yoi_bundles import Backend, BundleRef, CreateWorkerRequest, Intent, Runtime, WorkerId, publish

POLICY = """\
schema = 1

[bundles]
workspaces = ["my-team"]

[[secret]]
name = "anthropic-api-key"
env = "EXAMPLE_API_KEY"

[[network]]
hosts = ["api.anthropic.com"]

[[mount]]
name = "checkout"
path = "{checkout}"
mode = "rw"

[[tool]]
tools = ["*"]
programs = []
"""


def write_policy(root: Path) -> Path:
    """Write a host policy that only its owner may change."""
    (root / "checkout").mkdir()
    file = root / "host-policy.toml"
    file.write_text(POLICY.format(checkout=root / "checkout"), "utf-8")
    file.chmod(0o600)
    return file


def main(root: Path) -> None:
    """Do it all below a directory."""
    workspace = root / "my-team"
    init = [sys.executable, "-m", "yoi_bundles", "init", str(workspace)]
    subprocess.run(init, check=True, capture_output=True)
    os.environ["EXAMPLE_API_KEY"] = "not-a-real-key"
    with (
        Backend.open(root / "backend") as backend,
        Runtime.open(root / "runtime", policy=write_policy(root)) as runtime,
    ):
        revision = publish(workspace, to=backend, message="First", published_by="Ada").revision
        print(f"published {revision.workspace} r{revision.number}, {revision.digest}")

        with backend.bundle_file(revision.digest).path.open("rb") as file:
            put = runtime.put_bundle(revision.workspace, revision.digest, file)
        print(f"received {put.objects} objects: {put.status.state}")

        request = CreateWorkerRequest(
            worker_id=WorkerId.parse("worker-1"),
            selector="project:coder",
            bundle=BundleRef.of(revision),
            intent=Intent(summary="Mend the build"),
        )
        for decision in runtime.create_worker(request).worker.decisions:
            print(f"{decision.outcome:8} {decision.power}")

        plan = runtime.plan_launch("worker-1")
        names = ", ".join(str(tool.name) for tool in plan.spec.tools)
        print(f"would start {plan.spec.model.ref} with {names} in {plan.mounts[0].path.name}/")
        for secret in plan.spec.secrets:
            print(f"{secret}: {plan.read_secret(secret)}")  # `reveal()` it to the process alone


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))
