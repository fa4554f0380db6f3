"""Errors as problem documents and back: nothing a peer writes is more than a fact."""

from __future__ import annotations

import pytest

from yoi_bundles.errors import (
    BundleMissingError,
    TooLargeError,
    TransportError,
    WorkspaceNotVisibleError,
)
from yoi_bundles.wire.messages.problems import (
    Problem,
    decode_problem,
    encode_problem,
    list_field_faults,
)


def document(**changes):
    return {
        "type": "urn:yoi-bundles:error:too_large",
        "title": "Too large",
        "status": 413,
        "detail": "too much",
        "code": "too_large",
        **changes,
    }


def test_facts_travel_and_reserved_members_stay_ours():
    error = TooLargeError("too much", limit=3, status="x", detail="y", type="z")

    encoded = encode_problem(error)

    assert (encoded["status"], encoded["detail"]) == (413, "too much")
    assert encoded["type"] == "urn:yoi-bundles:error:too_large"
    assert decode_problem(encoded, status=413).facts == {"limit": 3}


@pytest.mark.parametrize("name", ["message", "self", "retryable"])
def test_a_peer_cannot_fill_in_the_arguments_of_an_error(name):
    error = decode_problem(document(**{name: "mine"}), status=413)

    assert type(error) is TooLargeError
    assert (error.message, error.facts) == ("too much", {})


def test_what_may_not_be_seen_is_encoded_like_what_is_not_there():
    hidden = encode_problem(WorkspaceNotVisibleError("payments is secret", hint="h", name="n"))
    missing = encode_problem(BundleMissingError("not held here, or not visible to you"))

    assert hidden == missing


@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (404, False), (500, True), (503, True)]
)
@pytest.mark.parametrize("body", [None, [], "text", {"code": "too_large"}, document(code="tea")])
def test_a_document_that_is_not_ours_is_a_transport_error(body, status, retryable):
    error = decode_problem(body, status=status)

    assert isinstance(error, TransportError)
    assert error.retryable is retryable
    assert error.facts["status"] == status


def test_a_problem_model_keeps_further_members():
    assert Problem.model_validate(document(limit=3)).model_extra == {"limit": 3}


SMUGGLED = "yoi_a-token-that-somebody-put-in-the-wrong-place"


@pytest.mark.parametrize(
    ("loc", "shown"),
    [
        (("body", SMUGGLED), "body.(not shown)"),
        (("body", "labels", SMUGGLED, "[key]"), "body.labels.(not shown).[key]"),
        (("body", "labels", "\u202e"), "body.labels.(not shown)"),
        (("body", "provenance", "source_uri"), "body.provenance.source_uri"),
        (("body", "bundles", 3, "state"), "body.bundles.3.state"),
        (("query", "limit"), "query.limit"),
    ],
)
def test_a_refused_request_is_told_without_a_word_of_it(loc, shown):
    assert list_field_faults([{"loc": loc, "type": "some_kind"}]) == [f"{shown}: some_kind"]


def test_only_the_first_faults_of_a_request_are_told():
    assert len(list_field_faults([{"loc": ("body",), "type": "missing"}] * 50)) == 20
