"""What docs/format.md and docs/policy.md say about content is what the code does.

An example is a block of TOML or Markdown whose fence names its path, ``profiles/coder.toml``. The
examples of the document are together one bundle. One that is marked ``wrong <code>`` is put over
it, and must give errors of that code, in that file, and no others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias, get_args, get_origin, get_type_hints

import pytest
from markdown import blocks, code_spans, read, section
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from yoi_bundles.author.source import SCHEMA_DIRECTORY
from yoi_bundles.builtin import load_builtin_files
from yoi_bundles.content import (
    check,
    declare,
    findings,
    host_paths,
    inheritance,
    material,
    toml_files,
    tool_schema,
    variables,
)
from yoi_bundles.content.cache import CACHE_FILES
from yoi_bundles.content.check import check_files
from yoi_bundles.content.inheritance import find_chain, merge_profile
from yoi_bundles.content.layout import Place, find_place
from yoi_bundles.content.material_rules import RULES
from yoi_bundles.content.schemas import json_schemas
from yoi_bundles.model import declarations, grants, ids, powers, texts
from yoi_bundles.model.base import Model
from yoi_bundles.model.bundle import Bundle
from yoi_bundles.model.declarations import (
    AllowedFinding,
    AllowList,
    CapabilityUse,
    Engine,
    LanguageSettings,
    Manifest,
    ModelChoice,
    ModelEntry,
    MountUse,
    NameUse,
    NetworkUse,
    Plugin,
    Profile,
    ProjectInfo,
    PromptHeader,
    Provider,
    Scope,
    SecretUse,
    Tool,
    ToolPolicy,
    ToolRule,
    WorkerLimits,
    WorkflowDefinition,
    WorkflowReference,
    WorkflowStep,
    WorkspaceInfo,
)
from yoi_bundles.model.host_policy import RUNTIME_FEATURES
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, MIB
from yoi_bundles.model.powers import POWER_KINDS

Rows: TypeAlias = list[list[str]]
TEXT = read("format.md")
TREE = TEXT[TEXT.index("## The bundle tree, schema 1") :]


# --- reading the document ---


def split(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def tables(text: str) -> Iterator[tuple[list[str], Rows]]:
    """Head and rows of every table."""
    for found in re.finditer(r"^(\|.+\|)\n\|[-| ]+\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE):
        yield split(found[1]), [split(line) for line in found[2].splitlines()]


def table_of(heading: str, *head: str) -> Rows:
    """The one table of a section whose head begins so."""
    (found,) = [
        rows for first, rows in tables(section(TEXT, heading)) if first[: len(head)] == list(head)
    ]
    return found


def bare(cell: str) -> str:
    return cell.strip("`")


class Example(NamedTuple):
    line: int
    path: RelativePath
    data: bytes
    wrong: str | None


def examples() -> list[Example]:
    found = []
    for block in blocks(TEXT):
        language, _, rest = block.info.partition(" ")
        if language not in ("toml", "markdown"):
            continue
        named = re.fullmatch(r"(\S+)(?: wrong ([a-z_]+))?", rest)
        assert named is not None, f"line {block.line}: an example names its path"
        data = f"{block.text}\n".encode()
        found.append(Example(block.line, RelativePath.parse(named[1]), data, named[2]))
    return found


@cache
def shown_files() -> dict[RelativePath, bytes]:
    return {one.path: one.data for one in examples() if one.wrong is None}


def shown_bundle() -> Bundle:
    bundle = check_files(shown_files()).bundle
    assert bundle is not None
    return bundle


# --- examples ---


def test_the_examples_are_together_one_bundle_without_findings():
    result = check_files(shown_files())

    assert [str(one) for one in result.findings] == []
    assert result.bundle is not None


def test_no_path_is_shown_twice():
    paths = [str(one.path) for one in examples()]

    assert sorted(set(paths)) == sorted(paths)


@pytest.mark.parametrize(
    "example",
    [one for one in examples() if one.wrong],
    ids=lambda one: str(one.path),
)
def test_an_example_that_is_wrong_is_wrong_as_it_says(example):
    result = check_files({**shown_files(), example.path: example.data})
    errors = {(one.file, one.code) for one in result.findings if one.severity == "error"}

    assert errors == {(str(example.path), example.wrong)}


def test_every_kind_of_file_and_every_kind_of_declaration_is_shown():
    shown = {(place.kind, kind_of(one)) for one in examples() if (place := place_of(one.path))}

    assert {kind for kind, _ in shown} == set(get_args(find_place_kinds()))
    assert {kind for place, kind in shown if place == "grant"} == set(POWER_KINDS)
    assert {kind for place, kind in shown if place == "tool"} == words_of(Tool, "kind")
    assert {kind for place, kind in shown if place == "workflow"} == {"definition", "reference"}
    assert len({one.wrong for one in examples()} - {None}) == 3


def find_place_kinds() -> object:
    return get_type_hints(Place)["kind"]


def place_of(path: RelativePath) -> Place | None:
    place = find_place(path)
    return place if isinstance(place, Place) else None


def kind_of(example: Example) -> str | None:
    if not str(example.path).endswith(".toml"):
        return None
    kind = tomllib.loads(example.data.decode()).get("kind")
    return kind if isinstance(kind, str) else None


def test_the_first_line_of_an_example_names_the_schema_of_its_kind():
    schemas = {bare(row[0].split(",")[0]): bare(row[1]) for row in table_of("JSON Schemas", "file")}
    named = 0
    for one in examples():
        first = one.data.decode().split("\n", 1)[0]
        if not first.startswith("#:schema"):
            continue
        named += 1
        (pattern,) = [p for p in schemas if is_path_of(p, str(one.path))]
        up = "../" * str(one.path).count("/")
        assert first == f"#:schema {up}{SCHEMA_DIRECTORY}/{schemas[pattern]}", one.path

    assert named > 20


# --- the layout ---


def is_path_of(pattern: str, path: str) -> bool:
    spelled = re.escape(pattern).replace(r"\*\*/", "(.+/)?").replace("<name>", "[a-z0-9-]+")
    return re.fullmatch(spelled, path) is not None


def test_the_table_of_paths_is_the_layout():
    table = {
        bare(row[0]): code_spans(row[2]) for row in table_of("The bundle tree, schema 1", "path")
    }
    paths = [*shown_files(), *load_builtin_files()]
    for path in paths:
        assert [one for one in table if is_path_of(one, str(path))] != [], path
    kinds = {}
    for pattern, models in table.items():
        place = find_place(RelativePath(pattern.replace("**/", "a/").replace("<name>", "b")))
        assert isinstance(place, Place), pattern
        kinds[place.kind] = models

    assert set(kinds) == set(get_args(find_place_kinds()))
    assert {kind for kind, models in kinds.items() if not models} == {"workflow-text", "grant"}
    named = {name for models in kinds.values() for name in models}
    assert named <= {model.__name__ for model in content_models()}


def test_the_table_of_schemas_names_every_schema_of_a_tree():
    listed = {bare(row[1]): bare(row[0].split(",")[0]) for row in table_of("JSON Schemas", "file")}
    made = json_schemas()
    suffix = re.compile(r"(?:<name>|<provider>|\*)\.(?:md|toml)|(?:bundle|tools|allow)\.toml")

    assert set(listed) == {name for name, schema in made.items() if suffix.search(schema["title"])}
    for name, path in listed.items():
        assert path.split("<")[0].split("*")[0] in made[name]["title"]


# --- values ---

VALUES: dict[str, Any] = {
    "line": texts.Line,
    "text": texts.Text,
    "label": texts.Label,
    "name": ids.Name,
    "workspace id": ids.WorkspaceId,
    "language tag": texts.LanguageTag,
    "public URL": texts.PublicUrl,
    "prompt key": ids.PromptKey,
    "model reference": ids.ModelRef,
    "power reference": powers.PowerRef,
    "secret reference": powers.SecretRef,
    "mount reference": powers.MountRef,
    "network reference": powers.NetworkRef,
    "capability reference": powers.CapabilityRef,
    "scope pattern": texts.ScopePattern,
    "host pattern": texts.HostPattern,
    "program": texts.ProgramName,
    "content hash": ids.ContentHash,
    "model name": get_args(get_type_hints(Provider, include_extras=True)["models"])[0],
    "upstream name": get_type_hints(ModelEntry, include_extras=True)["upstream"],
    "variable": get_args(get_type_hints(Tool, include_extras=True)["environment"])[0],
    "glob": get_args(get_type_hints(ToolRule, include_extras=True)["profiles"])[0],
    "package": get_type_hints(Plugin, include_extras=True)["package"],
    "version": get_type_hints(Plugin, include_extras=True)["version"],
    "fingerprint": get_type_hints(AllowedFinding, include_extras=True)["fingerprint"],
}


def is_valid(shape: object, text: str) -> bool:
    try:
        TypeAdapter(shape).validate_python(text)
    except ValidationError:
        return False
    return True


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_the_table_of_values_has_all_of_them():
    assert {row[0] for row in table_of("Values", "type")} == set(VALUES)


@pytest.mark.parametrize("row", table_of("Values", "type"), ids=lambda row: row[0])
def test_a_value_is_as_long_as_the_table_says_and_its_example_is_one(row):
    name, _, longest, example = row
    shape = VALUES[name]

    assert is_valid(shape, bare(example))
    bound = TypeAdapter(shape).json_schema().get("maxLength")
    if bound is not None:
        assert bound == number(longest)
    else:
        letter = "A" if name == "variable" else "a"
        assert is_valid(shape, letter * number(longest))
        assert not is_valid(shape, letter * (number(longest) + 1))


# --- tables of keys ---

TABLES: dict[str, tuple[type[Model], ...]] = {
    "`bundle.toml`": (Manifest,),
    "`[workspace]`": (WorkspaceInfo,),
    "`[project]`": (ProjectInfo,),
    "`[language]`": (LanguageSettings,),
    "`profiles/<name>.toml`": (Profile,),
    "`[engine]`": (Engine,),
    "`[model]`": (ModelChoice,),
    "`[scope]`": (Scope,),
    "`[tools]` and `[plugins]`": (NameUse,),
    "`[secrets]`": (SecretUse,),
    "`[mounts]`": (MountUse,),
    "`[network]`": (NetworkUse,),
    "`[capabilities]`": (CapabilityUse,),
    "`[limits]`": (WorkerLimits,),
    "the header": (PromptHeader,),
    'a `"definition"`': (WorkflowDefinition,),
    "`[[steps]]`": (WorkflowStep,),
    'a `"reference"`': (WorkflowReference,),
    "`tools/<name>.toml`": (Tool,),
    "`policies/tools.toml`": (ToolPolicy,),
    "`[[rules]]`": (ToolRule,),
    "`policies/allow.toml`": (AllowList,),
    "`[[allow]]`": (AllowedFinding,),
    "`plugins/<name>.toml`": (Plugin,),
    "`models/<name>.toml`": (Provider,),
    "`[models.<model>]`": (ModelEntry,),
}


def key_tables() -> dict[str, Rows]:
    found = {}
    for head, rows in tables(TREE):
        if not head[0].startswith("key of ") or head[1] != "type":
            continue
        assert head[1:] == ["type", "default", "meaning"], head
        found[head[0].removeprefix("key of ")] = rows
    return found


def content_models() -> set[type[Model]]:
    """Every model of a file of the tree, grants included."""
    return {
        value
        for module in (declarations, grants)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Model) and value is not Model
        if not name.startswith("_")
    }


def grant_models() -> dict[str, type[Model]]:
    return toml_files.GRANTS._members


def documented() -> Iterator[tuple[type[Model], str, str, str]]:
    """Model, key, type and default of every row of every table of keys."""
    for name, rows in key_tables().items():
        for model in TABLES[name]:
            for key, shape, default, *_ in rows:
                yield model, bare(key), shape, default
    table = table_of("Grants", "kind", "key")
    for kind, key, shape, default, _ in table:
        if bare(kind) != "all" and key:
            yield grant_models()[bare(kind)], bare(key), shape, default


def fields_of(model: type[BaseModel]) -> dict[str, tuple[FieldInfo, Any]]:
    """Key as it is written → field and full annotation."""
    hints = get_type_hints(model, include_extras=True)
    return {field.alias or name: (field, hints[name]) for name, field in model.model_fields.items()}


def test_every_model_of_a_file_has_a_table():
    tabled = {model for models in TABLES.values() for model in models}

    assert set(key_tables()) == set(TABLES)
    assert tabled | set(grant_models().values()) == content_models()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_lists_the_keys_of_its_model_and_no_other(name):
    listed = [bare(row[0]) for row in key_tables()[name]]
    for model in TABLES[name]:
        assert listed == list(fields_of(model))


def test_the_table_of_grants_lists_the_keys_of_every_kind():
    table = table_of("Grants", "kind", "key")
    common = [bare(row[1]) for row in table if row[0] == "all"]
    kinds = [bare(row[0]) for row in table if row[0] != "all"]

    assert kinds == [*POWER_KINDS[:5], "capability", "tool", "plugin"]
    assert set(kinds) == set(grant_models())
    for kind, model in grant_models().items():
        own = [bare(row[1]) for row in table if bare(row[0]) == kind and row[1]]
        assert sorted(fields_of(model)) == sorted(common + own), kind


ROWS = list(documented())


@pytest.mark.parametrize(
    ("model", "key", "default"),
    [(model, key, default) for model, key, _, default in ROWS],
    ids=[f"{model.__name__}.{key}" for model, key, _, _ in ROWS],
)
def test_a_default_is_that_of_the_model(model, key, default):
    field, _ = fields_of(model)[key]
    if field.is_required():
        assert default == "needed"
    elif field.default is None:
        assert default == "none"
    else:
        shown = tomllib.loads(f"value = {bare(default)}")["value"]
        assert shown == plain(field.default)


def plain(value: object) -> object:
    """A default as TOML has it."""
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, BaseModel):
        assert value == type(value)(), "a table that is left out is an empty one"
        return {}
    return value


@pytest.mark.parametrize(
    ("model", "key", "shape"),
    [(model, key, shape) for model, key, shape, _ in ROWS],
    ids=[f"{model.__name__}.{key}" for model, key, shape, _ in ROWS],
)
def test_a_type_is_that_of_the_model(model, key, shape):
    _, annotation = fields_of(model)[key]
    pieces = list(walk(annotation))
    names = {name for name, value in VALUES.items() if any(same(value, one) for one in pieces)}
    singular = re.sub(r"\b(\w+)s\b", r"\1", shape)
    for name in names:
        assert name in shape or name in singular, (key, name)
    mentioned = {name for name in VALUES if re.search(rf"\b{name}s?\b", strip_words(shape))}
    longest = {one for one in mentioned if not any(one != two and one in two for two in mentioned)}
    assert longest == names

    assert set(re.findall(r"`\"([a-z-]+)\"`", shape)) == literals(annotation)
    assert ("array" in shape) == any(get_origin(one) is tuple for one in pieces)
    assert ("boolean" in shape) == any(one is bool for one in pieces)
    assert bounds_shown(shape) == bounds_of(model, key)


def bounds_shown(shape: str) -> tuple[float | None, ...]:
    """Lowest and highest number, fewest and most entries, as a table says them."""
    numbers = re.search(r"(?:integer|number), ([\d,]+) to ([\d,]+)", shape)
    entries = re.search(r"array of (\d+) to (\d+) tables", shape)
    low, high = map(number, numbers.groups()) if numbers else (None, None)
    fewest, most = map(number, entries.groups()) if entries else (None, None)
    return low, high, 1 if "at least one" in shape else fewest, most


def bounds_of(model: type[BaseModel], key: str) -> tuple[float | None, ...]:
    """The same, as the model's JSON Schema says them."""
    schema = model.model_json_schema()["properties"][key]
    one = next(part for part in schema.get("anyOf", [schema]) if part.get("type") != "null")
    return tuple(one.get(word) for word in ("minimum", "maximum", "minItems", "maxItems"))


def strip_words(shape: str) -> str:
    return re.sub(r"`[^`]*`", "", shape)


def same(one: object, two: object) -> bool:
    return one is two or (type(one) is type(two) and one == two)


def walk(annotation: object) -> Iterator[object]:
    """An annotation and everything inside it, constrained texts whole."""
    yield annotation
    if (
        any(same(annotation, value) for value in VALUES.values())
        or get_origin(annotation) is Literal
    ):
        return
    for inner in get_args(annotation):
        if isinstance(inner, str | int | FieldInfo):
            continue
        yield from walk(inner)


def literals(annotation: object) -> set[str]:
    return {
        word
        for one in walk(annotation)
        if get_origin(one) is Literal
        for word in get_args(one)
        if isinstance(word, str) and word != "*"
    }


def words_of(model: type[BaseModel], key: str) -> set[str]:
    return literals(fields_of(model)[key][1])


# --- inheritance ---


def test_the_merged_profile_is_as_shown():
    profiles = {str(name): one for name, one in shown_bundle().profiles.items()}
    chain = find_chain("auditor", profiles)
    merged = merge_profile(chain).model_dump(mode="json")
    table = table_of("Inheritance of profiles", "key of the merged auditor")
    for key, value, source in table:
        path = tuple(bare(key).split("."))
        found: Any = merged
        for part in path:
            found = found[part]
        setter = inheritance.find_setter(chain, path)
        assert found == tomllib.loads(f"value = {bare(value)}")["value"], key
        assert setter is not None
        assert str(setter.source.file) == bare(source), key

    assert len(table) >= 8


def test_the_number_of_parents_is_that_of_the_code():
    assert f"at most {inheritance.MAX_DEPTH} above it" in section(TEXT, "Inheritance of profiles")


# --- references ---

NO_REFERENCES = {
    "requires", "workspace.labels", "project.tags", "features", "variables", "steps.id",
    "builtin", "kind",
}  # fmt: skip
"""Keys that hold names of something else than a declaration."""

REFERENCE = (ids.Name, ids.PromptKey, ids.ModelRef, powers.PowerRef)
WHERE: dict[type[Model], str] = {
    Manifest: "bundle.toml", Profile: "profiles/", WorkflowDefinition: "workflows/",
    WorkflowReference: "workflows/", Tool: "tools/", Plugin: "plugins/", Provider: "models/",
    ToolPolicy: "policies/tools.toml", AllowList: "policies/allow.toml",
    PromptHeader: "prompts/", **dict.fromkeys(grant_models().values(), "grants/"),
}  # fmt: skip


def references(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Key paths of a model that hold a name or a reference."""
    for key, (_, annotation) in fields_of(model).items():
        for one in walk(annotation):
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from references(one, f"{prefix}{key}.")
            elif same(one, VALUES["glob"]) or (
                isinstance(one, type) and issubclass(one, REFERENCE)
            ):
                yield f"{prefix}{key}"


def test_the_table_of_references_has_every_key_that_can_hold_one():
    listed = [
        (bare(row[0]), key)
        for row in table_of("Closed references", "in")
        for key in code_spans(row[1])
    ]
    held = {
        (place, key)
        for model, place in WHERE.items()
        for key in references(model)
        if key not in NO_REFERENCES
    }

    assert len(listed) == len(set(listed))
    assert set(listed) == held


# --- forbidden material ---


def test_the_table_of_rules_is_that_of_the_code():
    listed = [
        (bare(name), what, entropy)
        for name, what, entropy in table_of("Forbidden material", "rule", "reports")
    ]

    assert listed == [
        (one.id, one.what, f"{one.min_entropy}{', a digit and a letter' if one.mixed else ''}")
        for one in RULES
    ]
    assert [one.id for one in RULES[-4:]] == [
        "url-password", "authorization-header", "assigned-secret", "assigned-secret-bare",
    ]  # fmt: skip


def test_the_table_of_host_paths_is_that_of_the_code_and_its_examples_are_found():
    table = table_of("Forbidden material", "found")

    assert [row[0] for row in table] == [what for what, _ in host_paths._RULES]
    for what, shown in table:
        for example in code_spans(shown):
            if example == "[scope]":
                continue
            key = ("arguments", 0)
            assert host_paths._find_path(example, key) == what, example


def test_what_is_prose_and_what_is_looked_at_in_a_schema():
    text = " ".join(section(TEXT, "Forbidden material").split())
    prose = re.search(r"except prose: (.+?)\.", text)
    looked_at = re.search(r"only what stands in (.+?) is looked at", text)

    assert prose is not None
    assert looked_at is not None
    assert set(code_spans(prose[1])) == host_paths._PROSE
    assert set(code_spans(looked_at[1])) == tool_schema._EXAMPLES


# --- checking ---


def test_the_codes_of_findings_are_those_of_the_code_in_their_order():
    listed = [bare(row[0]) for row in table_of("Checking a tree", "code")]

    assert listed == sorted(listed, key=findings._ORDER_ON_ONE_LINE.__getitem__)
    assert set(listed) == set(findings._ORDER_ON_ONE_LINE)


def test_the_bounds_of_a_check_are_those_of_the_code():
    listed = [number(row[1]) for row in table_of("Checking a tree", "bound")]
    text = " ".join(TREE.split())

    assert listed == [
        DEFAULT_LIMITS.findings,
        DEFAULT_LIMITS.findings * check._MOST_COLLECTED,
        DEFAULT_LIMITS.findings * check._MOST_COLLECTED,
        declare.MAX_FAULTS,
        variables.MAX_FAULTS,
        material.MAX_MATCHES,
    ]
    for said in (
        f"at most {DEFAULT_LIMITS.file_bytes // MIB} MiB (`file_bytes`)",
        f"{DEFAULT_LIMITS.files:,} files (`files`)",
        f"{DEFAULT_LIMITS.tree_bytes // MIB} MiB (`tree_bytes`)",
        f"({CACHE_FILES:,} files of all trees together, least recently used",
        f"at most {toml_files.MAX_VALUES:,} keys and array entries, "
        f"{toml_files.MAX_NESTING} tables and",
        f"and {toml_files.MAX_NESTING} parts in a dotted key",
        f"more than {material.MAX_MATCHES} hits",
    ):
        assert said in text, said


def test_the_features_that_are_named_are_those_of_this_version():
    found = re.search(r"This version's features are (.+?)\. ", " ".join(TREE.split()))

    assert found is not None
    assert {ids.Name(one) for one in code_spans(found[1])} == RUNTIME_FEATURES


# --- powers and host policy ---


def test_every_kind_of_power_has_its_row_in_the_policy_document():
    granted = section(read("policy.md"), "What each section grants")
    (table,) = [rows for head, rows in tables(granted) if head[0] == "power"]

    assert {bare(row[0]).partition(":")[0] for row in table} == set(POWER_KINDS)
