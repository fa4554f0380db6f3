"""What a release is made of: the two files, what is in them, and that they can be made again."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from tools.archives import faults_of_sdist, faults_of_wheel, read_metadata, sdist_names, wheel_names
from tools.dist import build_both, commit_epoch, faults_of, tracked_files
from yoi_bundles import __version__

ROOT = Path(__file__).parents[3]
EPOCH = "1700000000"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The project as it is committed: a work tree may hold more."""
    path = tmp_path_factory.mktemp("dist") / "clone"
    subprocess.run(["git", "clone", "-q", "--shared", str(ROOT), str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory):
    return build_both(clone, tmp_path_factory.mktemp("out"), EPOCH)


def test_both_files_hold_what_they_must_and_nothing_else(clone, built):
    sdist, wheel = built

    assert faults_of(sdist, wheel, tracked_files(clone)) == []
    assert "tests/conftest.py" in sdist_names(sdist)
    assert {name.partition("/")[0] for name in wheel_names(wheel)} == {
        "yoi_bundles", f"yoi_bundles-{read_metadata(wheel).version}.dist-info",
    }  # fmt: skip


def test_the_same_commit_makes_the_same_bytes_again(clone, built, tmp_path):
    for path in clone.rglob("*.md"):
        path.touch()
    (clone / "yoi_bundles" / "__pycache__").mkdir()
    (clone / "yoi_bundles" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"cached")
    again = build_both(clone, tmp_path, EPOCH)

    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_time_in_them_is_that_of_the_commit(clone):
    assert commit_epoch(clone) == commit_epoch(ROOT)
    assert commit_epoch(clone).isdigit()


def test_the_metadata_follows_the_specification(built):
    metadata = read_metadata(built[1])

    assert metadata.name == "yoi-bundles"
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE"]
    assert "yoi_bundles developers" in str(metadata.author)
    assert metadata.requires_python is not None
    assert "3.11" in metadata.requires_python
    assert {"server"} <= set(metadata.provides_extra or [])
    assert not [one for one in metadata.classifiers or [] if one.startswith("License ::")]


def test_both_names_of_the_command_are_installed(built):
    with zipfile.ZipFile(built[1]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(name).decode()

    target = "yoi_bundles.cli.main:main"
    assert text.split() == ["[console_scripts]", f"yb={target}", f"yoi-bundles={target}"]


def test_the_version_is_one_that_installers_can_order():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert str(Version(__version__)) == __version__
    assert project["dynamic"] == ["version"]


def test_what_is_missing_or_too_much_in_a_wheel_is_told(tmp_path):
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("yoi_bundles/cli/main.py", "")
        archive.writestr("yoi_bundles/stray.txt", "")
        archive.writestr("tests/test_x.py", "")

    found = faults_of_wheel(wheel, ["yoi_bundles/cli/main.py", "yoi_bundles/errors.py"])

    assert found == [
        "lacks yoi_bundles/errors.py",
        "lacks yoi_bundles/py.typed",
        "lacks yoi_bundles/builtin/bundle.toml",
        "lacks yoi_bundles/schemas/bundle.json",
        "has yoi_bundles/stray.txt, which is not the package's",
        "has tests/test_x.py at its top",
        "lacks LICENSE",
    ]


def test_what_is_missing_or_too_much_in_an_sdist_is_told(built):
    files = sdist_names(built[0])
    expected = [name for name in files if name not in {"PKG-INFO", "README.md"}]

    assert faults_of_sdist(built[0], [*expected, "gone.txt"]) == [
        "lacks gone.txt",
        "has README.md, which is not the project's",
    ]
