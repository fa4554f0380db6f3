"""The one table between errors and problem documents, both ways.

Source: RFC 9457 (Problem Details for HTTP APIs).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from yoi_bundles import errors
from yoi_bundles.errors import BundleError, Fact, TransportError
from yoi_bundles.model.base import Model
from yoi_bundles.model.record import record_fields

PROBLEM_MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "internal_error": 500,
    "invalid_input": 422,
    "invalid_profile_selector": 422,
    "unsupported_declaration": 422,
    "invalid_manifest": 422,
    "forbidden_material": 422,
    "bundle_missing": 404,
    "workspace_not_visible": 404,
    "revision_conflict": 409,
    "channel_gone": 410,
    "unauthenticated": 401,
    "forbidden": 403,
    "verification_failed": 422,
    "digest_mismatch": 422,
    "forbidden_path": 422,
    "forbidden_mode": 422,
    "malformed_bundle": 400,
    "missing_object": 422,
    "missing_prerequisite": 409,
    "too_large": 413,
    "not_fast_forward": 409,
    "rollback_refused": 409,
    "untrusted_signature": 403,
    "policy_error": 403,
    "policy_denied": 403,
    "bundle_required": 403,
    "stale_bundle": 503,
    "invalid_host_policy": 500,
    "store_error": 500,
    "store_corrupt": 500,
    "storage_full": 507,
    "transport_failed": 502,
    "too_many_requests": 429,
}
"""HTTP status of every error code."""

_FAULTS_SHOWN = 20
_TITLES = {code: code.replace("_", " ").capitalize() for code in STATUS}
_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code", "hint"})

_NEAREST = {404: "bundle_missing", 503: "too_many_requests"}
"""Codes of what HTTP itself knows; the rest are faults of the request."""

_NO_FACTS = frozenset({"self", "message", "retryable"})
"""Names of an error's own arguments: a peer does not get to fill them in."""

_KIND_OF = {
    "unexpected_keyword_argument": "extra_forbidden",
    "dataclass_type": "model_attributes_type",
}
"""What pydantic says of a record → what it says of a model: a caller cannot know which it is."""


class Problem(BaseModel):
    """An RFC 9457 problem document; further members are the error's facts."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    """``urn:yoi-bundles:error:<code>``: stable, not meant to be fetched."""
    title: str
    status: int
    detail: str
    code: str
    hint: str | None = None


def list_field_faults(faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a request, without repeating anything of it.

    A place is shown as far as it is made of indexes and of names that our models have: a key that
    somebody made up, of an object or of a map, may be a token or steer a terminal.

    Args:
        faults: pydantic's errors; ``loc`` begins with the part of the request.

    Returns:
        At most 20 lines like ``body.files.(not shown): missing``.
    """
    known = _field_names()
    return [
        f"{'.'.join(_shown_part(part, fault['loc'][0], known) for part in fault['loc'])}: "
        f"{_KIND_OF.get(fault['type'], fault['type'])}"
        for fault, _ in zip(faults, range(_FAULTS_SHOWN), strict=False)
    ]


def _shown_part(part: object, place: str, known: frozenset[str]) -> str:
    # Of queries, paths and headers only names that a route declares come up here.
    return str(part) if isinstance(part, int) or place != "body" or part in known else "(not shown)"


def _field_names() -> frozenset[str]:
    names = {"body", "[key]"}
    waiting: list[type[BaseModel]] = [Model]
    while waiting:
        model = waiting.pop()
        waiting.extend(model.__subclasses__())
        names.update(field.alias or name for name, field in model.model_fields.items())
    return record_fields().union(names)


def encode_problem(error: BundleError) -> dict[str, Any]:
    """The problem document of an error.

    What a caller may not see answers exactly like what does not exist: a
    `WorkspaceNotVisibleError` becomes the same document as a missing bundle.
    """
    if isinstance(error, errors.WorkspaceNotVisibleError):
        error = errors.BundleMissingError("not held here, or not visible to you")
    document: dict[str, Any] = {
        "type": f"urn:yoi-bundles:error:{error.code}",
        "title": _TITLES[error.code],
        "status": STATUS[error.code],
        "detail": error.message,
        "code": error.code,
    }
    if error.hint is not None:
        document["hint"] = error.hint
    document.update({k: v for k, v in error.facts.items() if k not in _RESERVED})
    return document


def encode_http_problem(status: int, detail: str) -> dict[str, Any]:
    """The problem document of an error that HTTP knows and we have no class for, as 405 or 415.

    Args:
        detail: For people; nothing that came from outside.
    """
    code = _NEAREST.get(status, "invalid_input")
    return {
        "type": f"urn:yoi-bundles:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


def decode_problem(document: object, *, status: int) -> BundleError:
    """The error a peer meant.

    Args:
        document: Parsed JSON of the answer's body; anything else than a problem document of ours
            becomes a `TransportError`.
        status: HTTP status of the answer.
    """
    try:
        problem = Problem.model_validate(document)
    except ValidationError:
        return TransportError(
            f"the server answered with status {status} and no problem document",
            retryable=status >= 500,
            status=status,
        )
    facts: dict[str, Fact] = {
        key: value for key, value in (problem.model_extra or {}).items() if key not in _NO_FACTS
    }
    for cls in errors.error_classes():
        if cls.code == problem.code:
            return cls(problem.detail, hint=problem.hint, **facts)
    return TransportError(
        f"the server answered with the unknown error {problem.code[:60]!a}",
        retryable=status >= 500,
        status=status,
    )
