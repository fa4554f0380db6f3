"""Canaries: what is secret, local or personal is planted everywhere, and shows up nowhere else."""

from __future__ import annotations

import json
import logging
import sqlite3

import pytest
from house import POLICY, TEAM, publish_request, worker_request, workspace_files

from yoi_bundles.cli.main import run
from yoi_bundles.errors import BundleError
from yoi_bundles.model.ids import Digest, RuntimeId, WorkerId
from yoi_bundles.model.revision import Provenance
from yoi_bundles.runtime.follow.follower import Follower
from yoi_bundles.wire.client.backend_client import BackendClient
from yoi_bundles.wire.client.runtime_client import RuntimeClient
from yoi_bundles.wire.messages.runtimes import BrowserOverview, RegisterRuntime, RuntimeInfo

SECRET_VALUE = "canary-secret-value-7f3a"
ENV_NAME = "CANARY_ENV_NAME"
MAIL = "canary-ada@mail.example"
SOURCE = "https://canary-source.example/team/conf"
MOUNT = "canary-mount-directory"

PARTS = ("credential", "endpoint", "path", "token", "secret_value", "env", "url", "uri", "mail")
"""Words that no field of a Browser model may have in its name."""


class Planted:
    """A Backend and a Runtime with a canary in every place that must not leak."""

    def __init__(self, house, monkeypatch) -> None:
        self.house = house
        monkeypatch.setenv(ENV_NAME, SECRET_VALUE)
        mount = house.root / MOUNT
        mount.mkdir()
        text = POLICY.replace('env = "TEST_MODEL_KEY"', f'env = "{ENV_NAME}"')
        self.policy = house.policy(text.replace("{mount}", str(mount)))
        self.backend = house.backend()
        self.runtime = house.runtime(policy=self.policy)
        self.runtime_url, self.push_token = house.serve_runtime(self.runtime)
        self.pull_token = house.register(
            self.backend, "eu-1", endpoint=self.runtime_url, push_token=self.push_token
        )
        self.backend_url = house.serve_backend(self.backend)
        self.tokens = {
            role: self.backend.credentials.create(f"a-{role}", role, now=house.clock()).token
            for role in ("publisher", "operator", "browser")
        }
        provenance = Provenance(
            source_kind="git", source_uri=SOURCE,
            published_by=f"Ada Lovelace <{MAIL}>", built_with="tests",
        )  # fmt: skip
        request = publish_request(workspace_files(), provenance=provenance)
        self.revision = self.backend.publishing.publish(TEAM, request).revision
        self.sync_outcomes = self.backend.sync(TEAM)
        self.worker = self.runtime.create_worker(worker_request(self.revision.digest)).worker

    @property
    def every_token(self) -> list[str]:
        return [self.push_token, self.pull_token, *self.tokens.values()]

    @property
    def of_the_host(self) -> list[str]:
        """What belongs to the Runtime's host alone."""
        return [SECRET_VALUE, ENV_NAME, MOUNT, str(self.house.root), *self.every_token]

    @property
    def of_the_backend(self) -> list[str]:
        """What a Browser may not see either."""
        return [*self.of_the_host, self.runtime_url, MAIL, SOURCE, "canary"]

    def http(self, url: str, token: str | None):
        return self.house.client(url, token)


@pytest.fixture
def planted(house, monkeypatch):
    return Planted(house, monkeypatch)


def leaks(text: str, canaries: list[str]) -> list[str]:
    assert text, "nothing was looked at"
    return [canary for canary in canaries if canary in text]


def field_names(schema) -> set[str]:
    """Every property name of a JSON Schema, at any depth."""
    if isinstance(schema, list):
        return set().union(*map(field_names, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {}))
    return own.union(*map(field_names, schema.values()))


def test_a_browser_sees_no_canary(planted):
    raw = planted.http(planted.backend_url, planted.tokens["browser"]).request(
        "GET", "/v1/browser/overview"
    )

    assert leaks(raw.body.decode(), planted.of_the_backend) == []
    overview = BrowserOverview.model_validate_json(raw.body)
    assert overview.workspaces[0].head.published_by == "Ada Lovelace"
    assert overview.runtimes[0].current == {TEAM: planted.revision.digest}


def test_the_browser_models_have_no_field_for_what_must_not_be_seen():
    names = field_names(BrowserOverview.model_json_schema(by_alias=True))

    assert {"workspaces", "runtimes", "published_by", "secret_names"} <= names
    assert [name for name in names for part in PARTS if part in name.lower()] == []


def test_what_a_runtime_says_of_itself_names_no_place_and_no_source(planted):
    info = RuntimeClient(planted.http(planted.runtime_url, planted.push_token)).info()

    text = info.model_dump_json()
    assert leaks(text, planted.of_the_host) == []
    assert "secret:anthropic-api-key" in info.capability_summary
    assert "mount:checkout" in info.capability_summary
    names = field_names(RuntimeInfo.model_json_schema())
    assert [name for name in names for part in ("path", "token", "value") if part in name] == []


def test_specs_decisions_and_explanations_hold_names_only(planted):
    client = RuntimeClient(planted.http(planted.runtime_url, planted.push_token))
    report = client.resolve(worker_request(planted.revision.digest, worker_id="dry"))
    shown = client.worker(WorkerId("worker-1"))

    for text in (report.model_dump_json(), shown.model_dump_json(), repr(report), repr(shown)):
        assert leaks(text, planted.of_the_host) == []
    assert any("secret:anthropic-api-key" in str(one) for one in shown.spec.secrets)


def test_what_operators_see_of_a_runtime_has_no_token(planted):
    client = BackendClient(planted.http(planted.backend_url, planted.tokens["operator"]))

    text = client.runtimes().model_dump_json() + planted.sync_outcomes.model_dump_json()

    assert leaks(text, [*planted.every_token, SECRET_VALUE, ENV_NAME, MOUNT]) == []
    assert planted.runtime_url in text, "operators do see where it is"


def refused(work) -> str:
    with pytest.raises(BundleError) as raised:
        work()
    error = raised.value
    return json.dumps([error.message, error.hint, error.facts, repr(error)])


def test_problem_documents_repeat_nothing(planted, house):
    runtime = planted.http(planted.runtime_url, planted.push_token)
    backend = planted.http(planted.backend_url, planted.tokens["publisher"])
    leaky = {**workspace_files(), "prompts/role/coder.md": f"Call {SECRET_VALUE}\n".encode()}
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    leaky["prompts/role/coder.md"] += f"Sign in with {token}\n".encode()
    cases = [
        lambda: RuntimeClient(runtime).create_worker(
            worker_request(planted.revision.digest, worker_id="w", selector="project:operator")
        ),
        lambda: RuntimeClient(runtime).bundle_status(Digest("ab" * 32)),
        lambda: runtime.request("POST", "/v1/workers", content=token.encode()),
        lambda: runtime.request("POST", "/v1/workers", content=json.dumps({"x": token}).encode()),
        lambda: BackendClient(backend).publish(TEAM, publish_request(leaky)),
        lambda: backend.request("GET", "/v1/runtimes"),
        lambda: planted.http(planted.backend_url, token).request("GET", "/v1/workspaces"),
        lambda: house.client("http://127.0.0.1:9", planted.push_token).request("GET", "/v1"),
    ]  # fmt: skip

    for case in cases:
        assert leaks(refused(case), [*planted.of_the_host, token]) == []


def test_a_broken_policy_is_told_without_its_values_and_directories(planted):
    planted.policy.write_text(
        f'schema = 1\n[[secret]]\nname = "x"\nenv = "{ENV_NAME}"\nfile = "/{MOUNT}/key"\n'
    )
    planted.runtime.policy.reload()

    error = planted.runtime.info().policy_error

    assert leaks(error, planted.of_the_host) == []
    assert "policy.toml" in error


def test_no_log_line_holds_a_canary_at_any_level(planted, house, caplog):
    caplog.set_level(logging.DEBUG)
    client = BackendClient(planted.http(planted.backend_url, planted.pull_token))
    follower = Follower(planted.runtime, client, [TEAM], interval_seconds=3600)
    gone = BackendClient(house.client("http://127.0.0.1:9", planted.pull_token))

    house.publish(planted.backend, prompts__role__coder="\nBe exact.\n")
    planted.backend.sync(TEAM)
    follower.poll_all()
    Follower(planted.runtime, gone, [TEAM], interval_seconds=3600).poll_all()
    planted.backend.fleet.register(
        RegisterRuntime(
            runtime_id=RuntimeId("eu-2"), endpoint="http://127.0.0.1:9",
            labels={"region": "eu"}, push_token="canary-push-token-" + "x" * 32,
        )
    )  # fmt: skip
    planted.backend.sync(TEAM)
    refused(lambda: planted.http(planted.backend_url, "canary-bad-token").request("GET", "/v1/x"))

    assert caplog.records, "something was logged"
    unwanted = [*planted.every_token, SECRET_VALUE, "canary-push", "canary-bad", MAIL, SOURCE]
    assert leaks(caplog.text, unwanted) == []


def test_objects_that_hold_tokens_do_not_show_them(planted):
    request = RegisterRuntime(runtime_id=RuntimeId("eu-3"), push_token=planted.push_token)
    plan = planted.runtime.plan_launch(WorkerId("worker-1"))
    value = plan.read_secret(plan.spec.secrets[0])
    shown = [
        repr(request),
        str(request),
        repr(planted.runtime.policy.current),
        repr(planted.backend.fleet.all_known()),
        repr(planted.backend.credentials.list()),
        repr(plan),
        f"{value} {value!r}",
        repr(planted.http(planted.backend_url, planted.pull_token)),
    ]

    assert leaks(" ".join(shown), planted.of_the_host) == []


def test_the_command_line_prints_names_only(planted, capsys, monkeypatch):
    monkeypatch.setenv("YOI_BUNDLES_TOKEN", planted.push_token)
    digest = str(planted.revision.digest)
    for argv in (
        ["worker", "show", "worker-1"],
        ["worker", "list"],
        ["resolve", "-w", "team", "--digest", digest, "--explain"],
        ["worker", "create", "w", "project:operator", "-w", "team"],
    ):
        for more in ([], ["--json"]):
            run([*argv, "--runtime", planted.runtime_url, *more])
    monkeypatch.setenv("YOI_BUNDLES_TOKEN", planted.tokens["operator"])
    for argv in (["runtime", "list"], ["runtime", "status", "eu-1"], ["sync", "team"]):
        run([*argv, "--backend", planted.backend_url])
    said = capsys.readouterr()

    assert leaks(said.out + said.err, planted.of_the_host) == []
    assert "worker-1" in said.out


def rows_of(path) -> str:
    """Every value of every table, and the raw bytes of the file and its log."""
    raw = b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [name for (name,) in tables]
        rows = [connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names]
    connection.close()
    return repr(rows) + raw.decode("latin-1")


def test_neither_database_holds_what_belongs_to_the_other_side(planted, house):
    registry = rows_of(house.root / "backend" / "registry.sqlite3")
    catalog = rows_of(house.root / "eu-1" / "catalog.sqlite3")

    assert leaks(registry, [*planted.every_token, SECRET_VALUE, ENV_NAME, MOUNT]) == []
    assert leaks(catalog, [*planted.every_token, SECRET_VALUE, ENV_NAME, MOUNT]) == []
    assert planted.backend_url not in catalog


def test_what_crosses_the_wire_and_lies_in_checkouts_is_the_bundle_only(planted, house):
    file = planted.backend.bundle_file(planted.revision.digest, workspace=TEAM)
    checkout = b"".join(
        path.read_bytes() for path in (house.root / "eu-1").rglob("*") if path.is_file()
    ).decode("latin-1")

    assert leaks(file.path.read_bytes().decode("latin-1"), planted.every_token) == []
    assert leaks(checkout, [*planted.every_token, SECRET_VALUE]) == []


def test_metrics_and_openapi_name_nobody(planted):
    for url in (planted.backend_url, planted.runtime_url):
        client = planted.http(url, None)
        text = client.request("GET", "/metrics").body + client.request("GET", "/openapi.json").body
        unwanted = [*planted.of_the_host, str(planted.revision.digest), "eu-1"]
        assert leaks(text.decode(), unwanted) == []
