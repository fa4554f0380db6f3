"""Canonical JSON and the hashes taken of it.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785
from pydantic import BaseModel

from yoi_bundles.model.ids import ContentHash

_MAX_INTEGER = 2**53 - 1
"""Larger ones are no numbers of JSON to everybody (RFC 8785, appendix D)."""
_SPELLING: dict[str, Any] = {"sort_keys": True, "separators": (",", ":")}


def encode_canonical(value: BaseModel) -> bytes:
    """The one byte string that stands for a value on every machine (RFC 8785)."""
    return encode_canonical_json(value.model_dump(mode="json", by_alias=True))


def canonical_hash(value: BaseModel) -> ContentHash:
    """SHA-256 of the canonical JSON of a value."""
    return ContentHash("sha256:" + hashlib.sha256(encode_canonical(value)).hexdigest())


def encode_canonical_json(value: Any) -> bytes:  # noqa: ANN401
    """The canonical bytes of plain JSON values.

    Raises:
        rfc8785.CanonicalizationError: A number or a text has no canonical form.
    """
    try:
        return _encode_quickly(value)
    except ValueError:
        return rfc8785.dumps(value)


def _encode_quickly(value: Any) -> bytes:  # noqa: ANN401
    """As the library, in a tenth of the time, where both must say the same.

    They spell texts, whole numbers, short fractions and tables alike. The order of keys is another
    one only beyond the first 65,536 characters, where UTF-16 has two units for one.

    Raises:
        ValueError: The library has to be asked.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, **_SPELLING)
    if not text.isascii() and len(text.encode("utf-16-le")) > 2 * len(text):
        raise ValueError("a character of two units")
    # The quickest way to see every number: the encoder has no hook for them.
    json.loads(text, parse_float=_verify_fraction, parse_int=_verify_integer)
    return text.encode("utf-8")


def _verify_fraction(text: str) -> None:
    """Both spell the same shortest digits; they differ in exponents, and in ``1.0`` for ``1``."""
    if "e" in text or text.endswith(".0"):
        raise ValueError(text)


def _verify_integer(text: str) -> None:
    if len(text) > 15 and abs(int(text)) > _MAX_INTEGER:
        raise ValueError(text)
