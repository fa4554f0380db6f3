"""Requests: small, closed, and never a resolved giant."""

import pytest
from pydantic import ValidationError

from yoi_bundles.model.powers import PowerRef
from yoi_bundles.model.request import CreateWorkerRequest

SMALL = {"worker_id": "w-1", "intent": {"summary": "fix the build"}}


def test_the_smallest_request_asks_for_the_default_builtin_profile():
    request = CreateWorkerRequest.model_validate(SMALL)
    assert request.selector == "default"
    assert request.bundle is None
    assert request.optional_capabilities is None, "all that the profile asks for"
    assert request.required_capabilities == ()


def test_no_list_and_an_empty_list_are_different_requests():
    none = CreateWorkerRequest.model_validate(SMALL)
    empty = CreateWorkerRequest.model_validate({**SMALL, "optional_capabilities": []})
    assert none != empty
    assert empty.optional_capabilities == ()


def test_a_request_survives_its_json():
    request = CreateWorkerRequest.model_validate(
        {
            **SMALL,
            "selector": "project:coder",
            "bundle": {"workspace": "acme", "digest": "a" * 64, "commit": "b" * 64},
            "required_capabilities": ["shell:run-tests"],
        }
    )
    assert CreateWorkerRequest.model_validate_json(request.model_dump_json()) == request
    assert request.required_capabilities == (PowerRef("shell:run-tests"),)


@pytest.mark.parametrize(
    "change",
    [
        {"worker_id": ""},
        {"worker_id": "a/b"},
        {"worker_id": ".hidden"},
        {"worker_id": "w" * 129},
        {"selector": ""},
        {"selector": "s" * 101},
        {"intent": {}},
        {"intent": {"summary": ""}},
        {"intent": {"summary": "s" * 2001}},
        {"intent": {"summary": "s", "labels": {"UPPER": "x"}}},
        {"bundle": {"workspace": "acme"}},
        {"bundle": {"workspace": "Acme", "digest": "a" * 64}},
        {"bundle": {"workspace": "acme", "digest": "A" * 64}},
        {"bundle": {"workspace": "acme", "digest": "a" * 40}},
        {"required_capabilities": ["secret"]},
        {"required_capabilities": ["secret:x"] * 201},
        {"spec": {}},
        {"secrets": {"token": "value"}},
    ],
)
def test_anything_else_is_refused(change):
    with pytest.raises(ValidationError):
        CreateWorkerRequest.model_validate({**SMALL, **change})


def test_a_request_is_frozen():
    request = CreateWorkerRequest.model_validate(SMALL)
    with pytest.raises(ValidationError):
        request.selector = "default"
