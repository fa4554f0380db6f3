"""The border at which foreign exceptions become errors of this project.

Foreign exceptions are translated at the package border, once. dulwich's native code ends in a panic
that is no ``Exception``, so everything but the interpreter's own signals is caught.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from yoi_bundles.errors import (
    BundleError,
    MalformedBundleError,
    StorageFullError,
    StoreError,
    TooLargeError,
)
from yoi_bundles.store.pack.signals import SIGNALS

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def translate_os_error(action: str, error: OSError) -> StoreError:
    """The error of this project for one of the operating system; never shows a path."""
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    if error.errno in _FULL:
        return StorageFullError(f"no room left to {action}", os_error=name)
    return StoreError(f"could not {action}: {name}", os_error=name)


@contextmanager
def storage_faults(action: str) -> Iterator[None]:
    """Let only errors of this project leave the block.

    Args:
        action: What the block does, to follow "could not".

    Raises:
        StorageFullError: The device or the quota is full.
        StoreError: Any other foreign exception.
    """
    try:
        yield
    except (BundleError, *SIGNALS):
        raise
    except OSError as error:
        raise translate_os_error(action, error) from error
    except BaseException as error:
        raise StoreError(f"could not {action}: {type(error).__name__}") from error


@contextmanager
def verification_faults(action: str) -> Iterator[None]:
    """Like `storage_faults`, for a block that interprets bytes from outside.

    Args:
        action: What the block does, to follow "could not".

    Raises:
        MalformedBundleError: The bytes made a parser or decompressor fail.
        TooLargeError: The bytes asked for more memory than there is.
        StorageFullError: The device or the quota is full.
        StoreError: Any other foreign exception.
    """
    with storage_faults(action):
        try:
            yield
        except (zlib.error, struct.error, ValueError, OverflowError, RecursionError) as error:
            raise MalformedBundleError(f"could not {action}: {type(error).__name__}") from error
        except MemoryError as error:
            raise TooLargeError(f"could not {action}: out of memory") from error
