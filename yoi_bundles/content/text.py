"""Bytes → text: UTF-8, LF, nothing invisible.

What a reviewer sees must be what the model reads, so controls, bidirectional overrides and tag
characters are refused; letters of every script are welcome.

Source: docs/format.md, "Text"; Unicode Technical Report 36 (bidirectional overrides).
"""

from __future__ import annotations

from yoi_bundles.content.findings import INVALID, shown_file
from yoi_bundles.content.shape import UNSEEN_CLASS
from yoi_bundles.model.finding import Finding
from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.texts import UNSEEN


def find_text(data: bytes, classes: bytes) -> str | None:
    """The text of a file, or None if `decode_text` has something to say of it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    is_fine = UNSEEN_CLASS not in classes if text.isascii() else UNSEEN.search(text) is None
    return text if is_fine else None


def decode_text(path: RelativePath, data: bytes, classes: bytes) -> str | Finding:
    """The text of a file, or the first thing that keeps it from being one.

    Args:
        path: The file.
        data: Its bytes.
        classes: Their classes, of `classify`.
    """
    found = find_text(data, classes)
    if found is not None:
        return found
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _fault(path, data.count(b"\n", 0, error.start) + 1, "is not UTF-8", "save as UTF-8")
    character = next(one for one in ("\r", *UNSEEN.findall(text)) if one in text)
    line = text.count("\n", 0, text.index(character)) + 1
    if character == "\r":
        return _fault(path, line, "has a carriage return", "use LF line ends")
    name = f"U+{ord(character):04X}"
    return _fault(path, line, f"holds the control or invisible character {name}", "remove it")


def _fault(path: RelativePath, line: int, message: str, hint: str) -> Finding:
    return Finding(
        file=shown_file(path), line=line, code=INVALID, message=f"this file {message}", hint=hint
    )
