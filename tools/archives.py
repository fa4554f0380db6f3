"""Looks into the two files of a release: what must be in them, and what must not."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.metadata import Metadata

PACKAGE = "yoi_bundles"
WANTED = tuple(
    f"{PACKAGE}/{name}"
    for name in ("py.typed", "builtin/bundle.toml", "schemas/bundle.json", "cli/main.py")
)
"""What a wheel is useless without, whatever the project says that it has."""


def wheel_names(wheel: Path) -> list[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def sdist_names(sdist: Path) -> list[str]:
    """The files of an sdist, without the directory that all of them stand in."""
    with tarfile.open(sdist) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    return sorted(name.partition("/")[2] for name in names)


def faults_of_wheel(wheel: Path, package_files: Iterable[str]) -> list[str]:
    """What is wrong with a wheel.

    Args:
        wheel: The file.
        package_files: Every file that the package has, from the top of the project.
    """
    names = wheel_names(wheel)
    inside = {name for name in names if name.startswith(f"{PACKAGE}/")}
    about = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    expected = set(package_files)
    return [
        *(f"lacks {name}" for name in sorted(expected - inside)),
        *(f"lacks {name}" for name in WANTED if name not in inside),
        *(f"has {name}, which is not the package's" for name in sorted(inside - expected)),
        *(f"has {name} at its top" for name in sorted(set(names) - inside - about)),
        *([] if any(name.endswith("/licenses/LICENSE") for name in about) else ["lacks LICENSE"]),
    ]


def faults_of_sdist(sdist: Path, project_files: Iterable[str]) -> list[str]:
    """What is wrong with an sdist, which holds every file of the project and its own metadata."""
    names, expected = set(sdist_names(sdist)), {*project_files, "PKG-INFO"}
    return [
        *(f"lacks {name}" for name in sorted(expected - names)),
        *(f"has {name}, which is not the project's" for name in sorted(names - expected)),
    ]


def read_metadata(wheel: Path) -> Metadata:
    """The metadata of a wheel, each field as the specification wants it.

    Raises:
        ExceptionGroup: Fields that are not, each told by itself.
    """
    name = next(name for name in wheel_names(wheel) if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return Metadata.from_email(archive.read(name), validate=True)
