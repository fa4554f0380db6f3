"""Where each key of a TOML text stands.

The standard library's reader gives values without places; this one gives places without values.
It may only be asked about text that ``tomllib`` has accepted, so it looks for the shape alone.

Source: TOML 1.0.0.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, overload

from yoi_bundles.model.bundle import KeyPath

T = TypeVar("T")

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}')
_LONG_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPED = {
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "f": "\f",
    "e": "\x1b",
    "r": "\r",
    '"': '"',
    "\\": "\\",
}


def index_lines(text: str) -> dict[KeyPath, int]:
    """1-based lines of every key, table and array entry.

    Args:
        text: TOML that ``tomllib.loads`` accepts, nested no deeper than Python can recurse.

    Raises:
        ValueError: The text is not TOML.
    """
    # tomllib takes these line ends for the others too.
    return _Indexer(text.replace("\r\n", "\n")).index()


class LineIndex(Mapping[KeyPath, int]):
    """`index_lines` of a text, made when the first line is asked for: most never are.

    Args:
        text: As for `index_lines`.
    """

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[KeyPath, int] | None = None

    def _lines(self) -> dict[KeyPath, int]:
        if self._found is None:
            self._found = index_lines(self._text)
        return self._found

    def __getitem__(self, path: KeyPath) -> int:
        return self._lines()[path]

    @overload
    def get(self, path: KeyPath, /) -> int | None: ...
    @overload
    def get(self, path: KeyPath, default: int | T, /) -> int | T: ...
    def get(self, path: KeyPath, default: int | T | None = None, /) -> int | T | None:
        """As every mapping's, which would ask by way of an exception."""
        return self._lines().get(path, default)

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())


class _Indexer:
    """One pass over a text; ``_at`` is the place, ``_table`` the table of the last header."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[KeyPath, int] = {(): 1}
        self._table: KeyPath = ()
        self._arrays: dict[KeyPath, int] = {}
        """Arrays of tables and how many entries each has so far."""

    def index(self) -> dict[KeyPath, int]:
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                self._read_header()
            else:
                self._read_pair(self._table)
            self._skip(_BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _read_header(self) -> None:
        is_array = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if is_array else 1
        key = self._read_key()
        self._at = self._text.index("]", self._at) + (2 if is_array else 1)
        path = self._resolve(key[:-1], line)
        path = (*path, key[-1])
        if is_array:
            count = self._arrays.get(path, 0)
            self._arrays[path] = count + 1
            self._lines.setdefault(path, line)
            path = (*path, count)
        self._lines[path] = line
        self._table = path

    def _resolve(self, key: KeyPath, line: int) -> KeyPath:
        """The table that a header's leading names mean: an array of tables means its last."""
        path: KeyPath = ()
        for part in key:
            path = (*path, part)
            self._lines.setdefault(path, line)
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        return path

    def _read_pair(self, table: KeyPath) -> None:
        line = self._line()
        key = self._read_key()
        for end in range(1, len(key) + 1):
            self._lines.setdefault((*table, *key[:end]), line)
        self._at = self._text.index("=", self._at) + 1
        self._read_value((*table, *key))

    def _read_key(self) -> KeyPath:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            parts.append(self._read_key_part())
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _read_key_part(self) -> str:
        for pattern in (_BARE_KEY, _BASIC, _LITERAL):
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                break
        else:
            raise ValueError("not TOML: a key was expected")
        if pattern is _BASIC:
            return _ESCAPE.sub(_unescape, found.group(1))
        return found.group(1) if pattern is _LITERAL else found.group()

    def _read_value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._text.startswith("[", self._at):
            self._read_array(path)
        elif self._text.startswith("{", self._at):
            self._read_inline_table(path)
        else:
            self._skip_scalar()

    def _read_array(self, path: KeyPath) -> None:
        self._at += 1
        count = 0
        self._skip(_BLANK)
        while not self._text.startswith("]", self._at):
            self._lines[(*path, count)] = self._line()
            self._read_value((*path, count))
            count += 1
            self._skip(_BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _read_inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip(_BLANK)
        while not self._text.startswith("}", self._at):
            self._read_pair(path)
            self._skip(_BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _skip_scalar(self) -> None:
        for pattern in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _SCALAR):
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return
        raise ValueError("not TOML: a value was expected")


def _unescape(found: re.Match[str]) -> str:
    code: Any = found.group(1)
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED[code]
