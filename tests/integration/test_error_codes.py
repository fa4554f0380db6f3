"""Every promised code, met through the library, over HTTP and on the command line.

Each scenario is a real fault in a real data directory; the three ways meet it there, one at a time.
The statuses and exit codes are written down here once more, so that no table of the product can
change them unseen.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from canaries import SECRET_VALUE
from house import (
    OTHER,
    POLICY,
    START,
    TEAM,
    VISIBILITY,
    Clock,
    publish_request,
    worker_request,
    workspace_files,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "store"))

from store_factories import WORKSPACE as FORGED
from store_factories import Forge, raw_tree

from yoi_bundles.backend.app import create_app as backend_app
from yoi_bundles.backend.service import Backend
from yoi_bundles.cli.main import run
from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import ChannelName, Digest, RelativePath, RuntimeId, WorkspaceId
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.runtime.app import create_app as runtime_app
from yoi_bundles.runtime.service import Runtime
from yoi_bundles.store.tree.objects import Kind
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.http import ClientLimits, HttpClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import RegisterRuntime

PROMISED = {
    "bundle_missing", "digest_mismatch", "invalid_profile_selector", "unsupported_declaration",
    "invalid_manifest", "forbidden_material", "forbidden_path", "forbidden_mode",
    "malformed_bundle", "missing_object", "missing_prerequisite", "too_large", "not_fast_forward",
    "revision_conflict", "rollback_refused", "untrusted_signature", "policy_denied",
    "bundle_required", "workspace_not_visible", "unauthenticated", "forbidden", "channel_gone",
    "stale_bundle", "store_corrupt", "storage_full", "transport_failed", "too_many_requests",
}  # fmt: skip
"""Codes of docs/http-api.md that callers may branch on."""

NOWHERE = Digest("0" * 63 + "1")
# Put together, so that no scanner takes this file for a leak.
LEAK = "Sign in with ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8\n"


class World:
    """A data directory as the command line has it, and both servers over it."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self.root, self.data, self._stack = root, root / "data", stack
        self.clock = Clock()
        (root / "mounted").mkdir()
        (root / "etc").mkdir()
        (root / "visibility.toml").write_text(VISIBILITY)
        self.policy = root / "etc" / "policy.toml"
        self.write_policy()
        self.backend = self.open_backend(self.data / "backend")
        self.runtime = self.open_runtime()

    def write_policy(self, bundles: str = "", more: str = "") -> None:
        text = POLICY.replace("{mount}", str(self.root / "mounted"))
        text = text.replace('workspaces = ["team", "other"]', f'workspaces = ["*"]\n{bundles}')
        self.policy.write_text(text + more)
        self.policy.chmod(0o600)

    def open_backend(self, data: Path) -> Backend:
        visibility = self.root / "visibility.toml"
        return self._stack.enter_context(
            Backend.open(data, visibility=visibility, clock=self.clock)
        )

    def open_runtime(self) -> Runtime:
        return self._stack.enter_context(
            Runtime.open(self.data / "runtime", policy=self.policy, clock=self.clock)
        )

    def reopen_runtime(self) -> None:
        self.runtime.close()
        self.runtime = self.open_runtime()

    def publish(self, backend: Backend | None = None, text: str = ""):
        request = publish_request(workspace_files(prompts__role__coder=text))
        return (backend or self.backend).publishing.publish(TEAM, request).revision

    def bundle_bytes(self, revision, backend: Backend | None = None, haves=()) -> bytes:
        file = (backend or self.backend).bundle_file(revision.digest, haves=haves, workspace=TEAM)
        return file.path.read_bytes()

    def hold(self):
        """Publish a revision and let the Runtime take it in."""
        revision = self.publish()
        self.runtime.put_bundle(TEAM, revision.digest, [self.bundle_bytes(revision)])
        return revision

    def url_of(self, app: object) -> str:
        from house import serving

        return self._stack.enter_context(serving(app))

    def token(self, server: Backend | Runtime, role: str) -> str:
        return server.credentials.create(f"a-{role}", role, now=START).token

    def token_file(self, token: str) -> str:
        path = self.root / "some.token"
        path.write_text(token)
        path.chmod(0o600)
        return str(path)

    def http_backend(self, role: str = "operator") -> tuple[str, str]:
        return self.url_of(backend_app(self.backend)), self.token(self.backend, role)

    def http_runtime(self) -> tuple[str, str]:
        return self.url_of(runtime_app(self.runtime)), self.token(self.runtime, "backend")

    def client(self, url: str, token: str) -> RuntimeClient:
        made = RuntimeClient(HttpClient(url, token))
        self._stack.callback(made.close)
        return made

    def workspace_directory(self, changed: dict[RelativePath, bytes]) -> str:
        directory = self.root / "workspace"
        for path, data in {**workspace_files(), **changed}.items():
            file = directory / str(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return str(directory)


@dataclass(frozen=True)
class Asked:
    """One HTTP request."""

    server: tuple[str, str | None]
    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True)
class Ways:
    """The three ways to one fault."""

    library: Callable[[], object]
    http: Callable[[], Asked]
    cli: Callable[[], list[str]]
    around: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext
    """The circumstances of the fault, if it is none of the data directory."""


def never() -> Asked:
    raise AssertionError("the table says that this way does not exist")


# --- the ways, by what is done --------------------------------------------------------------


def upload(world: World, raw: bytes, digest: Digest, workspace: WorkspaceId = TEAM) -> Ways:
    """A bundle file that arrives under a digest."""

    def argv() -> list[str]:
        file = world.root / "arrived.bundle"
        file.write_bytes(raw)
        return ["bundle", "import", str(file), "-w", str(workspace), "--digest", str(digest),
                "--policy", str(world.policy)]  # fmt: skip

    return Ways(
        library=lambda: world.runtime.put_bundle(workspace, digest, [raw]),
        http=lambda: Asked(
            world.http_runtime(), "PUT", f"/v1/config-bundles/{digest}?workspace={workspace}", raw
        ),
        cli=argv,
    )


def forged(world: World, make_root: Callable[[Forge], bytes]) -> Ways:
    """A pack that no honest tool makes."""
    forge = Forge()
    root = make_root(forge)
    return upload(world, forge.bundle(forge.commit(root)), Digest.from_bytes(root), FORGED)


def create(world: World, request: CreateWorkerRequest) -> Ways:
    """A Worker somebody asks for."""
    bundle = request.bundle
    where = [] if bundle is None else ["-w", str(bundle.workspace), "--digest", str(bundle.digest)]
    return Ways(
        library=lambda: world.runtime.create_worker(request),
        http=lambda: Asked(
            world.http_runtime(), "POST", "/v1/workers", request.model_dump_json().encode()
        ),
        cli=lambda: ["worker", "create", str(request.worker_id), request.selector, *where,
                     "--policy", str(world.policy)],
    )  # fmt: skip


def publish(world: World, path: str, data: bytes, **changes) -> Ways:
    """Files that are to become a revision; one of them is wrong, or is expected elsewhere."""
    changed = {RelativePath(path): data}
    request = publish_request({**workspace_files(), **changed}, **changes)
    expected = [] if request.expected is None else ["--expected", str(request.expected)]
    return Ways(
        library=lambda: world.backend.publishing.publish(TEAM, request),
        http=lambda: Asked(
            world.http_backend("publisher"),
            "POST",
            f"/v1/workspaces/{TEAM}/revisions",
            request.model_dump_json().encode(),
        ),
        cli=lambda: ["publish", world.workspace_directory(changed), "--author", "Ada", *expected],
    )


# --- the scenarios --------------------------------------------------------------------------


def bundle_missing(world: World) -> Ways:
    return create(world, worker_request(NOWHERE))


def digest_mismatch(world: World) -> Ways:
    return upload(world, world.bundle_bytes(world.publish()), NOWHERE)


def invalid_profile_selector(world: World) -> Ways:
    return create(world, worker_request(world.hold().digest, selector="project:nobody"))


def unsupported_declaration(world: World) -> Ways:
    return publish(world, "notes.txt", b"hello\n")


def invalid_manifest(world: World) -> Ways:
    return publish(world, "models/broken.toml", b"[")


def forbidden_material(world: World) -> Ways:
    return publish(world, "prompts/role/leak.md", LEAK.encode())


def forbidden_path(world: World) -> Ways:
    return forged(
        world,
        lambda forge: forge.add(
            Kind.TREE, raw_tree((b"100644", b".git", forge.add(Kind.BLOB, b"x")))
        ),
    )


def forbidden_mode(world: World) -> Ways:
    return forged(
        world,
        lambda forge: forge.add(
            Kind.TREE, raw_tree((b"120000", b"link", forge.add(Kind.BLOB, b"/etc/passwd")))
        ),
    )


def malformed_bundle(world: World) -> Ways:
    return upload(world, b"# v2 git bundle\n" + bytes(range(256)), NOWHERE)


def missing_object(world: World) -> Ways:
    return forged(
        world,
        lambda forge: forge.add(Kind.TREE, raw_tree((b"100644", b"gone.md", b"\x99" * 32))),
    )


def missing_prerequisite(world: World) -> Ways:
    first, second = world.publish(), world.publish(text="\nBe exact.\n")
    return upload(world, world.bundle_bytes(second, haves=(first.commit,)), second.digest)


def too_large(world: World) -> Ways:
    world.write_policy(more="\n[limits.receive]\nbundle_bytes = 1000\n")
    world.reopen_runtime()
    revision = world.publish()
    return upload(world, world.bundle_bytes(revision), revision.digest)


def not_fast_forward(world: World) -> Ways:
    """The Runtime holds revision 1; another history, just as long and longer, arrives."""
    world.hold()
    liar = world.open_backend(world.root / "liar")
    world.publish(liar, "\nFirst lie.\n")
    second = world.publish(liar, "\nSecond lie.\n")
    return upload(world, world.bundle_bytes(second, liar), second.digest)


def revision_conflict(world: World) -> Ways:
    first = world.publish()
    world.publish(text="\nSomebody was faster.\n")
    return publish(world, "prompts/role/late.md", b"You are late.\n", expected=first.commit)


def rollback_refused(world: World) -> Ways:
    """The Runtime holds revision 2; a revision 1 it has never seen arrives."""
    world.publish()
    second = world.publish(text="\nBe exact.\n")
    world.runtime.put_bundle(TEAM, second.digest, [world.bundle_bytes(second)])
    past = world.open_backend(world.root / "past")
    old = world.publish(past, "\nOld and weak.\n")
    return upload(world, world.bundle_bytes(old, past), old.digest)


def untrusted_signature(world: World) -> Ways:
    signers = world.root / "etc" / "signers"
    signers.write_text("")
    signers.chmod(0o600)
    world.write_policy(
        more=f'\n[trust]\nsignature_required = true\nallowed_signers_file = "{signers}"\n'
    )
    world.reopen_runtime()
    revision = world.publish()
    return upload(world, world.bundle_bytes(revision), revision.digest)


def policy_denied(world: World) -> Ways:
    return create(world, worker_request(world.hold().digest, selector="project:operator"))


def bundle_required(world: World) -> Ways:
    return create(world, worker_request(selector="builtin:coder"))


def workspace_not_visible(world: World) -> Ways:
    """A Runtime asks for what it may not see; an author for what is not there."""
    revision = world.publish()
    made = world.backend.fleet.register(
        RegisterRuntime(runtime_id=RuntimeId("us-1"), labels={"region": "us"})
    )
    known = world.backend.fleet.known(RuntimeId("us-1"))
    return Ways(
        library=lambda: world.backend.bundle_file(revision.digest, runtime=known),
        http=lambda: Asked(
            (world.http_backend()[0], made.token), "GET", f"/v1/config-bundles/{revision.digest}"
        ),
        cli=lambda: ["log", str(OTHER)],
    )


def unauthenticated(world: World) -> Ways:
    def argv() -> list[str]:
        url, _ = world.http_backend()
        return ["log", "team", "--backend", url, "--token-file", world.token_file("x" * 43)]

    return Ways(
        library=lambda: world.backend.credentials.verify("x" * 43, now=START),
        http=lambda: Asked((world.http_backend()[0], "x" * 43), "GET", "/v1/workspaces"),
        cli=argv,
    )


def forbidden(world: World) -> Ways:
    def argv() -> list[str]:
        url, token = world.http_backend("publisher")
        return ["runtime", "list", "--backend", url, "--token-file", world.token_file(token)]

    author = world.backend.credentials.create("ada", "publisher", now=START)
    return Ways(
        library=lambda: world.backend.fleet.verify_caller(author),
        http=lambda: Asked(world.http_backend("publisher"), "GET", "/v1/runtimes"),
        cli=argv,
    )


def channel_gone(world: World) -> Ways:
    world.publish()
    return Ways(
        library=lambda: world.backend.channel(TEAM, ChannelName("canary")),
        http=lambda: Asked(world.http_backend(), "GET", "/v1/workspaces/team/channels/canary"),
        cli=never,
    )


def stale_bundle(world: World) -> Ways:
    """No Backend was heard of for longer than the host allows; the command has the real clock."""
    world.write_policy("stale_refuse_seconds = 60")
    world.reopen_runtime()
    revision = world.hold()
    world.clock.advance(seconds=61)
    return create(world, worker_request(revision.digest))


def store_corrupt(world: World) -> Ways:
    revision = world.hold()
    pack = next((world.data / "runtime" / "bundles").rglob("*.pack"))
    data = bytearray(pack.read_bytes())
    for place in range(200, len(data) - 40, 97):
        data[place] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)
    world.reopen_runtime()
    return create(world, worker_request(revision.digest))


def storage_full(world: World) -> Ways:
    """No file of this process may grow beyond a few bytes: the kernel's own refusal."""
    revision = world.publish()
    raw = world.bundle_bytes(revision)

    @contextlib.contextmanager
    def no_room():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    ways = upload(world, raw, revision.digest)
    return Ways(ways.library, ways.http, ways.cli, around=no_room)


def transport_failed(world: World) -> Ways:
    def call() -> object:
        client = HttpClient("http://127.0.0.1:9", None, limits=ClientLimits(attempts=1))
        try:
            return BackendClient(client).workspaces()
        finally:
            client.close()

    return Ways(
        library=call, http=never, cli=lambda: ["log", "team", "--backend", "http://127.0.0.1:9"]
    )


def too_many_requests(world: World) -> Ways:
    """A token that may ask once in a thousand seconds has asked."""
    world.write_policy(
        more="\n[limits.requests]\nrequests_per_second = 0.001\nburst_requests = 1\n"
    )
    world.reopen_runtime()
    url, token = world.http_runtime()
    client = world.client(url, token)
    client.info()

    def argv() -> list[str]:
        return ["worker", "list", "--runtime", url, "--token-file", world.token_file(token)]

    return Ways(
        library=client.info,
        http=lambda: Asked((url, token), "GET", "/v1/runtime"),
        cli=argv,
    )


@dataclass(frozen=True)
class Row:
    """A scenario and what each way must give; a text says why a way does not exist."""

    build: Callable[[World], Ways]
    status: int | str
    exit_code: int | str
    wire_code: str | None = None
    """If the wire says another code on purpose."""


TABLE = {
    "bundle_missing": Row(bundle_missing, 404, 4),
    "digest_mismatch": Row(digest_mismatch, 422, 6),
    "invalid_profile_selector": Row(invalid_profile_selector, 422, 2),
    "unsupported_declaration": Row(unsupported_declaration, 422, 1),
    "invalid_manifest": Row(invalid_manifest, 422, 1),
    "forbidden_material": Row(forbidden_material, 422, 1),
    "forbidden_path": Row(forbidden_path, 422, 6),
    "forbidden_mode": Row(forbidden_mode, 422, 6),
    "malformed_bundle": Row(malformed_bundle, 400, 6),
    "missing_object": Row(missing_object, 422, 6),
    "missing_prerequisite": Row(missing_prerequisite, 409, 5),
    "too_large": Row(too_large, 413, 6),
    "not_fast_forward": Row(not_fast_forward, 409, 5),
    "revision_conflict": Row(revision_conflict, 409, 5),
    "rollback_refused": Row(rollback_refused, 409, 5),
    "untrusted_signature": Row(untrusted_signature, 403, 6),
    "policy_denied": Row(policy_denied, 403, 1),
    "bundle_required": Row(bundle_required, 403, 1),
    "workspace_not_visible": Row(workspace_not_visible, 404, 4, wire_code="bundle_missing"),
    "unauthenticated": Row(unauthenticated, 401, 3),
    "forbidden": Row(forbidden, 403, 3),
    "channel_gone": Row(
        channel_gone, 410, "no command reads a channel by name; a following Runtime logs it"
    ),
    "stale_bundle": Row(stale_bundle, 503, 1),
    "store_corrupt": Row(store_corrupt, 500, 6),
    "storage_full": Row(storage_full, 507, 8),
    "too_many_requests": Row(too_many_requests, 429, 7),
    "transport_failed": Row(
        transport_failed, "the client's own: a server that cannot be reached answers nothing", 7
    ),
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_MODEL_KEY", SECRET_VALUE)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("YOI_BUNDLES_DATA", str(tmp_path / "data"))
    for name in ("BACKEND", "RUNTIME", "TOKEN", "TOKEN_FILE", "POLICY", "VISIBILITY"):
        monkeypatch.delenv(f"YOI_BUNDLES_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        yield World(tmp_path, stack)


@pytest.mark.parametrize("code", TABLE)
def test_the_library_raises_it(world, code):
    ways = TABLE[code].build(world)

    with pytest.raises(BundleError) as raised, ways.around():
        ways.library()

    assert raised.value.code == code
    assert raised.value.message
    assert str(world.root) not in f"{raised.value.message} {raised.value.hint}"


@pytest.mark.parametrize("code", [c for c, row in TABLE.items() if isinstance(row.status, int)])
def test_the_server_answers_with_it(world, code):
    row = TABLE[code]
    ways = row.build(world)
    asked = ways.http()
    url, token = asked.server
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with contextlib.closing(connection), ways.around():
        connection.request(asked.method, asked.path, asked.body, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())

    wanted = row.wire_code or code
    assert (answer.status, document["code"]) == (row.status, wanted)
    assert answer.getheader("content-type") == "application/problem+json"
    assert document["status"] == row.status
    assert document["type"] == f"urn:yoi-bundles:error:{wanted}"
    assert str(world.root) not in json.dumps(document)


@pytest.mark.parametrize("code", [c for c, row in TABLE.items() if isinstance(row.exit_code, int)])
def test_the_command_line_ends_with_it(world, code, capsys):
    row = TABLE[code]
    ways = row.build(world)
    argv = ways.cli()
    with ways.around():
        plain = run(argv)
    said = capsys.readouterr()
    with ways.around():
        for_machines = run([*argv, "--json"])
    told = capsys.readouterr()

    assert (plain, for_machines) == (row.exit_code, row.exit_code)
    assert f"({code})" in said.err
    document = json.loads(told.err)
    assert document["code"] == code
    assert document["message"]
    assert told.out == ""


def test_the_table_covers_exactly_what_is_promised():
    assert set(TABLE) == PROMISED


def test_a_way_that_does_not_exist_is_explained_and_there_are_few():
    missing = [
        reason
        for row in TABLE.values()
        for reason in (row.status, row.exit_code)
        if isinstance(reason, str)
    ]

    assert len(missing) == 2
    assert all(len(reason) > 20 for reason in missing)
