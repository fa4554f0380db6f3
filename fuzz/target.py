"""What a fuzz target is, and what counts as a finding."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

from pydantic import BaseModel

from yoi_bundles.errors import BundleError
from yoi_bundles.model.texts import UNSEEN


class PromiseError(Exception):
    """A parser broke its promise."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser and its oracle.

    Args:
        name: Also that of its folder in the corpus.
        check: Parses the bytes and raises `PromiseError` if a property does not hold; a
            `BundleError` may leave it, nothing else.
        codes: What those errors may say.
        max_bytes: Longer inputs are not tried.
        seeds: Makes the first inputs, by name.
    """

    name: str
    check: Callable[[bytes], None]
    codes: frozenset[str]
    seeds: Callable[[], Mapping[str, bytes]]
    max_bytes: int = 4096


def judge(target: Target, data: bytes) -> str:
    """Put one input to a target.

    Returns:
        The code it was refused by, or ``accepted``.

    Raises:
        PromiseError: A property does not hold, or an error that this parser may not raise.
        Exception: Whatever else escaped from the parser; that is a finding too.
    """
    try:
        target.check(data)
    except BundleError as error:
        verify_error(error, target.codes)
        return error.code
    return "accepted"


def verify_error(error: BundleError, codes: frozenset[str]) -> None:
    """Check what an error says of bytes from outside.

    Raises:
        PromiseError: Another code, no text, or something in it that a log or terminal must not get.
    """
    must(error.code in codes, f"{error.code}: {error.message}")
    must(bool(error.message), "an error without a message")
    document = json.dumps([error.message, error.hint, error.facts])
    must(len(document) < 64 * 1024, "an error is as long as its input")
    verify_texts(json.loads(document))


def must(is_so: bool, what: str) -> None:
    """Let a property hold.

    Raises:
        PromiseError: It does not.
    """
    if not is_so:
        raise PromiseError(what)


def must_equal(one: object, two: object, what: str) -> None:
    """Let two values be equal.

    Raises:
        PromiseError: They are not; it shows both, shortened.
    """
    must(one == two, f"{what}: {one!r:.300} is not {two!r:.300}")


def verify_texts(value: object) -> None:
    """Check that no text below a value holds what people cannot see.

    Raises:
        PromiseError: One does.
    """
    for text in texts_of(value):
        must(UNSEEN.search(text) is None, f"an unseen character in {text!a:.300}")


def texts_of(value: object) -> Iterator[str]:
    """Every string in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts_in(value.__dict__.values())
    elif isinstance(value, Mapping):
        yield from _texts_in([*value.keys(), *value.values()])
    elif is_dataclass(value):
        yield from _texts_in(getattr(value, field.name) for field in fields(value))
    elif isinstance(value, (list, tuple)):
        yield from _texts_in(value)


def _texts_in(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        yield from texts_of(value)
