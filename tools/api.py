"""The public API as data, in docs/api.json: python -m tools.api [--write]

Read by griffe from the source, without an import: the names of `yoi_bundles` and `yoi_bundles.aio`,
their signatures and members. No line numbers, no paths: the file changes when the API does.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from typing import TypeAlias

import griffe

from tools.venvs import ROOT

FILE = ROOT / "docs" / "api.json"
MODULES = ("yoi_bundles", "yoi_bundles.aio")
Described: TypeAlias = dict[str, str | dict[str, str]]
Api: TypeAlias = dict[str, dict[str, Described]]
Member: TypeAlias = griffe.Object | griffe.Alias


def load_package() -> griffe.Object | griffe.Alias:
    """The package as griffe reads it, its docstrings as Google writes them."""
    return griffe.load(
        "yoi_bundles",
        search_paths=[ROOT],
        allow_inspection=False,
        docstring_parser=griffe.Parser.google,
    )


def public_names(package: Member, module: str) -> Iterator[tuple[str, Member]]:
    """Each name in ``__all__`` of a module with what it stands for, in the order of names."""
    found = package if module == package.path else package[module.removeprefix("yoi_bundles.")]
    for name in sorted(str(one) for one in found.exports or ()):
        member = found[name]
        yield name, member.final_target if isinstance(member, griffe.Alias) else member


def public_members(cls: Member, described: frozenset[str]) -> Iterator[tuple[str, Member]]:
    """Members of a class that callers may use, also inherited ones.

    Args:
        described: Paths of classes that are described themselves: what comes from them is theirs.
    """
    members = cls.all_members
    is_opened = "open" in members  # nobody calls its constructor
    for name, member in sorted(members.items()):
        found = member.final_target if isinstance(member, griffe.Alias) else member
        home = found.parent.path if found.parent else ""
        is_hidden = name == "model_config" or (name.startswith("_") and name != "__init__")
        is_theirs = home != cls.path and home in described
        if not (is_hidden or is_theirs or (is_opened and name == "__init__")):
            yield name, found


def signature_of(function: Member) -> str:
    """Parameters and answer of a function as they stand in the source."""
    if not isinstance(function, griffe.Function):
        raise TypeError(f"{function.path} is no function")
    labels = sorted(function.labels & {"async", "classmethod", "staticmethod"})
    return " ".join([*labels, function.signature(return_type=True)])


def describe_member(member: Member) -> str:
    """A function's signature, or the type and value of an attribute."""
    if member.is_function:
        return signature_of(member)
    if not isinstance(member, griffe.Attribute):
        return str(member.kind.value)
    typed = "" if member.annotation is None else f": {member.annotation}"
    kind = "property" if "property" in member.labels else "attribute"
    if member.value is None or member.labels >= {"property"}:
        return kind + typed
    if "class-attribute" in member.labels:
        return f"{kind}{typed} = {member.value}"
    made = re.match(r"([A-Z]\w+)\(", str(member.value))  # set by a constructor: its type counts
    return kind + (typed or (f": {made[1]}" if made else ""))


def describe(member: Member, described: frozenset[str]) -> Described:
    """A name of the face: what it is, and for a class its bases and members."""
    if not isinstance(member, griffe.Class):
        return {"is": describe_member(member)}
    bases = ", ".join(str(base) for base in member.bases)
    members = {name: describe_member(one) for name, one in public_members(member, described)}
    return {"is": f"class({bases})", "members": members}


def describe_api() -> Api:
    """The whole face."""
    package = load_package()
    named = {module: dict(public_names(package, module)) for module in MODULES}
    paths = frozenset(one.path for names in named.values() for one in names.values())
    return {
        module: {name: describe(one, paths) for name, one in names.items()}
        for module, names in named.items()
    }


def as_text(api: Api) -> str:
    """The text of the file."""
    return json.dumps(api, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def lines_of(api: Api) -> dict[str, str]:
    """Path of each thing → what it is."""
    found: dict[str, str] = {}
    for module, names in api.items():
        for name, described in names.items():
            for key, value in described.items():
                members = {"": value} if isinstance(value, str) else value
                for member, text in members.items():
                    where = ".".join(filter(None, [module, name, member if key != "is" else ""]))
                    found[where] = text
    return found


def differences(old: Api, new: Api) -> list[str]:
    """What differs, a line each; what begins with ``-`` or ``!`` may break a program."""
    before, after = lines_of(old), lines_of(new)
    return [
        *(f"- {path}" for path in sorted(before.keys() - after.keys())),
        *(
            f"! {path}: {before[path]} -> {after[path]}"
            for path in sorted(before.keys() & after.keys())
            if before[path] != after[path]
        ),
        *(f"+ {path}: {after[path]}" for path in sorted(after.keys() - before.keys())),
    ]


def main() -> None:
    """Show what differs from the file, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="write docs/api.json")
    is_written = parser.parse_args().write
    api = describe_api()
    old: Api = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    found = differences(old, api)
    print("\n".join(found) if old else f"{len(found)} names")
    if is_written:
        FILE.write_text(as_text(api), "utf-8")
    elif found:
        sys.exit(1)


if __name__ == "__main__":
    main()
