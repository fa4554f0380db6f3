"""Canonical JSON and the hashes taken of it.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

from __future__ import annotations

import hashlib

import rfc8785
from pydantic import BaseModel

from yoi_bundles.model.ids import ContentHash


def encode_canonical(value: BaseModel) -> bytes:
    """The one byte string that stands for a value on every machine (RFC 8785)."""
    return rfc8785.dumps(value.model_dump(mode="json", by_alias=True))


def canonical_hash(value: BaseModel) -> ContentHash:
    """SHA-256 of the canonical JSON of a value."""
    return ContentHash("sha256:" + hashlib.sha256(encode_canonical(value)).hexdigest())
