"""Which rules a check followed: an id that is another one whenever a rule may be another one.

Source: docs/adr/0021-what-a-stat-cache-may-vouch-for.md.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from yoi_bundles import content, errors, model
from yoi_bundles.model.limits import Limits


@cache
def find_rules_id(limits: Limits) -> str | None:
    """The id of the rules of this program under some limits.

    It covers the source of all that judges content, and the versions of what that is built on: a
    number to be raised by hand would be forgotten.

    Args:
        limits: Bounds of what may be published.

    Returns:
        64 hex digits; None if the program was installed without its source.
    """
    found = hashlib.sha256(f"{sys.version}\0{limits!r}\0".encode())
    packages = [Path(str(package.__file__)).parent for package in (content, model)]
    try:
        files = [file for package in packages for file in sorted(package.glob("*.py"))]
        for file in (*files, Path(str(errors.__file__)), _pydantic_version()):
            data = file.read_bytes()
            found.update(f"{file.parent.name}/{file.name}\0{len(data)}\0".encode() + data)
    except OSError:
        return None
    return found.hexdigest() if files else None


def _pydantic_version() -> Path:
    """The file that names pydantic's version, which is found without loading pydantic.

    Raises:
        OSError: It is not known where that is.
    """
    spec = find_spec("pydantic")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pydantic")
    return Path(spec.origin).with_name("version.py")
