"""Specs: what a Worker is built from, without a place for a value or a path."""

import typing

import pytest
from pydantic import BaseModel, ValidationError

from yoi_bundles.model.host_policy import HostPath
from yoi_bundles.model.powers import PowerRef, SecretRef
from yoi_bundles.model.spec import (
    Decision,
    Place,
    Receipt,
    ResolvedWorkerSpec,
    SpecGit,
    SpecMount,
    SpecNetwork,
    SpecPlugin,
    SpecShell,
    SpecTool,
)

HASH = "sha256:" + "1" * 64


def make_spec(**changes):
    return ResolvedWorkerSpec.model_validate(
        {
            "mode": "synced",
            "workspace": "acme",
            "bundle": "a" * 64,
            "profile": "coder",
            "layers": [],
            "description": "d",
            "intent": {"summary": "s"},
            "language": {},
            "engine": {"kind": "tool-loop", "system_prompt": None, "prompts": [], "workflow": None},
            "model": {
                "ref": "local/small",
                "provider_kind": "local",
                "upstream": "u",
                "endpoint": None,
                "credential": None,
                "temperature": None,
                "max_output_tokens": None,
                "reasoning": None,
                "fallbacks": [],
            },
            "scope": {},
            "features": {},
            "tools": [],
            "plugins": [],
            "secrets": [],
            "mounts": [],
            "network": [],
            "shell": [],
            "git": [],
            "capabilities": [],
            "limits": {},
            **changes,
        }
    )


def test_a_spec_without_powers_has_none():
    assert make_spec().powers() == frozenset()


def test_powers_are_those_of_every_section():
    tool = SpecTool(
        name="t", kind="builtin", description="d", action="ask", external_write=False,
        input_schema={}, builtin="t", command=None, arguments=(), environment={}, plugin=None,
    )  # fmt: skip
    plugin = SpecPlugin(
        name="p", package="p", version="1", digest=HASH, size_bytes=1, surfaces=("tool",),
        permissions=("capability:not-itself",),
    )  # fmt: skip
    spec = make_spec(
        tools=[tool],
        plugins=[plugin],
        secrets=[SecretRef("secret:s")],
        mounts=[SpecMount(ref=PowerRef("mount:m"), mode="ro")],
        network=[SpecNetwork(ref=PowerRef("network:n"), hosts=("a.test",))],
        shell=[SpecShell(ref=PowerRef("shell:x"), commands=("make",))],
        git=[SpecGit(ref=PowerRef("git:g"), operations=("read",))],
        capabilities=[PowerRef("capability:c")],
    )
    assert {str(power) for power in spec.powers()} == {
        "tool:t", "plugin:p", "secret:s", "mount:m", "network:n", "shell:x", "git:g",
        "capability:c",
    }  # fmt: skip
    assert all(type(power) is PowerRef for power in spec.powers())


def models_below(model, seen):
    """Every model that a value of this one can hold."""
    if model in seen:
        return
    seen.add(model)
    queue = [info.annotation for info in model.model_fields.values()]
    while queue:
        found = queue.pop()
        queue.extend(typing.get_args(found))
        if isinstance(found, type) and issubclass(found, BaseModel):
            models_below(found, seen)


@pytest.mark.parametrize("model", [ResolvedWorkerSpec, Decision, Receipt])
def test_nothing_that_leaves_the_host_has_a_field_for_a_path_or_a_value(model):
    seen = set()
    models_below(model, seen)
    for found in seen:
        for name, info in found.model_fields.items():
            assert name not in {"path", "value", "env", "password", "token", "key_file"}
            assert HostPath not in (info.annotation, *typing.get_args(info.annotation))


def test_a_spec_is_closed_and_frozen():
    with pytest.raises(ValidationError):
        make_spec(token="x")
    with pytest.raises(ValidationError):
        make_spec().mode = "builtin"


def test_a_place_has_a_line_of_a_file_of_the_tree():
    with pytest.raises(ValidationError):
        Place(file="profiles/a.toml", blob="b" * 64, line=0)
    with pytest.raises(ValidationError):
        Place(file="../a.toml", blob="b" * 64, line=1)
