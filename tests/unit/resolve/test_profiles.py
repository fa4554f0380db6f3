"""Inheritance: tables deep, scalars and arrays replaced, and who set what."""

import pytest
from resolve_builders import make_bundle

from yoi_bundles.errors import InvalidManifestError
from yoi_bundles.model.bundle import Declared
from yoi_bundles.model.declarations import Profile
from yoi_bundles.model.ids import Name, RelativePath
from yoi_bundles.resolve import MAX_PARENTS, merge_profile

BASE = """description = "Base"
abstract = true

[engine]
kind = "tool-loop"
prompts = ["a", "b"]

[limits]
max_turns = 10
max_cost_cents = 5

[features]
fast = true

[tools]
required = ["one", "two"]
"""

CHILD = """description = "Child"
extends = "base"

[engine]
prompts = ["c"]

[limits]
max_turns = 20

[features]
fast = false
loud = true

[tools]
optional = ["three"]
"""


def merged():
    files = {"profiles/base.toml": BASE, "profiles/coder.toml": CHILD}
    return merge_profile(make_bundle(files), Name("coder"))


def test_tables_merge_deep():
    limits = merged().profile.limits
    assert (limits.max_turns, limits.max_cost_cents) == (20, 5)
    assert merged().profile.features == {Name("fast"): False, Name("loud"): True}


def test_scalars_and_arrays_are_replaced():
    engine = merged().profile.engine
    assert engine.kind == "tool-loop"
    assert [str(key) for key in engine.prompts] == ["c"]


def test_required_and_optional_lists_are_fields_of_their_own():
    tools = merged().profile.tools
    assert [str(name) for name in tools.required] == ["one", "two"]
    assert [str(name) for name in tools.optional] == ["three"]


def test_description_abstract_and_extends_are_not_inherited():
    profile = merged().profile
    assert profile.description == "Child"
    assert not profile.abstract


def test_layers_stand_base_first():
    assert [str(layer.profile) for layer in merged().layers] == ["base", "coder"]


def test_each_field_knows_the_files_and_lines_that_set_it():
    origins = {origin.field: origin.set_by for origin in merged().origins}
    places = [(str(place.file), place.line) for place in origins["limits.max_turns"]]
    assert places == [("profiles/base.toml", 9), ("profiles/coder.toml", 8)]
    assert [str(place.file) for place in origins["engine.kind"]] == ["profiles/base.toml"]
    assert [place.line for place in origins["description"]] == [1]
    assert list(origins) == sorted(origins)


def test_the_place_of_an_entry_is_in_the_last_file_that_sets_its_array():
    place = merged().place_of(("tools", "required", 1))
    assert (place.file, place.line) == (RelativePath("profiles/base.toml"), 16)


def test_the_place_of_what_nobody_sets_is_in_the_selected_file():
    assert merged().place_of(("model", "ref")).file == RelativePath("profiles/coder.toml")


def chain_of(count):
    """A profile p0 with that many parents above it."""
    files = {"profiles/coder.toml": None}
    for number in range(count + 1):
        parent = f'extends = "p{number + 1}"\n' if number < count else ""
        files[f"profiles/p{number}.toml"] = f'description = "P"\n{parent}'
    return make_bundle(files)


def test_the_longest_chain_merges():
    assert len(merge_profile(chain_of(MAX_PARENTS), Name("p0")).layers) == MAX_PARENTS + 1


def test_a_longer_chain_is_refused():
    with pytest.raises(InvalidManifestError, match="more than 8 profiles") as caught:
        merge_profile(chain_of(MAX_PARENTS + 1), Name("p0"))
    assert caught.value.code == "invalid_manifest"
    assert caught.value.facts == {"file": "profiles/p8.toml", "line": 2}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"profiles/coder.toml": 'description = "x"\nextends = "coder"'}, "extends itself"),
        (
            {
                "profiles/coder.toml": 'description = "x"\nextends = "other"',
                "profiles/other.toml": 'description = "x"\nextends = "coder"',
            },
            "extends itself through coder",
        ),
        ({"profiles/coder.toml": 'description = "x"\nextends = "gone"'}, "gone to extend"),
    ],
)
def test_circles_and_gaps_are_refused_with_their_line(files, message):
    with pytest.raises(InvalidManifestError, match=message) as caught:
        merge_profile(make_bundle(files), Name("coder"))
    assert caught.value.facts["line"] == 2


def test_a_merged_table_that_is_no_profile_is_refused():
    bundle = make_bundle({"profiles/base.toml": BASE, "profiles/coder.toml": CHILD})
    own = bundle.profiles[Name("coder")]
    bundle.profiles[Name("coder")] = Declared(own.value, own.source, {"limits": {"max_turns": 0}})
    assert isinstance(own.value, Profile)
    with pytest.raises(InvalidManifestError, match="after inheritance"):
        merge_profile(bundle, Name("coder"))
