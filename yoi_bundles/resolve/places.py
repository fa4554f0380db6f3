"""Places: lines of a bundle's files that decisions and explanations point at."""

from __future__ import annotations

from yoi_bundles.errors import InvalidManifestError
from yoi_bundles.model.bundle import KeyPath, Source
from yoi_bundles.model.spec import Place


def make_place(source: Source, path: KeyPath = ()) -> Place:
    """The place of a key, or of the nearest table around it."""
    return Place(file=source.file, blob=source.blob, line=source.line_of(path))


def invalid_manifest(
    message: str, place: Place, *, hint: str | None = None
) -> InvalidManifestError:
    """The error for a declaration that resolution cannot use, with the place of it."""
    return InvalidManifestError(message, hint=hint, file=str(place.file), line=place.line)
