"""Token files: a token comes from a file or the environment, never from the command line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from yoi_bundles.errors import InvalidInputError

MAX_BYTES = 4096


def read_token_file(path: Path) -> str:
    """The token in a file.

    Raises:
        InvalidInputError: It cannot be read, holds no single line, or others may read it. The
            message names the file's base name only.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise InvalidInputError(
            f"the token file {path.name} cannot be read: {error.strerror}"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise InvalidInputError(f"the token file {path.name} is not a regular file")
        if mode & 0o077:
            raise InvalidInputError(
                f"the token file {path.name} can be read by others", hint="chmod 600"
            )
        data = file.read(MAX_BYTES + 1)
    token = data.decode("ascii", "replace").strip()
    if not token or len(data) > MAX_BYTES or len(token.split()) != 1 or not token.isprintable():
        raise InvalidInputError(f"the token file {path.name} does not hold one token")
    return token


def write_token_file(path: Path, token: str) -> None:
    """Keep a token where only its owner reads it.

    Raises:
        InvalidInputError: The file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise InvalidInputError(
            f"the token file {path.name} cannot be made: {error.strerror}"
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
