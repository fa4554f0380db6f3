"""What is shipped as data: the builtin tree, the JSON Schemas, the example workspaces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content.check import check_files
from yoi_bundles.content.inheritance import find_chain, merge_profile
from yoi_bundles.content.schemas import json_schemas
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.grants import MountGrant
from yoi_bundles.model.ids import Name, RelativePath

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "yoi_bundles" / "schemas"
WORKSPACES = sorted(path for path in (ROOT / "fixtures" / "workspaces").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def builtin() -> Bundle:
    result = check_files(load_builtin_files())
    assert result.findings == ()
    assert result.bundle is not None
    return result.bundle


def read_files(directory: Path) -> dict[RelativePath, bytes]:
    return {
        RelativePath(path.relative_to(directory).as_posix()): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def merged(bundle: Bundle, name: str) -> Profile:
    by_name = {str(key): declared for key, declared in bundle.profiles.items()}
    return merge_profile(find_chain(name, by_name))


# --- the builtin tree -----------------------------------------------------------------


def test_the_builtin_files_are_those_of_the_package() -> None:
    directory = ROOT / "yoi_bundles" / "builtin"
    on_disk = {path: data for path, data in read_files(directory).items() if ".py" not in str(path)}
    loaded = load_builtin_files()
    assert dict(loaded) == on_disk
    assert list(loaded) == sorted(loaded)


def test_the_builtin_tree_offers_what_others_rely_on(builtin: Bundle) -> None:
    assert str(builtin.manifest.value.workspace.id) == "builtin"
    assert str(builtin.manifest.value.default_profile) == "coder"
    assert {str(name) for name in builtin.profiles} >= {
        "base", "coder", "reviewer", "planner", "researcher", "tester", "documenter", "operator",
    }  # fmt: skip
    refs = {f"{grant.value.kind}:{name}" for name, grant in builtin.grants.items()}
    assert refs >= {
        "secret:anthropic-api-key", "secret:tracker-token", "mount:checkout", "mount:docs",
        "network:model-api", "network:issue-tracker", "shell:run-tests", "git:commit",
    }  # fmt: skip
    assert Name("code-index") in builtin.plugins
    assert len(builtin.prompts) >= 30
    assert len(builtin.tools) >= 10


def test_the_mounts_have_the_modes_that_their_profiles_need(builtin: Bundle) -> None:
    modes = {
        str(name): grant.value.mode
        for name, grant in builtin.grants.items()
        if isinstance(grant.value, MountGrant)
    }
    assert modes == {"checkout": "rw", "checkout-view": "ro", "docs": "ro"}
    reviewer = merged(builtin, "reviewer")
    used = [str(ref.name) for ref in (*reviewer.mounts.required, *reviewer.mounts.optional)]
    assert {modes[name] for name in used} == {"ro"}
    assert not reviewer.capabilities.required + reviewer.capabilities.optional


def test_the_coder_requires_and_wishes_for_what_is_agreed(builtin: Bundle) -> None:
    coder = merged(builtin, "coder")
    assert [str(ref) for ref in coder.mounts.required] == ["mount:checkout"]
    assert [str(name) for name in coder.tools.required] == ["read-file", "edit-file", "search-code"]
    assert {str(ref) for ref in coder.capabilities.optional} == {"shell:run-tests", "git:commit"}
    assert Name("run-command") in coder.tools.optional
    assert coder.plugins.optional == (Name("code-index"),)
    assert not coder.capabilities.required


def test_the_operator_cannot_do_without_a_shell(builtin: Bundle) -> None:
    required = merged(builtin, "operator").capabilities.required
    assert [str(ref) for ref in required] == ["shell:operate"]


def test_the_base_is_abstract_and_everything_else_stands_on_it(builtin: Bundle) -> None:
    assert builtin.profiles[Name("base")].value.abstract
    parents = {str(p.value.extends) for n, p in builtin.profiles.items() if str(n) != "base"}
    assert parents == {"base"}


@pytest.mark.parametrize("key", ["definition", "reference"])
def test_both_kinds_of_workflow_are_shown(builtin: Bundle, key: str) -> None:
    assert any(workflow.value.kind == key for workflow in builtin.workflows.values())


def test_every_toml_file_names_a_schema_that_is_shipped() -> None:
    for path, data in load_builtin_files().items():
        if not str(path).endswith(".toml"):
            continue
        first = data.decode().split("\n", 1)[0]
        found = re.fullmatch(r"#:schema (\.\./)?\.yoi-schemas/([a-z-]+\.json)", first)
        assert found is not None, path
        assert (found.group(1) is not None) == ("/" in str(path))
        assert (SCHEMAS / found.group(2)).is_file()


# --- example workspaces ---------------------------------------------------------------


@pytest.mark.parametrize("directory", WORKSPACES, ids=lambda path: path.name)
def test_example_workspaces_are_sound(directory: Path) -> None:
    result = check_files(read_files(directory))
    assert [str(finding) for finding in result.findings] == []
    assert result.bundle is not None


def test_example_workspaces_are_varied() -> None:
    bundles = [check_files(read_files(directory)).bundle for directory in WORKSPACES]
    languages = {bundle.manifest.value.language.primary for bundle in bundles if bundle}
    assert len(WORKSPACES) >= 3
    assert {"en", "ja"} <= languages


# --- JSON Schemas ---------------------------------------------------------------------


@pytest.mark.floors
def test_committed_schemas_are_those_of_the_models() -> None:
    committed = {
        path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")
    }
    assert committed == json_schemas(), "run `make schemas`"


def test_schemas_say_who_they_are_and_what_for() -> None:
    for name, schema in json_schemas().items():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"] == f"urn:yoi-bundles:schema:1:{name.removesuffix('.json')}"
        assert schema["title"]
        assert schema["description"]
        for definition in schema.get("$defs", {}).values():
            assert definition["description"]


def test_field_docstrings_become_descriptions() -> None:
    profile = json_schemas()["profile.json"]["properties"]
    assert profile["abstract"]["description"] == "A base for others: no selector may name it."
    grant = json_schemas()["grant.json"]["$defs"]["SecretGrant"]["properties"]
    assert grant["description"]["description"].startswith("Why it is needed")


def test_schemas_use_the_names_that_files_use() -> None:
    manifest = json_schemas()["bundle.json"]
    assert "schema" in manifest["properties"]
    assert "schema" in manifest["required"]
    assert manifest["additionalProperties"] is False


def test_patterns_of_schemas_compile() -> None:
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(json_schemas()))
    assert len(patterns) > 20
    for pattern in patterns:
        re.compile(json.loads(pattern))
