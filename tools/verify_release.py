"""Builds a release twice from clean clones and compares: python -m tools.verify_release [FILE...]

Files that are named, as they were downloaded, must be the ones that come out.

Source: RELEASE.md; docs/adr/0028.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tools.archives import read_metadata
from tools.dist import build_both, commit_epoch, faults_of, tracked_files
from tools.venvs import ROOT


def build_clean(ref: str, work: Path, name: str) -> tuple[Path, list[Path]]:
    """A clean clone of a revision, and what is built from it.

    Args:
        ref: The revision, as git names it.
        work: Where the clone and its files go.
        name: The clone's directory; its name must not matter.
    """
    clone = work / name
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "checkout", "-q", "--detach", ref], check=True)
    return clone, list(build_both(clone, work / f"{name}-dist", commit_epoch(clone)))


def content_of(file: Path) -> list[tuple[str, int, bytes]]:
    """What is packed in a wheel or an sdist: name, mode and bytes of each file, in its order."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            return [
                (one.filename, one.external_attr, archive.read(one)) for one in archive.infolist()
            ]
    with tarfile.open(file) as sdist:
        found = []
        for member in sdist:
            stream = sdist.extractfile(member)
            found.append((member.name, member.mode, stream.read() if stream else b""))
        return found


def difference(one: Path, other: Path) -> str | None:
    """What differs between two files of a release; None if they are the same bytes."""
    if one.read_bytes() == other.read_bytes():
        return None
    if content_of(one) == content_of(other):
        return f"{one.name}: the same content, packed into other bytes (another zlib?)"
    return f"{one.name}: another content"


def sha256_of(file: Path) -> str:
    """As sha256sum prints it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def verify(ref: str, files: list[Path], work: Path) -> list[str]:
    """Build twice, compare, and compare with what was downloaded.

    Returns:
        What is wrong, one line each.
    """
    clone, built = build_clean(ref, work, "a")
    _, again = build_clean(ref, work, "another-name")
    found = [difference(*pair) for pair in zip(built, again, strict=True)]
    wrong = [one for one in found if one] + faults_of(built[0], built[1], tracked_files(clone))
    version = str(read_metadata(built[1]).version)
    if ref.startswith("v") and ref != f"v{version}":
        wrong.append(f"the tag {ref} is of version {version}")
    by_name = {file.name: file for file in built}
    for file in files:
        mine = by_name.get(file.name)
        told = f"{file.name}: not a file of {version}" if mine is None else difference(mine, file)
        wrong += [told] if told else []
    for file in built:
        print(f"{sha256_of(file)}  {file.name}")
    return wrong


def main(arguments: list[str] | None = None) -> None:
    """Print the checksums of what comes out; exits with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ref", default="HEAD", help="the revision, for example the tag v0.2.0")
    parser.add_argument("files", nargs="*", type=Path, help="a downloaded sdist or wheel")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        wrong = verify(chosen.ref, chosen.files, Path(work))
    if wrong:
        sys.exit("\n".join(wrong))
    print("the same bytes twice" + (", and those that were given" if chosen.files else ""))


if __name__ == "__main__":
    main()
