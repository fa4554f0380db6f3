"""Bounds of callers as operators set them: options of a Backend, the policy of a Runtime."""

from __future__ import annotations

import pytest
from house import POLICY, serving

from yoi_bundles.cli.exit_codes import OK, USAGE
from yoi_bundles.errors import InvalidHostPolicyError, TooManyRequestsError
from yoi_bundles.model.request_limits import DEFAULT_REQUEST_LIMITS
from yoi_bundles.runtime.host.policy_text import parse_host_policy
from yoi_bundles.wire.client.http import HttpClient

ONE = "\n[limits.requests]\nrequests_per_second = 0.001\nburst_requests = 1\n"


def answered(url: str, token: str, path: str) -> int:
    """How many of three requests at once are answered."""
    client = HttpClient(url, token)
    try:
        for count in range(3):
            try:
                client.request("GET", path)
            except TooManyRequestsError:
                return count
    finally:
        client.close()
    return 3


@pytest.mark.parametrize(
    ("options", "count"),
    [([], 3), (["--requests-per-second", "0.001", "--burst-requests", "2"], 2)],
)
def test_a_backend_takes_its_bounds_from_options(yoi, monkeypatch, options, count):
    token = yoi("backend", "token", "create", "ada", "--role", "publisher", "--json").json["token"]
    found = []

    def serve(app, listen, **others) -> None:
        with serving(app) as url:
            found.append(answered(url, token, "/v1/workspaces"))

    monkeypatch.setattr("yoi_bundles.wire.server.serving.serve", serve)

    assert yoi("backend", "serve", *options).code == OK
    assert found == [count]


def test_the_help_names_the_defaults_of_the_code(yoi):
    told = " ".join(yoi("backend", "serve", "--help").out.split())

    for name in ("requests_per_second", "burst_requests", "concurrent_requests"):
        line = told[told.index("--" + name.replace("_", "-")) :]
        default = line[line.index("[default: ") :].split("]")[0]
        assert default == f"[default: {int(getattr(DEFAULT_REQUEST_LIMITS, name))}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--requests-per-second", "0"),
        ("--requests-per-second", "nan"),
        ("--burst-requests", "0"),
        ("--concurrent-requests", "-1"),
        ("--concurrent-requests", "many"),
    ],
)
def test_a_bound_that_lets_nobody_in_is_a_usage_error(yoi, option, value):
    ran = yoi("backend", "serve", option, value)

    assert ran.code == USAGE
    assert option.removeprefix("--") in ran.err.replace("_", "-")


def test_a_runtime_takes_its_bounds_from_the_policy_in_force(house):
    path = house.policy()
    runtime = house.runtime(policy=path)
    url, token = house.serve_runtime(runtime)
    assert answered(url, token, "/v1/runtime") == 3

    house.policy(POLICY + ONE)
    runtime.policy.reload()
    # One at the most: the three above may count still.
    assert answered(url, token, "/v1/runtime") <= 1

    house.policy(POLICY)
    runtime.policy.reload()
    assert answered(url, token, "/v1/runtime") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request_per_second = 1", "did you mean requests_per_second"),
        ("requests_per_second = 0", "greater than 0"),
        ("burst_requests = 0", "greater than or equal to 1"),
        ("concurrent_requests = 0", "greater than or equal to 1"),
        ("failures_per_minute = -1", "greater than 0"),
        ("burst_failures = 0", "greater than or equal to 1"),
    ],
)
def test_bounds_out_of_their_range_are_refused_with_the_line(text, said):
    with pytest.raises(InvalidHostPolicyError) as raised:
        parse_host_policy(f"schema = 1\n[limits.requests]\n{text}\n".encode())

    assert raised.value.facts["line"] == 3
    assert said in f"{raised.value.message} {raised.value.hint}"
