"""A Runtime that follows a Backend and hears of each revision when it is published.

The Backend is served by a process of its own on a free port: python examples/follow.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from yoi_bundles import (
    Backend,
    Name,
    RegisterRuntime,
    Revision,
    Runtime,
    RuntimeId,
    WorkspacePublisher,
    follow,
)

COMMAND = [sys.executable, "-m", "yoi_bundles"]
POLICY = 'schema = 1\n\n[bundles]\nworkspaces = ["my-team"]\n'
VISIBILITY = 'schema = 1\n\n[[rule]]\nlabels = { region = "eu" }\nworkspaces = ["my-team"]\n'


@contextmanager
def served(data: Path, visibility: Path) -> Generator[str, None, None]:
    """Serve a Backend until the block ends; gives its address."""
    options = ["--port", "0", "--data", str(data), "--visibility", str(visibility)]
    server = subprocess.Popen(
        [*COMMAND, "backend", "serve", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def main(root: Path) -> None:
    """Do it all below a directory."""
    workspace, policy, visibility = (root / "my-team", root / "policy.toml", root / "visible.toml")
    subprocess.run([*COMMAND, "init", str(workspace)], check=True, capture_output=True)
    policy.write_text(POLICY, "utf-8")
    policy.chmod(0o600)
    visibility.write_text(VISIBILITY, "utf-8")
    news: SimpleQueue[Revision] = SimpleQueue()
    with (
        Backend.open(root / "data" / "backend", visibility=visibility) as backend,
        Runtime.open(root / "runtime", policy=policy, runtime_id="eu-1") as runtime,
        served(root / "data", visibility) as url,
    ):
        eu_1 = RegisterRuntime(runtime_id=RuntimeId("eu-1"), labels={Name("region"): "eu"})
        token = backend.fleet.register(eu_1).token
        publisher = WorkspacePublisher(backend)
        publisher.publish(workspace, message="First", published_by="Ada")
        runtime.on_accepted("my-team", news.put)
        with follow(runtime, url, ["my-team"], token=token):
            print(f"accepted r{news.get(timeout=60).number}")
            (workspace / "prompts" / "role" / "coder.md").write_text("Change code, test it.\n")
            publisher.publish(workspace, message="Second", published_by="Ada")
            print(f"accepted r{news.get(timeout=60).number}, heard of while it waited")
        held = runtime.bundles("my-team").bundles
        print("held:", *sorted(f"r{one.revision.number}" for one in held if one.revision))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))
