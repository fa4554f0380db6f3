"""From an uploaded bundle file to a new head: the ten steps of receive, in their order.

Source: docs/format.md, "Receive".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from yoi_bundles.model.ids import Digest
from yoi_bundles.model.revision import AdvanceCheck
from yoi_bundles.model.tree import ContentCheck, PlainCheck
from yoi_bundles.store.disk.faults import verification_faults
from yoi_bundles.store.disk.measures import MeasureCache
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.quarantine import Upload
from yoi_bundles.store.pack.mapped import map_file
from yoi_bundles.store.protocol import ReceiveResult
from yoi_bundles.store.receive.verify import Receiver
from yoi_bundles.store.writer import Writer


class Intake:
    """Accepts uploads into one repository.

    Args:
        receiver: Verifies them.
        writer: Writes what was verified.
        lock: Takes the writer lock.
        objects: Learns what the files and directories that came are.
        measures: Learns how large the directories are.
    """

    def __init__(
        self,
        receiver: Receiver,
        writer: Writer,
        lock: Callable[[], AbstractContextManager[None]],
        objects: ObjectDatabase,
        measures: MeasureCache,
    ) -> None:
        self._receiver = receiver
        self._writer = writer
        self._lock = lock
        self._objects = objects
        self._measures = measures

    def accept(
        self,
        upload: Upload,
        expected: Digest | None,
        check_advance: AdvanceCheck,
        check_content: ContentCheck,
        find_plain: PlainCheck | None,
    ) -> ReceiveResult:
        """See `BundleStore.accept`.

        Raises:
            BundleError: See `BundleStore.accept`.
        """
        receiver, writer = self._receiver, self._writer
        with (
            upload,
            verification_faults("read the bundle file"),
            map_file(upload.open_for_reading()) as view,
        ):
            received = receiver.verify(view, upload.limits, find_plain)
            current = writer.find_current(received)
            if not writer.is_held(received.tip, current):
                check_advance(receiver.make_advance(received, current))
            receiver.verify_content(received, expected, check_content, upload.limits)
            with self._lock():
                is_new = writer.install(receiver, received, current, check_advance)
            self._measures.learn(received.measures)
            self._objects.learn_sizes(received.pack.blob_sizes())
            self._objects.learn_trees(received.directories)
            counts = len(received.pack.objects), upload.size_bytes, received.pack.inflated_bytes
            return ReceiveResult(received.tip, is_new, *counts)
