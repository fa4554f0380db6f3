"""Pages of the API as Markdown, made of the docstrings of the public names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
PUBLIC = ("yoi_bundles", "yoi_bundles.aio")
_WIDTH = 76
_SECTION = re.compile(r"^(Args|Returns|Raises|Source):\s*(.*)$")


def write_pages(directory: Path) -> None:
    """Write a page for each public module."""
    directory.mkdir(parents=True)
    package = griffe.load("yoi_bundles", search_paths=[ROOT], resolve_aliases=True)
    for name in PUBLIC:
        module = package if name == "yoi_bundles" else package[name.removeprefix("yoi_bundles.")]
        text = "\n".join(_page(name, module))
        (directory / f"{name}.md").write_text(text, "utf-8")


def _page(name: str, module: griffe.Object | griffe.Alias) -> Iterator[str]:
    yield f"# {name}\n"
    yield from _doc(module)
    exported = sorted(name for name in map(str, module.exports or ()) if not name.startswith("_"))
    members = [module.members[name] for name in exported]
    kinds = {
        "Functions": [one for one in members if one.is_function],
        "Classes": [one for one in members if one.is_class and not _is_error(one)],
        "Errors": [one for one in members if one.is_class and _is_error(one)],
        "Types": [one for one in members if not one.is_class and not one.is_function],
    }
    for kind, found in kinds.items():
        if found:
            yield f"## {kind}\n"
        for one in found:
            yield from _entry(one, level=3)


def _is_error(one: griffe.Object | griffe.Alias) -> bool:
    return one.name.endswith("Error")


def _entry(one: griffe.Object | griffe.Alias, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} {one.name}\n"
    signature = _signature(one)
    if signature:
        yield f"```python\n{signature}\n```\n"
    yield from _doc(one)
    if one.is_class and not _is_error(one):
        for name, member in _target(one).members.items():
            if not name.startswith("_") and not member.is_alias and member.docstring is not None:
                yield from _entry(member, level=level + 1)


def _target(one: griffe.Object | griffe.Alias) -> griffe.Object:
    return one.final_target if isinstance(one, griffe.Alias) else one


def _signature(one: griffe.Object | griffe.Alias) -> str:
    found = _target(one)
    if isinstance(found, griffe.Function):
        label = "@classmethod\n" if "classmethod" in found.labels else ""
        return f"{label}def {_wrapped(str(found.signature(name=one.name)))}"
    if isinstance(found, griffe.Attribute) and found.annotation is not None:
        return f"{one.name}: {found.annotation}"
    if isinstance(found, griffe.Class):
        bases = ", ".join(str(base).rpartition(".")[2] for base in found.bases)
        return f"class {one.name}({bases})" if bases else f"class {one.name}"
    return ""


def _wrapped(signature: str) -> str:
    """A signature with a parameter a line, if it would run off the page."""
    if len(signature) <= _WIDTH:
        return signature
    depth, lines = 0, [""]
    for letter in signature:
        depth -= letter in ")]}"
        if letter == ")" and not depth:
            lines[-1] += ","
            lines.append("")
        lines[-1] += letter
        depth += letter in "([{"
        if depth == 1 and letter in "(,":
            lines.append("")
    return "\n".join(
        line if number in {0, len(lines) - 1} else f"    {line.strip()}"
        for number, line in enumerate(lines)
    )


def _doc(one: griffe.Object | griffe.Alias) -> Iterator[str]:
    """The docstring, its sections as lists."""
    if one.docstring is None:
        return
    lines = one.docstring.value.splitlines()
    in_section = False
    for line in lines:
        heading = _SECTION.match(line)
        if heading is not None:
            in_section = heading[1] != "Source"
            yield f"\n**{heading[1]}**: {heading[2]}\n" if heading[2] else f"\n**{heading[1]}**\n"
        elif in_section and re.match(r" {4}\S", line):
            name, colon, rest = line.strip().partition(": ")
            yield f"- `{name}`: {rest}" if colon and " " not in name else f"- {line.strip()}"
        elif in_section:
            yield f"  {line.strip()}" if line.strip() else ""
        else:
            yield line
    yield ""
