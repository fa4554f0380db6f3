"""Bodies of HTTP requests, as the servers parse them, and problem documents, as clients do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from fuzz.target import Target, must, must_equal, verify_texts
from yoi_bundles.errors import BundleError, error_classes
from yoi_bundles.model.base import build_models
from yoi_bundles.model.limits import KIB
from yoi_bundles.model.record import Message
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.wire.messages.problems import (
    STATUS,
    decode_problem,
    encode_problem,
    list_field_faults,
)
from yoi_bundles.wire.messages.publishing import PublishRequest
from yoi_bundles.wire.messages.runtimes import RegisterRuntime, StatusReport, SyncRequest

MODELS: tuple[type[Message], ...] = (
    CreateWorkerRequest,
    PublishRequest,
    RegisterRuntime,
    StatusReport,
    SyncRequest,
)
build_models()  # as a server does at its start, not in the first input

TOKEN = "canary-token-" + "0123456789abcdef" * 2


def check_messages(data: bytes) -> None:
    """A body that is accepted survives being sent on; a refusal repeats nothing of it.

    The first byte says which model.
    """
    model = MODELS[data[0] % len(MODELS)] if data else SyncRequest
    try:
        value = model.model_validate_json(data[1:])
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        shown = list_field_faults([{**fault, "loc": ("body", *fault["loc"])} for fault in faults])
        verify_texts(shown)
        must(TOKEN not in " ".join(shown), "a refusal that repeats its input")
        return
    again = model.model_validate_json(value.model_dump_json(by_alias=True))
    must_equal(again, value, "sent on and read")
    if isinstance(value, RegisterRuntime) and value.push_token is not None:
        must_equal(
            repr(value), repr(value.model_copy(update={"push_token": None})), "a token in a repr"
        )


def check_problems(data: bytes) -> None:
    """Whatever a peer answers becomes an error of ours that can be passed on."""
    status = 200 + int.from_bytes(data[:1], "big")
    try:
        document = json.loads(data[1:])
    except (ValueError, RecursionError):
        document = None
    error = decode_problem(document, status=status)
    must(isinstance(error, BundleError), "no error of ours")
    again = encode_problem(error)
    must_equal(again["status"], STATUS[again["code"]], "status")
    must(json.loads(json.dumps(again)) is not None, "no JSON")


def _message_seeds() -> Mapping[str, bytes]:
    digest = "ab" * 32
    provenance = {
        "source_kind": "directory",
        "source_uri": "team",
        "published_by": "Ada <a@b>",
        "built_with": "x",
    }
    info = {
        "runtime_id": "eu-1", "version": "1", "bundle_schemas": [1], "features": ["secrets"],
        "policy_digest": "sha256:" + digest, "policy_error": None, "builtin_digest": digest,
        "builtin_fallback": False, "bundle_required_for": ["always"],
        "capability_summary": ["secret:x"], "following": [],
    }  # fmt: skip
    worker = {
        "worker_id": "w-1", "selector": "project:coder",
        "bundle": {"workspace": "team", "digest": digest, "commit": digest},
        "intent": {"summary": "x", "details": "y", "labels": {"a": "b"}},
        "required_capabilities": ["tool:read-file"], "optional_capabilities": [],
    }  # fmt: skip
    bodies: list[tuple[int, object]] = [
        (0, worker),
        (0, {**worker, TOKEN: 1}),
        (0, {"worker_id": "../x", "intent": {"labels": {TOKEN: "\u202e"}}}),
        (1, {"files": {"bundle.toml": "schema = 1\n"}, "provenance": provenance, "message": "m"}),
        (1, {"files": {"../x": 1, TOKEN + "\u202e": None}, "provenance": {}}),
        (2, {"runtime_id": "eu-1", "endpoint": "http://[::1]:80/", "labels": {"region": "eu"}}),
        (2, {"runtime_id": "eu-1", "push_token": TOKEN}),
        (2, {"runtime_id": "eu-1", "labels": {TOKEN: TOKEN}}),
        (3, {"info": info, "bundles": [{"workspace": "a", "digest": digest, "state": "active"}]}),
        (4, {"runtimes": ["eu-1", "eu-2"]}),
        (4, {"runtimes": "x"}),
    ]
    found = {
        f"{at}-{MODELS[which].__name__}": bytes([which]) + json.dumps(body).encode()
        for at, (which, body) in enumerate(bodies)
    }
    return found | {"not-json": b"\0{", "deep": b"\4" + b"[" * 900, "huge": b"\4" + b"9" * 900}


def _problem_seeds() -> Mapping[str, bytes]:
    found = {"not-json": b"\xf4<html>", "list": b"\xf4[]", "deep": b"\xf4" + b"[" * 2000}
    for cls in error_classes():
        error = cls("it happened", hint="do this", file="a.toml", line=3, held=["x"])
        found[cls.code] = b"\x95" + json.dumps(encode_problem(error)).encode()
    taken = {"message": "x", "self": 1, "retryable": "no", "hint": "y", "facts": {}}
    found["arguments"] = (
        b"\x95"
        + json.dumps(
            {"type": "x", "title": "t", "status": 1, "detail": "d", "code": "forbidden", **taken}
        ).encode()
    )
    return found


TARGETS = (
    Target("messages", check_messages, frozenset(), _message_seeds),
    Target("problems", check_problems, frozenset(), _problem_seeds, max_bytes=2 * KIB),
)
