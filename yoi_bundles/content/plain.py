"""Plain prompts: sound text that says nothing but itself, told from its bytes alone.

Most prompts have no header, no variable and nothing like a secret. A content check says the same
of all of them wherever they stand, so they need not be read again once their bytes were looked at.
Many are looked at together, as one text: that takes half the time of a look at each.

Source: docs/adr/0022-one-look-at-what-is-received.md; docs/format.md, "Text".
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from yoi_bundles.content.front_matter import FENCE
from yoi_bundles.content.layout import Place
from yoi_bundles.content.material_filter import RUN, assignments_in, select_rules
from yoi_bundles.content.parse import ParsedFile, make_plain_prompt
from yoi_bundles.content.shape import UNSEEN_CLASS, classify
from yoi_bundles.content.text import find_text
from yoi_bundles.model.bundle import Source
from yoi_bundles.model.ids import BlobId, PromptKey, RelativePath
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.paths import is_plain_path

_APART = b"\nx\n"
"""Between two files: what would be a find across it is none."""
_FENCE = FENCE.encode()
_PROMPT_PATH = re.compile(r"prompts/((?:[a-z0-9][a-z0-9-]*/){0,7}[a-z0-9][a-z0-9-]*)\.md")
"""Of nearly every prompt; `find_place` says the same of what matches."""


def find_plain(files: Sequence[bytes]) -> list[bool]:
    """Which files are sound text that says nothing but itself, if they are prompts.

    What `parse_plain` says of these needs no second look at their bytes.

    Args:
        files: Their bytes; all of them together are copied twice.
    """
    joined = _APART.join(files)
    starts = list(accumulate((len(data) + len(_APART) for data in files[:-1]), initial=0))
    suspects = {row for find in _finders(joined) for row in _find_rows(find, starts)}
    if not joined.isascii():
        suspects.update(row for row, data in enumerate(files) if not data.isascii())
    return [
        _is_plain(data) if row in suspects else not _says_more(data)
        for row, data in enumerate(files)
    ]


def _says_more(data: bytes) -> bool:
    """Whether a prompt of these bytes may have a header or variables."""
    return data.startswith(_FENCE) or (b"{" in data and b"{{" in data)


def _is_plain(data: bytes) -> bool:
    """The whole question, of one file."""
    classes = classify(data)
    text = find_text(data, classes)
    return text is not None and not _says_more(data) and not select_rules(text, data, classes)


def _finders(joined: bytes) -> Iterator[Callable[[int], int]]:
    """Functions that find, from a position on, what has to be looked at closely; -1 for nothing."""
    classes = classify(joined)
    yield partial(classes.find, UNSEEN_CLASS)
    yield partial(classes.find, RUN)
    for pattern in assignments_in(joined):
        yield partial(_search, pattern, joined)


def _search(pattern: re.Pattern[bytes], joined: bytes, start: int) -> int:
    found = pattern.search(joined, start)
    return -1 if found is None else found.start()


def _find_rows(find: Callable[[int], int], starts: Sequence[int]) -> Iterator[int]:
    """Rows of the files in which something is found; no byte is looked at twice."""
    position = find(0)
    while position >= 0:
        row = bisect_right(starts, position) - 1
        yield row
        position = find(starts[row + 1]) if row + 1 < len(starts) else -1


def parse_plain(
    path: RelativePath, blob: BlobId, size: int, limits: Limits = DEFAULT_LIMITS
) -> ParsedFile | None:
    """What `parse_file` says of a prompt whose bytes are plain; None if that has to be asked.

    Args:
        path: Where it stands in the tree.
        blob: Id of bytes that `find_plain` has found plain.
        size: Their length.
        limits: As for `parse_file`.
    """
    text = str(path)
    found = _PROMPT_PATH.fullmatch(text)
    if found is None or size > limits.file_bytes or not is_plain_path(text, limits):
        return None
    key = found[1].replace("/", ".")
    if len(key) > PromptKey.max_length:
        return None
    place = Place("prompt", key)
    return make_plain_prompt(Source(path, blob), place, size)
