"""Names and ids as value types: parsed once at the border, never bare strings inside.

Source: docs/glossary.md; gitformat-commit; git-check-ref-format.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from yoi_bundles.errors import InvalidInputError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    """As `re.compile`, whose own look-up costs more than most of our matches."""
    return re.compile(pattern)


class TextValue:
    """A frozen, hashable, ordered value whose whole state is one validated string.

    Two values are equal only if their types are: a `Digest` is never equal to a `CommitId`.
    """

    __slots__ = ("_text",)
    pattern: ClassVar[str] = r".+"
    max_length: ClassVar[int] = 1024
    what: ClassVar[str] = "value"
    _text: str

    def __init__(self, text: str) -> None:
        _set_text(self, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Turn text into a value.

        Args:
            text: The exact spelling; nothing is trimmed or folded.

        Raises:
            InvalidInputError: The text is not a value of this type.
        """
        if len(text) > cls.max_length or _compile(cls.pattern).fullmatch(text) is None:
            raise InvalidInputError(
                f"{_shown(text)} is not a {cls.what}", hint=f"a {cls.what} matches {cls.pattern}"
            )
        cls._verify_more(text)
        return cls(text)

    @classmethod
    def coerce(cls, value: str | Self) -> Self:
        """A value of this type as it is, or the text of one parsed: what callers may give.

        Raises:
            InvalidInputError: It is neither.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise InvalidInputError(f"a {type(value).__name__} is not a {cls.what}")
        return cls.parse(value)

    @classmethod
    def _verify_more(cls, text: str) -> None:
        """Rules that a pattern cannot say; raises InvalidInputError."""

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._text == self._text

    def __lt__(self, other: Self) -> bool:
        return self._text < other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return (type(self), (self._text,))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Strings on the wire, values inside."""
        from pydantic_core import core_schema

        def validate(value: object) -> TextValue:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str):
                raise ValueError(f"a {cls.what} is a string")
            try:
                return cls.parse(value)
            except InvalidInputError as error:
                raise ValueError(error.message) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The pattern, so that editors and other languages can check it too."""
        return {
            "type": "string",
            "pattern": f"^(?:{cls.pattern})$",
            "maxLength": cls.max_length,
            "title": cls.__name__,
        }


_set_text = vars(TextValue)["_text"].__set__
"""Sets what is frozen; a bundle has a value for each file, and this is the fastest way."""


def _shown(text: str) -> str:
    """Text from outside as it may stand in a message: escaped and short."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


class _ObjectId(TextValue):
    """A SHA-256 git object id: 64 lower-case hex digits."""

    __slots__ = ()
    pattern = r"[0-9a-f]{64}"
    max_length = 64

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Make an id from its 32 raw bytes.

        Raises:
            InvalidInputError: Not exactly 32 bytes.
        """
        if len(raw) != 32:
            raise InvalidInputError(f"{len(raw)} bytes are not a {cls.what}")
        return cls(raw.hex())

    @property
    def raw(self) -> bytes:
        """The 32 raw bytes."""
        return bytes.fromhex(self._text)

    @property
    def hex_ascii(self) -> bytes:
        """The 64 hex digits as ASCII bytes, the spelling git formats use."""
        return self._text.encode("ascii")

    @property
    def short(self) -> str:
        """The first 12 digits, for people."""
        return self._text[:12]


class Digest(_ObjectId):
    """Identity of a bundle: the tree id that ``git rev-parse REV^{tree}`` prints."""

    __slots__ = ()
    what = "bundle digest (64 lower-case hex digits)"


class CommitId(_ObjectId):
    """Identity of a commit."""

    __slots__ = ()
    what = "commit id (64 lower-case hex digits)"


class BlobId(_ObjectId):
    """Identity of one file's content."""

    __slots__ = ()
    what = "blob id (64 lower-case hex digits)"


class ContentHash(TextValue):
    """A plain SHA-256 of bytes, ``sha256:`` and 64 hex digits; not a git object id."""

    __slots__ = ()
    pattern = r"sha256:[0-9a-f]{64}"
    max_length = 71
    what = "content hash (sha256: and 64 lower-case hex digits)"


class WorkspaceId(TextValue):
    """Name of a workspace: the tenancy boundary, one bare repository each."""

    __slots__ = ()
    pattern = r"[a-z0-9][a-z0-9._-]{0,62}"
    max_length = 63
    what = "workspace id"

    @classmethod
    def _verify_more(cls, text: str) -> None:
        if ".." in text or text.endswith((".", ".lock", ".git")):
            raise InvalidInputError(
                f"{_shown(text)} is not a workspace id",
                hint="no '..', and no '.', '.lock' or '.git' at the end",
            )


BUILTIN_WORKSPACE = WorkspaceId("builtin")
"""Whose the builtin profiles are; no repository may have this name (ADR 0009)."""


class Name(TextValue):
    """Name of a declaration: the file name without its suffix."""

    __slots__ = ()
    pattern = r"[a-z0-9][a-z0-9-]{0,62}"
    max_length = 63
    what = "name (lower-case letters, digits and '-', at most 63)"


class ChannelName(Name):
    """Name of a line of promotions; ``main`` is the line of revisions itself."""

    __slots__ = ()
    what = "channel name"


MAIN_CHANNEL = ChannelName("main")
"""The channel every workspace has: its newest revision."""


class RuntimeId(TextValue):
    """Name of a Runtime in the Backend's registry."""

    __slots__ = ()
    pattern = r"[a-z0-9][a-z0-9._-]{0,62}"
    max_length = 63
    what = "runtime id"


class WorkerId(TextValue):
    """Name of a Worker, chosen by whoever asks for it; the key of idempotency."""

    __slots__ = ()
    pattern = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
    max_length = 128
    what = "worker id"


class PromptKey(TextValue):
    """Key of a prompt: ``prompts/role/coder.md`` has the key ``role.coder``."""

    __slots__ = ()
    pattern = r"[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*){0,7}"
    max_length = 255
    what = "prompt key"


class ModelRef(TextValue):
    """``provider/model``, both declared in ``models/<provider>.toml``."""

    __slots__ = ()
    pattern = r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9._-]{0,62}"
    max_length = 127
    what = "model reference (provider/model)"

    @property
    def provider(self) -> Name:
        """The part before the slash."""
        return Name(self._text.partition("/")[0])

    @property
    def model(self) -> str:
        """The part after the slash."""
        return self._text.partition("/")[2]


class RelativePath(TextValue):
    """A safe path inside a tree: ``/`` between names, no empty name, no ``.`` or ``..``."""

    __slots__ = ()
    pattern = r"[^/\x00-\x1f\x7f\\:]+(/[^/\x00-\x1f\x7f\\:]+)*"
    max_length = 1024
    what = "relative path"

    @classmethod
    def _verify_more(cls, text: str) -> None:
        if any(part in (".", "..") for part in text.split("/")):
            raise InvalidInputError(f"{_shown(text)} is not a relative path", hint="no '.' or '..'")
