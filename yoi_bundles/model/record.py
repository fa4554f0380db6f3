"""Values of several fields that are made without pydantic, and read and written with it.

Loading pydantic and building schemas was a third of what a publish took. What a publish makes
itself are frozen dataclasses; where they cross a border as JSON, pydantic is loaded and asked, and
says of them what it says of a `Model`.

Source: docs/adr/0024.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self, cast

if TYPE_CHECKING:
    from pydantic import ConfigDict, GetCoreSchemaHandler
    from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator


class Rule(NamedTuple):
    """Bounds of a text, a number or a time, for `typing.Annotated`; None does not bound.

    Args:
        min_length: Characters.
        max_length: Characters.
        pattern: What a text as a whole matches; begins with ``^``, ends with ``$``.
        ge: Smallest number.
        le: Largest number.
        tz_constraint: ``aware``: a time has a time zone.
    """

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    ge: int | None = None
    le: int | None = None
    tz_constraint: Literal["aware"] | None = None

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The schema of the type with these bounds, which are called there what they are here."""
        bounds = {name: bound for name, bound in self._asdict().items() if bound is not None}
        return cast("CoreSchema", {**handler(source), **bounds})


class Record:
    """A frozen dataclass that pydantic reads and writes as it does a `Model` of the same fields.

    Its methods are called as those of a `Model`, so that a client and a command need not know which
    of the two they have. Making one checks nothing but what its ``__post_init__`` does.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    @classmethod
    def model_validate(cls, value: object) -> Self:
        """A value from plain Python values.

        Raises:
            pydantic.ValidationError: It does not fit.
        """
        found: Self = _codec_of(cls).validator.validate_python(value)
        return found

    @classmethod
    def model_validate_json(cls, data: str | bytes) -> Self:
        """A value from JSON.

        Raises:
            pydantic.ValidationError: It is no JSON, or does not fit.
        """
        found: Self = _codec_of(cls).validator.validate_json(data)
        return found

    def model_dump(
        self, *, mode: Literal["json", "python"] = "python", by_alias: bool = False
    ) -> dict[str, Any]:
        """Plain values by field; no field has an alias."""
        found: dict[str, Any] = _codec_of(type(self)).serializer.to_python(
            self, mode=mode, by_alias=by_alias
        )
        return found

    def model_dump_json(self, *, by_alias: bool = False) -> str:
        """JSON without spaces."""
        return _codec_of(type(self)).serializer.to_json(self, by_alias=by_alias).decode()


class Message(Protocol):
    """What a `Record` and a `Model` have in common: both are read from JSON and written as it."""

    @classmethod
    def model_validate_json(cls, data: str | bytes, /) -> Self:
        """See `Record.model_validate_json`."""
        ...

    def model_dump(self, *, mode: Literal["json"], by_alias: bool) -> dict[str, Any]:
        """See `Record.model_dump`."""
        ...

    def model_dump_json(self, *, by_alias: bool) -> str:
        """See `Record.model_dump_json`."""
        ...


def build_records() -> None:
    """Let pydantic build the schemas of all records now; see `build_models`."""
    for record in _list_records():
        _codec_of(record)


def record_fields() -> frozenset[str]:
    """Names of all fields of all records of the modules that are loaded."""
    return frozenset(field for record in _list_records() for field in vars(record)["__slots__"])


def _list_records() -> list[type[Record]]:
    # To give it slots, `dataclass` makes a class anew; the one before lingers, and has none.
    return [record for record in Record.__subclasses__() if "__slots__" in vars(record)]


class _Codec(NamedTuple):
    """What pydantic makes of one record."""

    validator: SchemaValidator
    serializer: SchemaSerializer


def _codec_of(cls: type[Record]) -> _Codec:
    return _build_codec(cls)  # type: ignore[arg-type]  # mypy takes an instance's hash for this


@cache
def _build_codec(cls: type[Record]) -> _Codec:
    from pydantic import TypeAdapter
    from pydantic_core import CoreConfig, SchemaSerializer, SchemaValidator

    # A validator takes this from its own configuration, not from that of the class.
    config = CoreConfig(title=cls.__name__, hide_input_in_errors=True)
    schema = TypeAdapter(cls).core_schema
    return _Codec(SchemaValidator(schema, config), SchemaSerializer(schema, config))
