"""Processes of the demo: starts servers, runs commands as a user would, stops everything."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from yoi_bundles.cli.output import bold, dim, say
from yoi_bundles.errors import BundleError, TransportError
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.client.token_files import read_token_file

START_SECONDS = 30
STOP_SECONDS = 10


def heading(number: int, text: str) -> None:
    """Begin an act."""
    say()
    say(bold(f"{number}. {text}"))


def remark(text: str) -> None:
    """Say what is seen."""
    say(f"   {text}")


class Stage:
    """A directory with servers in it.

    Args:
        root: Holds everything; commands run in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.urls: dict[str, str] = {}
        self.last_sent_bytes = 0
        self._servers: list[subprocess.Popen[str]] = []
        self._environment = {
            **{key: value for key, value in os.environ.items() if "YOI_BUNDLES" not in key},
            "DEMO_ANTHROPIC_KEY": "only-the-host-knows",
            "YOI_BUNDLES_AUTHOR": "Ada <ada@payments.example>",
            "PYTHONUNBUFFERED": "1",
        }
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
            self._environment["FORCE_COLOR"] = "1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()

    def write(self, name: str, text: str) -> None:
        """Write a file only its owner can change, and show it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        say(dim(f"   {name}:"))
        for line in text.splitlines():
            say(dim(f"   | {line}"))

    def start(self, command: str, *, data: str) -> None:
        """Start a server and wait until it says where it listens.

        Raises:
            TransportError: It did not start in time.
        """
        self._show(f"{command} --data {data} &")
        log = (self.root / f"{data}.log").open("w", encoding="utf-8")
        with log:
            server = subprocess.Popen(
                self._arguments(f"{command} --data {data}"),
                cwd=self.root,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._servers.append(server)
        line = _first_line(server)
        found = re.search(r"listening on (\S+)", line)
        if found is None:
            raise TransportError(
                f"the server {data} did not start", hint=(self.root / f"{data}.log").read_text()
            )
        self.urls[data] = found[1]
        say(f"   {line.strip()}")

    def run(
        self,
        command: str,
        *,
        data: str | None = None,
        to_backend: str | None = None,
        to_runtime: str | None = None,
        expect: int = 0,
    ) -> None:
        """Run a command and show what it prints.

        Args:
            data: Data directory to use.
            to_backend: Token file to talk to the Backend with.
            to_runtime: Runtime to talk to, with its Backend's token.
            expect: Exit code it must have.

        Raises:
            BundleError: Another exit code.
        """
        if data is not None:
            command += f" --data {data}"
        if to_backend is not None:
            command += f" --backend {self.urls['backend']} --token-file {to_backend}"
        if to_runtime is not None:
            command += f" --runtime {self.urls[to_runtime]} --token-file {to_runtime}.token"
        self._show(command)
        done = subprocess.run(
            self._arguments(command),
            cwd=self.root,
            env=self._environment,
            # One stream, so that notes and results stay in the order a user sees them in.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        for line in done.stdout.splitlines():
            say(f"   {line}")
        self._note_sent(done.stdout)
        if done.returncode != expect:
            raise BundleError(f"exit code {done.returncode} instead of {expect}: {command}")

    def _note_sent(self, text: str) -> None:
        found = re.search(r"(?:full bundle|increment), ([\d.,]+) (bytes|KiB)", text)
        if found is not None:
            size = float(found[1].replace(",", ""))
            self.last_sent_bytes = int(size * (1024 if found[2] == "KiB" else 1))

    def run_git(self, command: str) -> None:
        """Run the git binary and show what it prints.

        Raises:
            BundleError: It failed.
        """
        say(dim(f"   $ git {command}"))
        done = subprocess.run(
            ["git", *shlex.split(command)],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        shown = lines if len(lines) <= 60 else [*lines[:40], "…", *lines[-6:]]
        for line in shown:
            say(f"   {line}")
        if done.returncode != 0:
            raise BundleError(f"git {command} failed")

    def digest(self, workspace: str) -> Digest:
        """The newest digest of a workspace, asked of the Backend."""
        client = self._backend("operator.token")
        try:
            return client.revision(WorkspaceId(workspace), "main").digest
        finally:
            client.close()

    def ask_as_runtime(self, name: str, digest: Digest) -> str:
        """What the Backend answers a Runtime that asks for a digest.

        Raises:
            BundleError: The Runtime got it.
        """
        client = self._backend(f"{name}.pull-token")
        try:
            client.fetch_bundle(WorkspaceId("payments"), digest, (), lambda chunk: None)
        except BundleError as error:
            return f"{error.message} ({error.code})"
        finally:
            client.close()
        raise BundleError(f"{name} got a bundle it may not see")

    def put_under_wrong_digest(self, name: str, workspace: str, wrong: str) -> str:
        """What a Runtime answers to a bundle under another's digest.

        Raises:
            BundleError: The Runtime took it.
        """
        file = self.root / "first.bundle"
        backend = self._backend("operator.token")
        try:
            head = backend.revision(WorkspaceId(workspace), "main")
            with file.open("wb") as out:
                backend.fetch_bundle(WorkspaceId(workspace), head.digest, (), out.write)
        finally:
            backend.close()
        token = read_token_file(self.root / f"{name}.token")
        runtime = RuntimeClient(HttpClient(self.urls[name], token))
        say(dim(f"   $ PUT {self.urls[name]}/v1/config-bundles/{wrong}"))
        try:
            runtime.put_bundle(WorkspaceId(workspace), Digest(wrong), file)
        except BundleError as error:
            return f"{error.message} ({error.code})"
        finally:
            runtime.close()
        raise BundleError(f"{name} took a bundle under a wrong digest")

    def _backend(self, token_file: str) -> BackendClient:
        token = read_token_file(self.root / token_file)
        return BackendClient(HttpClient(self.urls["backend"], token))

    def _arguments(self, command: str) -> list[str]:
        return [sys.executable, "-m", "yoi_bundles", *shlex.split(command)]

    def _show(self, command: str) -> None:
        say(dim(f"   $ yoi-bundles {command}"))


def _first_line(server: subprocess.Popen[str]) -> str:
    """The first line a server prints, or nothing if it ends or takes too long."""
    if server.stdout is None:
        return ""
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and server.poll() is None:
            if selector.select(timeout=0.2):
                return server.stdout.readline()
    return ""
