"""Every operation of both OpenAPI documents, asked with made-up requests, answers as documented.

schemathesis makes requests from the documents, right ones and wrong ones. Each is also asked with
names that exist here put in, as hardly any made-up one would get past "not found".
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import schemathesis
from depth import times
from house import TEAM, publish_request, worker_request, workspace_files
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from yoi_bundles.wire.messages.problems import PROBLEM_MEDIA_TYPE, STATUS
from yoi_bundles.wire.messages.runtimes import (
    BUNDLE_MEDIA_TYPE,
    RegisterRuntime,
    StatusReport,
    SyncRequest,
)

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
SERVERS = ("backend", "runtime")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = times(20)
MADE = ("all known", "known names", "mixed body", "made up", "wrong")


@schemathesis.serializer(BUNDLE_MEDIA_TYPE)
def send_bundle_file(context, value):
    """Bytes as they are; what schemathesis makes of "binary" holds its bytes in `data`."""
    return value if isinstance(value, bytes) else getattr(value, "data", str(value).encode())


def document_of(server: str) -> dict:
    return json.loads((DOCUMENTS / f"{server}.json").read_text("utf-8"))


SCHEMAS = {server: schemathesis.openapi.from_dict(document_of(server)) for server in SERVERS}
OPERATIONS = {
    f"{server} {operation.label}": operation
    for server, schema in SCHEMAS.items()
    for operation in (found.ok() for found in schema.get_all_operations())
}


def json_of(model) -> dict:
    return model.model_dump(mode="json", by_alias=True)


@pytest.fixture
def backend(house):
    """URL, tokens, and names and bodies that mean something to this Backend."""
    opened = house.backend()
    revision = house.publish(opened).revision
    runtime_token = house.register(opened, "eu-1")
    operator = opened.credentials.create("ops", "operator", now=house.clock()).token
    return SimpleNamespace(
        url=house.serve_backend(opened),
        token_for=lambda label: runtime_token if label.endswith("/status") else operator,
        names={
            "workspace": "team", "spelled": "main", "runtime_id": "eu-1", "channel": "main",
            "digest": str(revision.digest), "old": "1", "new": "main", "limit": 3,
            "have": [str(revision.commit)], "label": ["region=eu"], "before": 9,
        },
        bodies={
            "POST /v1/workspaces/{workspace}/revisions": json_of(
                publish_request(workspace_files(prompts__role__coder="\nBe exact.\n"))
            ),
            "POST /v1/workspaces/{workspace}/sync": json_of(SyncRequest()),
            "POST /v1/runtimes": json_of(RegisterRuntime(runtime_id="eu-2")),
            "PUT /v1/runtimes/{runtime_id}/status": json_of(
                StatusReport(info=house.runtime().info())
            ),
        },
    )  # fmt: skip


@pytest.fixture
def runtime(house):
    """The same for a Runtime, with one bundle held and one Worker made."""
    publisher, opened = house.backend(), house.runtime()
    digest = house.publish(publisher).revision.digest
    data = publisher.bundle_file(digest, workspace=TEAM).path.read_bytes()
    opened.put_bundle(TEAM, digest, [data])
    request = worker_request(digest)
    opened.create_worker(request)
    token = opened.credentials.create("ops", "operator", now=house.clock()).token
    return SimpleNamespace(
        url=house.serve_runtime_again(opened),
        token_for=lambda label: token,
        names={"workspace": "team", "digest": str(digest), "worker_id": "worker-1", "limit": 3},
        bodies={
            "PUT /v1/config-bundles/{digest}": data,
            "POST /v1/workers": json_of(request),
            "POST /v1/resolve": json_of(request),
        },
    )


def put_in_known(case, made: str, known, data) -> None:
    """Replace parts of a made-up request by what exists here, as far as ``made`` says."""
    if made in {"made up", "wrong"}:
        return
    for holes in (case.path_parameters, case.query):
        for name in set(holes) & set(known.names):
            holes[name] = known.names[name]
    if made == "all known":
        for name in set(case.query) - set(known.names):
            del case.query[name]
    body = known.bodies.get(case.operation.label)
    if body is None or made == "known names":
        return
    if made == "mixed body" and isinstance(body, dict) and isinstance(case.body, dict):
        strange = data.draw(st.sets(st.sampled_from(sorted({*body, *case.body})), max_size=2))
        body = body | {name: case.body[name] for name in strange if name in case.body}
    case.body = body


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_documented(label, request):
    operation = OPERATIONS[label]
    known = request.getfixturevalue(label.partition(" ")[0])
    headers = {"Authorization": f"Bearer {known.token_for(operation.label)}"}
    seen: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def ask(data):
        made = data.draw(st.sampled_from(MADE))
        mode = GenerationMode.NEGATIVE if made == "wrong" else GenerationMode.POSITIVE
        case = data.draw(operation.as_strategy(generation_mode=mode))
        put_in_known(case, made, known, data)
        response = case.call(base_url=known.url, headers=headers, timeout=20)
        case.validate_response(response, checks=CHECKS)
        seen[response.status_code] += 1

    ask()

    assert any(status < 300 for status in seen), seen


@pytest.mark.parametrize("server", SERVERS)
def test_every_status_is_named_and_every_error_is_a_problem_document(server):
    known = {str(status) for status in STATUS.values()} | {"400", "408", "415", "416", "5XX"}
    for path, operations in document_of(server)["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            failed = {status: one for status, one in answers.items() if status[0] in "45"}

            assert {"401", "403", "422", "5XX"} <= failed.keys() <= known, (method, path)
            assert {status for status in answers if status not in failed} <= {
                "200", "201", "204", "206", "304",
            }  # fmt: skip
            assert {tuple(one["content"]) for one in failed.values()} == {(PROBLEM_MEDIA_TYPE,)}
            assert ("{" in path) <= ("404" in failed or "publish" in operation["operationId"])
