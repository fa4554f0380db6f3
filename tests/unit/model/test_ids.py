"""Ids and names: parsed once, frozen, never equal across types."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import (
    BlobId,
    ChannelName,
    CommitId,
    ContentHash,
    Digest,
    ModelRef,
    Name,
    PromptKey,
    RelativePath,
    RuntimeId,
    TextValue,
    WorkerId,
    WorkspaceId,
)
from yoi_bundles.model.powers import (
    POWER_KINDS,
    CapabilityRef,
    MountRef,
    NetworkRef,
    PowerRef,
    SecretRef,
)

HEX = "0123456789abcdef" * 4

GOOD: list[tuple[type[TextValue], str]] = [
    (Digest, HEX),
    (CommitId, HEX),
    (BlobId, HEX),
    (ContentHash, f"sha256:{HEX}"),
    (WorkspaceId, "a"),
    (WorkspaceId, "team.eu-1_x"),
    (WorkspaceId, "a" * 63),
    (Name, "run-tests"),
    (Name, "9"),
    (ChannelName, "stable"),
    (RuntimeId, "host-1.eu"),
    (WorkerId, "Worker_1.a-b"),
    (PromptKey, "role.coder"),
    (PromptKey, "a.b.c.d.e.f.g.h"),
    (ModelRef, "anthropic/large-4.5_x"),
    (RelativePath, "a/b c/ü.md"),
    (RelativePath, "a/...b"),
    (PowerRef, "tool:edit-file"),
    (SecretRef, "secret:tracker-token"),
    (MountRef, "mount:checkout"),
    (NetworkRef, "network:model-api"),
    (CapabilityRef, "shell:run-tests"),
    (CapabilityRef, "git:commit"),
    (CapabilityRef, "capability:gpu"),
]

BAD: list[tuple[type[TextValue], str]] = [
    (Digest, ""),
    (Digest, HEX[:-1]),
    (Digest, HEX + "0"),
    (Digest, HEX.upper()),
    (Digest, f"{HEX}\n"),
    (Digest, f" {HEX[1:]}"),
    (Digest, "٠" * 64),
    (ContentHash, HEX),
    (ContentHash, f"sha512:{HEX}"),
    (WorkspaceId, ""),
    (WorkspaceId, "a" * 64),
    (WorkspaceId, "-a"),
    (WorkspaceId, ".a"),
    (WorkspaceId, "a..b"),
    (WorkspaceId, "a."),
    (WorkspaceId, "a.lock"),
    (WorkspaceId, "a.git"),
    (WorkspaceId, "A"),
    (WorkspaceId, "a/b"),
    (WorkspaceId, "a\n"),
    (Name, "a_b"),
    (Name, "a.b"),
    (Name, "-a"),
    (Name, "ä"),
    (Name, "a" * 64),
    (WorkerId, "a/b"),
    (WorkerId, "a" * 129),
    (PromptKey, "role."),
    (PromptKey, "role..a"),
    (PromptKey, "role/coder"),
    (PromptKey, "a.b.c.d.e.f.g.h.i"),
    (ModelRef, "large"),
    (ModelRef, "a/b/c"),
    (ModelRef, "/large"),
    (RelativePath, ""),
    (RelativePath, "/a"),
    (RelativePath, "a/"),
    (RelativePath, "a//b"),
    (RelativePath, "."),
    (RelativePath, "a/../b"),
    (RelativePath, "a/./b"),
    (RelativePath, "a\\b"),
    (RelativePath, "c:a"),
    (RelativePath, "a\x00b"),
    (RelativePath, "a" * 1025),
    (PowerRef, "secret:"),
    (PowerRef, "secret"),
    (PowerRef, "secret:A"),
    (PowerRef, "secret:a/b"),
    (PowerRef, "power:a"),
    (SecretRef, "mount:a"),
    (SecretRef, "secret:/run/a"),
    (MountRef, "mount:/home"),
    (CapabilityRef, "secret:a"),
]


@pytest.mark.parametrize(("cls", "text"), GOOD)
def test_good_text_parses_to_a_value_that_prints_as_it_was(cls: type[TextValue], text: str) -> None:
    value = cls.parse(text)
    assert type(value) is cls
    assert str(value) == text
    assert repr(value) == f"{cls.__name__}({text!r})"


@pytest.mark.parametrize(("cls", "text"), BAD)
def test_bad_text_is_refused_with_what_it_should_be(cls: type[TextValue], text: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a ") as caught:
        cls.parse(text)
    assert caught.value.hint
    assert len(caught.value.message) < 700


@pytest.mark.parametrize(("cls", "text"), GOOD)
def test_values_travel_through_json_pickle_and_copy(cls: type[TextValue], text: str) -> None:
    value = cls.parse(text)
    adapter: TypeAdapter[Any] = TypeAdapter(cls)
    assert adapter.validate_json(adapter.dump_json(value)) == value
    assert adapter.validate_python(value) is value
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", [1, None, b"a", ["a"], True])
def test_only_text_becomes_a_value(value: object) -> None:
    with pytest.raises(ValidationError, match="is a string"):
        TypeAdapter(Name).validate_python(value)


def test_ids_of_different_kinds_are_never_equal() -> None:
    assert Digest(HEX) != CommitId(HEX)
    assert len({Digest(HEX), CommitId(HEX), BlobId(HEX), Digest(HEX)}) == 3
    assert Digest(HEX) != HEX
    assert SecretRef("secret:a") != PowerRef("secret:a")


def test_values_are_frozen_and_have_no_other_attributes() -> None:
    value = Name("a")
    with pytest.raises(AttributeError, match="frozen"):
        value._text = "b"
    with pytest.raises(AttributeError):
        value.extra = 1  # type: ignore[attr-defined]


def test_values_sort_by_their_text() -> None:
    assert sorted([Name("b"), Name("a"), Name("a-b")]) == [Name("a"), Name("a-b"), Name("b")]


def test_object_ids_know_their_raw_bytes() -> None:
    digest = Digest(HEX)
    assert Digest.from_bytes(digest.raw) == digest
    assert digest.hex_ascii == HEX.encode()
    assert digest.short == HEX[:12]
    with pytest.raises(InvalidInputError):
        Digest.from_bytes(b"\x00" * 20)


def test_a_model_reference_has_two_parts() -> None:
    ref = ModelRef("anthropic/large-4.5")
    assert (ref.provider, ref.model) == (Name("anthropic"), "large-4.5")


@pytest.mark.parametrize("kind", POWER_KINDS)
def test_a_power_reference_has_a_kind_and_a_name(kind: Any) -> None:
    ref = PowerRef.of(kind, Name("x-1"))
    assert PowerRef.parse(str(ref)) == ref
    assert (ref.kind, ref.name) == (kind, Name("x-1"))


def test_powers_compare_without_their_narrower_type() -> None:
    assert SecretRef("secret:a").power == PowerRef("secret:a")
    assert type(SecretRef.of("secret", Name("a"))) is PowerRef


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Name.parse("A" * 5000)
    assert "..." in caught.value.message


def test_control_characters_are_escaped_in_the_message() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Name.parse("a\x1b[31m")
    assert "\x1b" not in caught.value.message


def test_json_schema_says_what_parse_accepts() -> None:
    schema = TypeAdapter(SecretRef).json_schema()
    assert schema == {
        "type": "string",
        "pattern": f"^(?:{SecretRef.pattern})$",
        "maxLength": 80,
        "title": "SecretRef",
    }
