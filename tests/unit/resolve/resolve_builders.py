"""Hand-made bundles, policies and requests: only what a test says differs from a small default."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from yoi_bundles.content.toml_lines import index_lines
from yoi_bundles.model.bundle import Bundle, Declared, Source
from yoi_bundles.model.declarations import (
    Manifest,
    Plugin,
    Profile,
    Provider,
    Tool,
    ToolPolicy,
    Workflow,
)
from yoi_bundles.model.grants import Grant
from yoi_bundles.model.host_policy import RUNTIME_FEATURES, HostFacts, HostPolicy
from yoi_bundles.model.ids import (
    BlobId,
    CommitId,
    ContentHash,
    Digest,
    Name,
    PromptKey,
    RelativePath,
    WorkspaceId,
)
from yoi_bundles.model.prompts import Prompt
from yoi_bundles.model.request import BundleRef, CreateWorkerRequest, Intent
from yoi_bundles.model.spec import Mode, Resolution
from yoi_bundles.resolve import resolve

WORKSPACE = WorkspaceId("acme")
COMMIT = CommitId("c" * 64)
POLICY_DIGEST = ContentHash("sha256:" + "d" * 64)
PACKAGE = ContentHash("sha256:" + "5" * 64)

MANIFEST = """
schema = 1
default_profile = "coder"

[workspace]
id = "acme"
name = "Acme"
"""

PROFILE = """
description = "Writes code"

[engine]
kind = "tool-loop"

[model]
ref = "local/small"
"""

PLUGIN = """
description = "Index"
package = "acme-index"
version = "1.0"
digest = "sha256:5555555555555555555555555555555555555555555555555555555555555555"
size_bytes = 10
surfaces = ["tool"]
"""
PROVIDER = """
kind = "local"
description = "On this host"

[models.small]
upstream = "small-1"
context_tokens = 8000
max_output_tokens = 1000
"""

FILES: dict[str, str] = {
    "bundle.toml": MANIFEST,
    "profiles/coder.toml": PROFILE,
    "models/local.toml": PROVIDER,
}


def make_bundle(files: Mapping[str, str | None] | None = None) -> Bundle:
    """A bundle of `FILES` with these ones changed; None leaves one out."""
    merged = {k: v for k, v in {**FILES, **(files or {})}.items() if v is not None}
    joined = "".join(f"{path}\0{text}\0" for path, text in sorted(merged.items()))
    read = {path: _declare(path, text) for path, text in merged.items()}

    def of(directory: str) -> dict[Name, Declared[Any]]:
        return {
            Name(path.split("/")[1].removesuffix(".toml")): declared
            for path, declared in read.items()
            if path.startswith(directory + "/") and path.endswith(".toml")
        }

    return Bundle(
        digest=Digest(hashlib.sha256(joined.encode()).hexdigest()),
        manifest=read["bundle.toml"],
        profiles=of("profiles"),
        prompts={d.value.key: d for path, d in read.items() if path.startswith("prompts/")},
        workflows=of("workflows"),
        tools=of("tools"),
        tool_policy=read.get("policies/tools.toml"),
        allow_list=None,
        plugins=of("plugins"),
        providers=of("models"),
        grants=of("grants"),
    )


_MODELS: dict[str, TypeAdapter[Any]] = {
    "bundle.toml": TypeAdapter(Manifest),
    "profiles": TypeAdapter(Profile),
    "workflows": TypeAdapter(Workflow),
    "tools": TypeAdapter(Tool),
    "policies": TypeAdapter(ToolPolicy),
    "plugins": TypeAdapter(Plugin),
    "models": TypeAdapter(Provider),
    "grants": TypeAdapter(Grant),
}


def _declare(path: str, text: str) -> Declared[Any]:
    blob = BlobId(hashlib.sha256(text.encode()).hexdigest())
    if path.startswith("prompts/"):
        key = PromptKey(path.removeprefix("prompts/").removesuffix(".md").replace("/", "."))
        return Declared(Prompt(key=key), Source(RelativePath(path), blob))
    table = tomllib.loads(text)
    value = _MODELS[path.split("/", maxsplit=1)[0]].validate_python(table)
    return Declared(value, Source(RelativePath(path), blob, index_lines(text)), table)


def make_policy(text: str = "") -> HostPolicy:
    """A policy that accepts the workspace ``acme``; the text adds sections."""
    table = tomllib.loads(text)
    table.setdefault("schema", 1)
    table.setdefault("bundles", {"workspaces": ["acme"], "required_for": []})
    return HostPolicy.model_validate(table)


def make_request(bundle: Bundle | None, /, **changes: Any) -> CreateWorkerRequest:
    """A request for the bundle's default profile; no bundle is builtin mode."""
    table: dict[str, Any] = {
        "worker_id": "w-1",
        "intent": Intent(summary="fix the build"),
        "bundle": BundleRef(workspace=WORKSPACE, digest=bundle.digest) if bundle else None,
        **changes,
    }
    return CreateWorkerRequest.model_validate(table)


def make_facts(**changes: Any) -> HostFacts:
    """A host that has what the Runtime supports and nothing else."""
    return HostFacts(**{"features": RUNTIME_FEATURES, **changes})


def run(
    files: Mapping[str, str | None] | None = None,
    policy: str | HostPolicy = "",
    *,
    mode: Mode = "synced",
    facts: HostFacts | None = None,
    **request: Any,
) -> Resolution:
    """Resolve `make_bundle` under `make_policy`; further arguments change the request."""
    bundle = make_bundle(files)
    return resolve(
        bundle,
        mode=mode,
        commit=COMMIT if mode == "synced" else None,
        request=make_request(bundle if mode == "synced" else None, **request),
        policy=make_policy(policy) if isinstance(policy, str) else policy,
        policy_digest=POLICY_DIGEST,
        facts=facts or make_facts(),
    )


def names(*texts: str) -> frozenset[Name]:
    """Names from text."""
    return frozenset(Name(text) for text in texts)
