"""Power references: a kind and a name, and no room for anything else."""

import pickle

import pytest

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.ids import Name
from yoi_bundles.model.powers import (
    POWER_KINDS,
    CapabilityRef,
    MountRef,
    NetworkRef,
    PowerRef,
    SecretRef,
)


@pytest.mark.parametrize("kind", POWER_KINDS)
def test_every_kind_makes_a_reference(kind):
    ref = PowerRef.parse(f"{kind}:some-name")
    assert (ref.kind, ref.name) == (kind, Name("some-name"))
    assert PowerRef.of(kind, Name("some-name")) == ref


@pytest.mark.parametrize(
    "text",
    ["", "secret", "secret:", ":x", "secret:X", "secret:a/b", "secret:../x", "password:x",
     "secret:a b", "secret:a\n", " secret:a", "secret:a:b", "secret:" + "a" * 64],
)  # fmt: skip
def test_nothing_else_is_a_reference(text):
    with pytest.raises(InvalidInputError) as caught:
        PowerRef.parse(text)
    assert caught.value.code == "invalid_input"


@pytest.mark.parametrize(
    ("cls", "good"),
    [
        (SecretRef, {"secret"}),
        (MountRef, {"mount"}),
        (NetworkRef, {"network"}),
        (CapabilityRef, {"shell", "git", "capability"}),
    ],
)
def test_narrower_references_take_their_kinds_only(cls, good):
    for kind in POWER_KINDS:
        if kind in good:
            assert cls.parse(f"{kind}:x").kind == kind
        else:
            with pytest.raises(InvalidInputError):
                cls.parse(f"{kind}:x")
    assert set(cls.kinds) == good


def test_references_of_different_types_compare_through_their_power():
    assert SecretRef("secret:x") != PowerRef("secret:x")
    assert SecretRef("secret:x").power == PowerRef("secret:x")
    assert SecretRef.of("secret", Name("x")) == PowerRef("secret:x")


def test_references_sort_pickle_and_hash_as_values():
    one, two = PowerRef("mount:a"), PowerRef("mount:b")
    assert sorted([two, one]) == [one, two]
    assert pickle.loads(pickle.dumps(one)) == one
    assert len({one, PowerRef("mount:a")}) == 1
