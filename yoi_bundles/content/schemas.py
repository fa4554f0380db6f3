"""JSON Schemas of the files of a tree, of policies, requests and specs, for editors and others.

Source: JSON Schema 2020-12; the models of `yoi_bundles.model`.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, TypeAdapter

from yoi_bundles.model import declarations, grants, host_policy, request, spec, visibility
from yoi_bundles.model.base import Model
from yoi_bundles.model.declarations import (
    AllowList,
    Manifest,
    Plugin,
    Profile,
    PromptHeader,
    Provider,
    Tool,
    ToolPolicy,
    Workflow,
)
from yoi_bundles.model.grants import Grant
from yoi_bundles.model.host_policy import HostPolicy
from yoi_bundles.model.request import CreateWorkerRequest
from yoi_bundles.model.spec import Decision, Receipt, ResolvedWorkerSpec
from yoi_bundles.model.visibility import VisibilityPolicy

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DOCUMENTS: dict[str, tuple[str, Any, str]] = {
    "bundle": ("bundle.toml", Manifest, "What a bundle is and whose."),
    "profile": ("profiles/<name>.toml", Profile, ""),
    "workflow": ("workflows/<name>.toml", Workflow, "A way of working in steps."),
    "tool": ("tools/<name>.toml", Tool, ""),
    "tool-policy": ("policies/tools.toml", ToolPolicy, ""),
    "allow-list": ("policies/allow.toml", AllowList, ""),
    "plugin": ("plugins/<name>.toml", Plugin, ""),
    "models": ("models/<provider>.toml", Provider, ""),
    "grant": ("grants/<name>.toml", Grant, "What the bundle asks of the host."),
    "host-policy": ("host-policy.toml", HostPolicy, ""),
    "visibility": ("visibility.toml", VisibilityPolicy, ""),
    "create-worker-request": ("POST /v1/workers", CreateWorkerRequest, ""),
    "resolved-worker-spec": ("ResolvedWorkerSpec", ResolvedWorkerSpec, ""),
    "decision": ("Decision", Decision, ""),
    "receipt": ("Receipt", Receipt, ""),
    "prompt-header": ("prompts/**/*.md, between the +++ fences", PromptHeader, ""),
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name (``profile.json``) → JSON Schema 2020-12 of that kind of file."""
    models = _models_by_name()
    return {
        f"{name}.json": _make_document(name, title, shape, description, models)
        for name, (title, shape, description) in _DOCUMENTS.items()
    }


def _make_document(
    name: str,
    title: str,
    shape: Any,  # noqa: ANN401 (a class or a union)
    description: str,
    models: dict[str, type[BaseModel]],
) -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter[Any](shape).json_schema(by_alias=True)
    if isinstance(shape, type):
        _describe(schema, shape)
    for key, inner in schema.get("$defs", {}).items():
        _describe(inner, models[key])
    schema["title"] = title
    if description:
        schema["description"] = description
    head = {"$schema": DIALECT, "$id": f"urn:yoi-bundles:schema:1:{name}"}
    return {**head, **schema}


def _models_by_name() -> dict[str, type[BaseModel]]:
    return {
        name: value
        for module in (declarations, grants, host_policy, request, spec, visibility)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Model)
    }


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add the docstrings of a model and of its fields to its schema."""
    schema["description"] = _prose(inspect.getdoc(model) or "")
    texts: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Model) and cls is not Model:
            texts.update(_field_docstrings(cls))
    for name, field in model.model_fields.items():
        if name in texts:
            schema["properties"][field.alias or name]["description"] = texts[name]


def _field_docstrings(cls: type[BaseModel]) -> dict[str, str]:
    """Field → the string literal under it in the source of its class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    texts: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for before, after in pairwise(statements):
        if not (isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[before.target.id] = _prose(str(after.value.value))
    return texts


def _prose(docstring: str) -> str:
    """A docstring as running text with Markdown's single backticks."""
    return re.sub(r"\s+", " ", docstring).strip().replace("``", "`")
