"""The models of a tree's files: what each accepts, refuses and leaves as default."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from yoi_bundles.model import declarations as d
from yoi_bundles.model import grants

SHA = "sha256:" + "1" * 64


def make_manifest(**changes: Any) -> dict[str, Any]:
    table = {"schema": 1, "default_profile": "coder", "workspace": {"id": "acme", "name": "Acme"}}
    return table | changes


def make_tool(**changes: Any) -> dict[str, Any]:
    return {"kind": "builtin", "description": "x"} | changes


def make_plugin(**changes: Any) -> dict[str, Any]:
    table = {"description": "x", "package": "p", "version": "1.0", "digest": SHA, "size_bytes": 1}
    return table | {"surfaces": ["tool"]} | changes


def make_provider(**changes: Any) -> dict[str, Any]:
    entry = {"upstream": "m-1", "context_tokens": 1000, "max_output_tokens": 100}
    return {"kind": "acme", "description": "x", "models": {"large": entry}} | changes


def make_rule(**changes: Any) -> dict[str, Any]:
    return {"tools": ["a*"], "action": "allow"} | changes


MODELS = [
    value for value in vars(d).values() if isinstance(value, type) and issubclass(value, d.Model)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_models_are_closed_frozen_and_silent_about_input(model: type[BaseModel]) -> None:
    config = model.model_config
    assert config.get("extra") == "forbid"
    assert config.get("frozen") is True
    assert config.get("hide_input_in_errors") is True


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_models_are_documented(model: type[BaseModel]) -> None:
    assert model.__name__ == "_Grant" or model.__doc__


# --- manifest -------------------------------------------------------------------------


def test_a_small_manifest_has_sensible_defaults() -> None:
    manifest = d.Manifest.model_validate(make_manifest())
    assert manifest.schema_number == 1
    assert manifest.requires == ()
    assert manifest.project == d.ProjectInfo()
    assert manifest.language.primary == "en"
    assert manifest.model_dump(by_alias=True)["schema"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"schema_number": 1},
        {"default_profile": "Coder"},
        {"default_profile": "project:coder"},
        {"requires": ["tool loop"]},
        {"workspace": {"id": "acme"}},
        {"workspace": {"id": "a..b", "name": "x"}},
        {"workspace": {"id": "acme", "name": "two\nlines"}},
        {"workspace": {"id": "acme", "name": ""}},
        {"workspace": {"id": "acme", "name": "x", "labels": {"Tier": "x"}}},
        {"workspace": {"id": "acme", "name": "x", "labels": {"tier": "a\tb"}}},
        {"language": {"primary": "english!"}},
        {"project": {"repository": "https://me:pw@git.example.org/a"}},
        {"project": {"repository": "https://me@git.example.org/a"}},
        {"project": {"repository": "https://git.example.org/a?token=x"}},
        {"project": {"repository": "https://git.example.org/a#x"}},
        {"project": {"repository": "/srv/git/a"}},
        {"project": {"repository": "file:///srv/git/a"}},
    ],
)
def test_manifests_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.Manifest.model_validate(make_manifest(**changes))


@pytest.mark.parametrize("tag", ["en", "de-CH", "zh-Hant-TW", "ja"])
def test_language_tags(tag: str) -> None:
    assert d.LanguageSettings(primary=tag).primary == tag


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/a/b.git",
        "http://127.0.0.1:8080/v1",
        "ssh://git.example.org:22/a.git",
        "git://git.example.org",
    ],
)
def test_public_urls(url: str) -> None:
    assert d.ProjectInfo(homepage=url).homepage == url


# --- profiles -------------------------------------------------------------------------


def test_a_profile_asks_for_nothing_by_default() -> None:
    profile = d.Profile.model_validate({"description": "x"})
    assert not profile.abstract
    for use in ("tools", "plugins", "secrets", "mounts", "network", "capabilities"):
        assert getattr(profile, use).required == getattr(profile, use).optional == ()


@pytest.mark.parametrize(
    "table",
    [
        {"engine": {"kind": "loop"}},
        {"engine": {"system_prompt": "role/coder"}},
        {"model": {"ref": "large"}},
        {"model": {"temperature": 2.1}},
        {"model": {"temperature": -0.1}},
        {"model": {"reasoning": "extreme"}},
        {"scope": {"include": ["/etc/**"]}},
        {"scope": {"include": ["../x"]}},
        {"scope": {"include": ["a/../../x"]}},
        {"scope": {"exclude": ["~/x"]}},
        {"scope": {"exclude": ["C:/x"]}},
        {"scope": {"exclude": ["a\\b"]}},
        {"secrets": {"required": ["mount:a"]}},
        {"secrets": {"required": ["tracker-token"]}},
        {"mounts": {"required": ["/srv/data"]}},
        {"network": {"optional": ["network:Internet"]}},
        {"capabilities": {"required": ["tool:a"]}},
        {"limits": {"max_turns": 0}},
        {"limits": {"max_wall_seconds": 31 * 86_400 + 1}},
        {"limits": {"max_cost_cents": -1}},
        {"shell": {"commands": ["sh"]}},
    ],
)
def test_profiles_that_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.Profile.model_validate({"description": "x"} | table)


@pytest.mark.parametrize("glob", ["**/*.py", "src/**", "docs/用語/*.md", "a..b/c", ".github/**"])
def test_scope_patterns(glob: str) -> None:
    assert str(d.Scope.model_validate({"include": [glob]}).include[0]) == glob


# --- workflows, tools, policy ---------------------------------------------------------


def test_a_workflow_is_told_apart_by_its_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(d.Workflow)
    step = {"id": "a", "title": "A"}
    definition = adapter.validate_python(
        {"kind": "definition", "description": "x", "steps": [step]}
    )
    assert definition.steps[0].gate == "none"
    reference = adapter.validate_python(
        {"kind": "reference", "description": "x", "uri": "https://e.org/w", "digest": SHA,
         "size_bytes": 1}
    )  # fmt: skip
    assert isinstance(reference, d.WorkflowReference)
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "definition", "description": "x", "steps": []})
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "definition", "description": "x", "steps": [step] * 101})


@pytest.mark.parametrize(
    "changes",
    [
        {"builtin": "read-file"},
        {"kind": "mcp-stdio", "command": "tracker-mcp", "arguments": ["--stdio"]},
        {"kind": "mcp-stdio", "command": "t", "environment": {"A_1": "secret:a"}},
        {"kind": "plugin", "plugin": "index"},
    ],
)
def test_each_kind_of_tool_has_its_fields(changes: dict[str, Any]) -> None:
    tool = d.Tool.model_validate(make_tool(**changes))
    assert tool.input_schema == {"type": "object"}
    assert not tool.external_write


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "mcp-stdio"},
        {"kind": "plugin"},
        {"command": "t"},
        {"plugin": "index"},
        {"arguments": ["-x"]},
        {"environment": {"A": "secret:a"}},
        {"kind": "mcp-http", "command": "t"},
        {"kind": "mcp-stdio", "command": "/usr/bin/t"},
        {"kind": "mcp-stdio", "command": "../t"},
        {"kind": "mcp-stdio", "command": "t --x"},
        {"kind": "mcp-stdio", "command": "t", "environment": {"a": "secret:a"}},
        {"kind": "mcp-stdio", "command": "t", "environment": {"A": "hunter2"}},
        {"kind": "mcp-stdio", "command": "t", "environment": {"A": "mount:a"}},
        {"kind": "mcp-stdio", "command": "t", "arguments": ["a\nb"]},
        {"needs": ["shell"]},
    ],
)
def test_tools_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.Tool.model_validate(make_tool(**changes))


def test_a_tool_policy_asks_by_default_and_rules_hold_for_all_profiles() -> None:
    policy = d.ToolPolicy.model_validate({"rules": [make_rule()]})
    assert policy.default == "ask"
    assert policy.rules[0].profiles == ("*",)


@pytest.mark.parametrize(
    "changes",
    [{"tools": []}, {"tools": ["A"]}, {"tools": ["a/b"]}, {"action": "forbid"}, {"profiles": [""]}],
)
def test_rules_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.ToolRule.model_validate(make_rule(**changes))


@pytest.mark.parametrize("fingerprint", ["", "0" * 15, "0" * 65, "G" * 32, "0" * 31 + "A"])
def test_fingerprints_that_are_refused(fingerprint: str) -> None:
    with pytest.raises(ValidationError):
        d.AllowedFinding.model_validate({"fingerprint": fingerprint, "reason": "x"})


def test_an_allowance_needs_a_reason() -> None:
    with pytest.raises(ValidationError):
        d.AllowedFinding.model_validate({"fingerprint": "0" * 32})


# --- plugins, models, grants ----------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "1.2.3", "1.2.3.4", "1.0a1", "1.0rc2", "1.0.post1"])
def test_exact_versions(version: str) -> None:
    assert d.Plugin.model_validate(make_plugin(version=version)).version == version


@pytest.mark.parametrize(
    "changes",
    [
        {"version": ">=1.0"},
        {"version": "1.*"},
        {"version": "latest"},
        {"version": "1.0.dev1"},
        {"digest": "sha256:1"},
        {"digest": "1" * 64},
        {"size_bytes": 0},
        {"surfaces": []},
        {"surfaces": ["shell"]},
        {"package": "../p"},
        {"permissions": ["everything"]},
    ],
)
def test_plugins_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.Plugin.model_validate(make_plugin(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"credential": "anthropic-api-key"},
        {"credential": "mount:a"},
        {"endpoint": "https://key@api.example.org"},
        {"models": {"Large": make_provider()["models"]["large"]}},
        {"models": {"large": {"upstream": "m"}}},
        {"api_key": "x"},
    ],
)
def test_providers_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        d.Provider.model_validate(make_provider(**changes))


@pytest.mark.parametrize(
    ("table", "model"),
    [
        ({"kind": "secret"}, grants.SecretGrant),
        ({"kind": "mount"}, grants.MountGrant),
        ({"kind": "network", "hosts": ["api.example.org", "*.x.org:8443"]}, grants.NetworkGrant),
        ({"kind": "shell", "commands": ["pytest", "*"]}, grants.ShellGrant),
        ({"kind": "git", "operations": ["read"]}, grants.GitGrant),
        ({"kind": "capability"}, grants.CapabilityGrant),
        ({"kind": "tool", "tool": "a"}, grants.ToolGrant),
        ({"kind": "plugin", "plugin": "a"}, grants.PluginGrant),
    ],
)
def test_a_grant_is_told_apart_by_its_kind(table: dict[str, Any], model: type[BaseModel]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(grants.Grant)
    assert type(adapter.validate_python({"description": "x"} | table)) is model
    with pytest.raises(ValidationError):
        adapter.validate_python(table)


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "secret", "value": "hunter2"},
        {"kind": "secret", "env": "TOKEN"},
        {"kind": "mount", "path": "/srv"},
        {"kind": "mount", "mode": "rwx"},
        {"kind": "network", "hosts": []},
        {"kind": "network", "hosts": ["*"]},
        {"kind": "network", "hosts": ["https://api.example.org"]},
        {"kind": "network", "hosts": ["API.example.org"]},
        {"kind": "shell", "commands": ["/bin/sh"]},
        {"kind": "shell", "commands": ["rm -rf"]},
        {"kind": "shell", "commands": []},
        {"kind": "git", "operations": ["force-push"]},
        {"kind": "everything"},
    ],
)
def test_grants_that_are_refused(table: dict[str, Any]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(grants.Grant)
    with pytest.raises(ValidationError):
        adapter.validate_python({"description": "x"} | table)


def test_mounts_are_read_only_unless_said_otherwise() -> None:
    assert grants.MountGrant(kind="mount", description="x").mode == "ro"
