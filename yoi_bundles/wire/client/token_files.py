"""Token files: a token comes from a file or the environment, never from the command line."""

from __future__ import annotations

import functools
import logging
import os
import re
import stat
from pathlib import Path

from yoi_bundles.errors import InvalidInputError

log = logging.getLogger(__name__)

MAX_BYTES = 4096
# Without blocking: a pipe under the name of a token file must not hold a command up for ever.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read_token_file(path: Path, *, is_group_trusted: bool = False) -> str:
    """The token in a file.

    Args:
        is_group_trusted: The file's group may read it.

    Raises:
        InvalidInputError: It cannot be read, holds no single line, or others may read it. The
            message names the file's base name only.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        raise InvalidInputError(
            f"the token file {path.name} cannot be read: {error.strerror}"
        ) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InvalidInputError(f"the token file {path.name} is not a regular file")
        if mode & (0o037 if is_group_trusted else 0o077):
            raise InvalidInputError(
                f"the token file {path.name} can be read by others", hint="chmod 600"
            )
        data = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    token = data.strip()
    if len(data) > MAX_BYTES or re.fullmatch(rb"[!-~]+", token) is None:
        raise InvalidInputError(f"the token file {path.name} does not hold one token")
    return token.decode("ascii")


class TokenFile:
    """The token that stands in a file now: whoever rotates it replaces the file.

    Args:
        path: Read again for each request; while it cannot be used, the last token of it is.
        is_group_trusted: As of `read_token_file`.

    Raises:
        InvalidInputError: As `read_token_file`, the first time.
    """

    def __init__(self, path: Path, *, is_group_trusted: bool = False) -> None:
        self._read = functools.partial(read_token_file, path, is_group_trusted=is_group_trusted)
        self._token = self._read()

    def __call__(self) -> str:
        """The token."""
        try:
            self._token = self._read()
        except InvalidInputError as error:
            log.warning("the token read before is used: %s", error.message)
        return self._token


def replace_token_file(path: Path, token: str) -> None:
    """Keep another token than before under a name, so that a reader finds the one or the other.

    Raises:
        InvalidInputError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_token_file(fresh, token)
    fresh.replace(path)


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
