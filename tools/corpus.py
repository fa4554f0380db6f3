"""Writes the hostile corpus as files that any implementation can be run on: python -m tools.corpus

Bundle files, one manifest and a README. The bytes depend on nothing but the builders of
tests/hostile and on zlib: two runs on one machine write the same manifest.

Source: docs/hostile-corpus.md, "As files".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tools.venvs import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests" / "hostile"))

from builder import WORKSPACE, Upload, World
from families import CASES
from families.controls import CONTROLS, FRESH_CONTROLS, HELD
from families.sizes import LIMITS
from harness import build, is_for_nobody, load_table

from yoi_bundles.model.limits import DEFAULT_LIMITS
from yoi_bundles.wire.messages.problems import STATUS

FORMAT = "yoi-bundles hostile corpus"
FORMAT_VERSION = 1
README = Path(__file__).with_name("corpus_readme.md")

Row = dict[str, Any]


def write_corpus(out: Path, families: Iterable[str] = ()) -> str:
    """Write the corpus into a directory, in place of what was there.

    Args:
        out: The directory.
        families: Only these; all if none is named. Controls are always written.

    Returns:
        The SHA-256 of the manifest, which names that of every file.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    wanted = set(families)
    names = [name for name in CASES if not wanted or name.partition("/")[0] in wanted]
    world = World()
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "workspace": WORKSPACE,
        "object_format": "sha256",
        "default_limits": DEFAULT_LIMITS._asdict(),
        "receivers": {"holder": _holder(out, world), "nobody": {"setup": [], "holds": []}},
        "cases": [_case(out, name, build(name, world)) for name in names],
        "controls": list(_controls(out, world)),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=True) + "\n"
    (out / "manifest.json").write_text(text, encoding="ascii")
    shutil.copyfile(README, out / "README.md")
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _holder(out: Path, world: World) -> Row:
    """What the receiver that holds something is sent first, and what it holds then."""
    setup = [
        _write(out, f"setup/{number}", upload) for number, upload in enumerate(world.setup(), 1)
    ]
    holds = [
        {"revision": number, "commit": commit.hex(), "digest": tree.hex()}
        for number, (commit, tree) in enumerate(zip(world.commits, world.trees, strict=True), 1)
    ]
    return {"setup": setup, "holds": holds}


def _case(out: Path, name: str, upload: Upload) -> Row:
    row = load_table()[name]
    expected = {"code": row["code"], "http_status": STATUS[row["code"]]}
    return {
        "name": name,
        "family": row["family"],
        "description": row["why"],
        "receiver": "nobody" if is_for_nobody(name) else "holder",
        **_write(out, f"cases/{name}", upload),
        "limits": LIMITS.get(name, {}),
        "expected": expected,
    }


def _controls(out: Path, world: World) -> Iterator[Row]:
    """Each after the one before: they move the head of their receiver on."""
    for receiver, made, start in (
        ("holder", CONTROLS, world),
        ("nobody", FRESH_CONTROLS, World()),
    ):
        for name, make in made.items():
            words = " ".join((make.__doc__ or "").split())
            yield {
                "name": name,
                "description": words or f"An honest file: {name.replace('-', ' ')}.",
                "receiver": receiver,
                **_write(out, f"controls/{receiver}/{name}", make(start)),
                "expected": {"accepted": True, "is_new": name not in HELD},
            }


def _write(out: Path, name: str, upload: Upload) -> Row:
    path = out / f"{name}.bundle"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(upload.raw)
    return {
        "file": f"{name}.bundle",
        "bytes": len(upload.raw),
        "sha256": hashlib.sha256(upload.raw).hexdigest(),
        "digest": upload.digest,
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the corpus, say how large it is and what its manifest hashes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, default=BUILD / "corpus")
    chosen = parser.parse_args(arguments)
    digest = write_corpus(chosen.out, chosen.families)
    files = [path for path in chosen.out.rglob("*") if path.is_file()]
    size_mib = sum(path.stat().st_size for path in files) / 2**20
    print(f"wrote {len(files)} files, {size_mib:.0f} MiB, to {chosen.out}")
    print(f"sha256 of manifest.json: {digest}")


if __name__ == "__main__":
    main()
