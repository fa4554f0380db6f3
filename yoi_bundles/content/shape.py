"""What the bytes of a text look like: one translation answers two questions at once.

Where tokens could stand, for the search for secrets; and whether there is anything that nobody
sees, for the text rules. Both cost as much as a look at every byte in Python's C code.
"""

from __future__ import annotations

import string

from yoi_bundles.model.texts import UNSEEN

UNSEEN_CLASS = b"\0"
"""Class of controls, carriage return among them."""

TOKEN_CLASS = b"x"
"""Class of characters that tokens are made of."""

_TOKEN_CHARACTERS = (string.ascii_letters + string.digits + "_-+/=.~:").encode()


def _class_of(byte: int) -> bytes:
    if byte in _TOKEN_CHARACTERS:
        return TOKEN_CLASS
    is_unseen = byte < 0x80 and UNSEEN.search(chr(byte)) is not None
    return UNSEEN_CLASS if is_unseen else b" "


_CLASSES = b"".join(map(_class_of, range(256)))


def classify(data: bytes) -> bytes:
    """The class of each byte, in place.

    Args:
        data: A text in UTF-8; bytes beyond ASCII are neither of tokens nor unseen.
    """
    return data.translate(_CLASSES)
