"""Records: plain dataclasses inside, models at the border."""

import json
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from yoi_bundles.errors import InvalidInputError
from yoi_bundles.model.base import Model
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import Name
from yoi_bundles.model.record import Record, Rule, record_fields
from yoi_bundles.model.revision import Provenance
from yoi_bundles.wire.messages.problems import list_field_faults
from yoi_bundles.wire.messages.publishing import PublishRequest

Word = Annotated[str, Rule(min_length=1, max_length=4, pattern="^[a-z]+$")]
Count = Annotated[int, Rule(ge=1, le=9)]
Moment = Annotated[datetime, Rule(tz_constraint="aware")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Record):
    """A sample."""

    name: Name
    word: Word | None = None
    count: Count = 1
    moment: Moment | None = None


class SampleModel(Model):
    """A sample."""

    name: Name
    word: Word | None = None
    count: Count = 1
    moment: Moment | None = None


SAMPLE = Sample(name=Name("a"), word="bc", moment=datetime(2026, 1, 2, tzinfo=UTC))


def test_a_record_has_the_schema_of_a_model_with_its_fields():
    ours = TypeAdapter(Sample).json_schema()

    assert ours == SampleModel.model_json_schema() | {"title": "Sample"}
    assert ours["additionalProperties"] is False
    assert ours["properties"]["count"]["maximum"] == 9


def test_a_record_is_written_as_a_model_and_read_again():
    text = SAMPLE.model_dump_json()

    assert text == SampleModel.model_validate_json(text).model_dump_json()
    assert json.loads(text) == SAMPLE.model_dump(mode="json")
    assert Sample.model_validate_json(text) == SAMPLE
    assert Sample.model_validate(SAMPLE.model_dump()) == SAMPLE


def test_a_record_is_frozen():
    with pytest.raises(FrozenInstanceError):
        SAMPLE.count = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"word": ""}, "string_too_short"),
        ({"word": "abcde"}, "string_too_long"),
        ({"word": "A"}, "string_pattern_mismatch"),
        ({"count": 0}, "greater_than_equal"),
        ({"count": 10}, "less_than_equal"),
        ({"moment": "2026-01-02T00:00:00"}, "timezone_aware"),
        ({"name": "A"}, "value_error"),
        ({"more": 1}, "unexpected_keyword_argument"),
    ],
)
def test_what_does_not_fit_a_record_is_refused_without_being_shown(change, kind):
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"name": "a"} | change)

    assert [fault["type"] for fault in caught.value.errors()] == [kind]
    assert "input_value" not in str(caught.value)


def test_a_caller_hears_of_a_record_what_it_would_hear_of_a_model():
    body = {"files": {}, "provenance": {"source_kind": "git", "sneaky": 1}, "more": 1}
    with pytest.raises(ValidationError) as caught:
        PublishRequest.model_validate(body)
    with pytest.raises(ValidationError) as of_text:
        PublishRequest.model_validate({"files": {}, "provenance": "git"})

    faults = [*caught.value.errors(), *of_text.value.errors()]
    shown = list_field_faults([{**fault, "loc": ("body", *fault["loc"])} for fault in faults])
    assert shown == [
        "body.provenance.source_uri: missing",
        "body.provenance.published_by: missing",
        "body.provenance.built_with: missing",
        "body.provenance.(not shown): extra_forbidden",
        "body.(not shown): extra_forbidden",
        "body.provenance: model_attributes_type",
    ]


def test_every_record_counts_once():
    assert {"source_uri", "signed_commit", "count"} <= record_fields()
    assert "model_dump" not in record_fields()


@pytest.mark.parametrize(
    "change",
    [
        {"source_kind": "tarball"},
        {"source_uri": ""},
        {"source_uri": "two\nlines"},
        {"source_uri": "line\n"},
        {"source_revision": "x" * 513},
        {"published_by": "A\u202eB"},
        {"built_with": "a\tb"},
        {"published_by": "Ad\udcff"},
    ],
)
def test_a_provenance_that_no_trailer_can_hold_is_never_made(change):
    said = {"source_kind": "git", "source_uri": "u", "published_by": "A", "built_with": "b"}
    Provenance(**said)

    with pytest.raises(InvalidInputError) as ours:
        Provenance(**{**said, **change})
    with pytest.raises(ValidationError) as theirs:
        Provenance.model_validate(said | change)

    (name,) = change
    assert ours.value.message.startswith(f"{name}: must be ")
    assert [fault["loc"] for fault in theirs.value.errors()] == [(name,)]


def test_a_message_that_no_backend_takes_is_refused_at_once():
    said = Provenance(source_kind="git", source_uri="u", published_by="A", built_with="b")
    PublishRequest(files={}, provenance=said, message="x" * 4_000)

    with pytest.raises(InvalidInputError, match=r"^message: must be Unicode"):
        PublishRequest(files={}, provenance=said, message="Ad\udcff")
    with pytest.raises(InvalidInputError, match=r"^message: .* 4000 characters"):
        PublishRequest(files={}, provenance=said, message="x" * 4_001)


def test_a_finding_says_where_it_is():
    found = Finding(file="a.toml", line=3, code="invalid_manifest", message="no")

    assert str(found) == "a.toml:3: invalid_manifest: no"
    with pytest.raises(ValidationError):
        Finding.model_validate(found.model_dump() | {"line": 0})
