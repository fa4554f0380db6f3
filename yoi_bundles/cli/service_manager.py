"""What a service manager is told, and where it leaves credentials.

Source: sd_notify(3) and systemd.exec(5), "Credentials".
"""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path

from yoi_bundles.cli.output import say


def announce_ready(text: str) -> None:
    """Print that requests are taken, and say so to a service manager that asked (``Type=notify``).

    Raises:
        OSError: The manager's socket cannot be reached: better no start than one that is timed out.
    """
    settle_memory()
    say(text)
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket is written with an @ and begins with a zero byte.
    place = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect(place)
        manager.sendall(b"READY=1")


_NEW_OBJECTS = 20_000
"""So many objects are made, beyond those that went, before the collector looks at them."""


def settle_memory() -> None:
    """Let the collector of cycles pass over what a server has built at its start and keeps.

    A receive makes so many objects that the collector runs, and without this each full run looks at
    every module and schema again. Few of those objects form cycles, so it also runs less often.

    Source: the gc module of Python, ``freeze`` and ``set_threshold``.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def is_service_credential(path: Path) -> bool:
    """Whether a file lies directly in the service's own credential directory.

    Only the service and root can enter it. Its files may show a group's read permission: that is
    how an access control list for the service's user looks in a mode.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(directory) and path.parent == Path(str(directory))
