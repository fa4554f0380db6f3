"""The line index against the standard library's reader, over TOML of every shape."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from depth import times
from hypothesis import given, settings
from hypothesis import strategies as st

from yoi_bundles.content.toml_lines import index_lines
from yoi_bundles.model.bundle import KeyPath

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
KEYS = st.one_of(
    st.text("abcdefXYZ0189_-", min_size=1, max_size=6),
    TEXT,
    st.sampled_from(["a.b", 'quo"ted', "it's", "#hash", "[x]", "=", "back\\slash", ""]),
)
AWKWARD = st.sampled_from(
    ['"""', "'''", "a # b", "]", "}", "{x = 1}", "[t]", "line\nline", 'q"q', "'", "\\", "=", "a,b"]
)
SCALARS = st.one_of(
    TEXT, AWKWARD, st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_nan=False),
    st.datetimes(), st.dates(),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=6)


def all_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from all_paths(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from all_paths(inner, (*path, index))


@given(DOCUMENTS)
@settings(max_examples=times(120), deadline=None)
def test_every_key_of_a_document_has_a_line_and_nothing_else_has(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    lines = index_lines(text)
    assert set(lines) == set(all_paths(tomllib.loads(text)))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


# --- hand-written shapes: each line says, by a marker, which key path stands on it -------------

BARE = st.text("abcdefgh", min_size=1, max_size=3)
FILLER = st.sampled_from(["", "# a comment", '# k = "v"', "#[t]", "   ", "\t# x"])
STRINGS = st.sampled_from(
    [
        '"x"', "'x'", '"a # b"', "'[t]'", '"""x"""', "'''x'''", '"""\nx = 1\n[t]\n"""',
        "'''\n# x\nk = 2\n'''", '"""a""b\\""" c"""', "''''x'''", '"""x"""""', '"\\"]"',
        '"""\\\n   x"""',
    ]
)  # fmt: skip
PLAIN = st.sampled_from(["1", "-1.5e3", "true", "1979-05-27 07:32:00", "0x1F", "inf", "07:32:00"])


@st.composite
def arrays(draw: st.DrawFn) -> str:
    entries = draw(st.lists(st.one_of(STRINGS, PLAIN, st.just("{ a = [1, 2] }")), max_size=4))
    newline = draw(st.sampled_from(["", "\n", " # c ] \n\n  "]))
    tail = draw(st.sampled_from(["", ","])) if entries else ""
    return "[" + newline + ("," + newline).join(entries) + tail + newline + "]"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A text and the lines of its table headers and pairs."""
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}
    for number in range(draw(st.integers(0, 4))):
        lines += draw(st.lists(FILLER, max_size=3))
        table: KeyPath = (f"t{number}",)
        repeats = draw(st.sampled_from([0, 1, 3]))
        for entry in range(max(repeats, 1)):
            space = draw(st.sampled_from(["", " "]))
            header = f"[{space}t{number}{space}]"
            lines.append(
                (f"[{header}]" if repeats else header) + draw(st.sampled_from(["", " # c"]))
            )
            here = (*table, entry) if repeats else table
            expected[here] = len(lines)
            for key in draw(st.lists(BARE, max_size=3, unique=True)):
                lines += draw(st.lists(FILLER, max_size=2))
                value = draw(st.one_of(STRINGS, PLAIN, arrays()))
                written = draw(st.sampled_from([key, f'"{key}"', f"'{key}'", f"{key} . sub"]))
                expected[(*here, key)] = len("\n".join(lines).split("\n")) + 1 if lines else 1
                lines.append(f"{draw(st.sampled_from(['', '  ']))}{written} = {value}")
                lines = "\n".join(lines).split("\n")
    return "\n".join(lines), expected


@given(documents())
@settings(max_examples=times(120), deadline=None)
def test_lines_are_where_the_keys_were_written(made: tuple[str, dict[KeyPath, int]]) -> None:
    text, expected = made
    lines = index_lines(text)
    assert set(lines) == set(all_paths(tomllib.loads(text)))
    assert {path: lines[path] for path in expected} == expected
