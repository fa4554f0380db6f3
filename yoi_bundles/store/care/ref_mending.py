"""Makes lost and garbled refs anew, from other refs and from what others remember.

Source: docs/adr/0014; docs/format.md, "Damage".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from yoi_bundles.errors import StoreCorruptError, StoreError
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.revision import Revision
from yoi_bundles.store.care.damage import set_aside
from yoi_bundles.store.disk.files import replace_file, sync_directory
from yoi_bundles.store.disk.history import History
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.disk.refs import (
    BUNDLES,
    PACKED_REFS,
    RefStore,
    bundle_ref,
    encode_packed,
    parse_packed,
)
from yoi_bundles.store.disk.shallow import SHALLOW
from yoi_bundles.store.protocol import Witness
from yoi_bundles.store.tree.bundle_file import MAIN_REF


class RefMender:
    """Mends the refs of one repository; the caller holds the writer lock.

    Args:
        root: The repository.
        refs: Its refs.
        history: Its revisions.
        objects: Its objects.
    """

    def __init__(
        self, root: Path, refs: RefStore, history: History, objects: ObjectDatabase
    ) -> None:
        self._root = root
        self._refs = refs
        self._history = history
        self._objects = objects
        self.made: list[str] = []

    def mend(self, witness: Witness, stamp: str) -> list[str]:
        """Take garbage away, then make ``main`` and the refs of bundles anew.

        Args:
            witness: What others remember.
            stamp: Of files that are set aside.

        Returns:
            Names of what was set aside.

        Raises:
            OSError: Files could not be read or written.
            StoreError: A ref could not be written.
        """
        moved = self._set_garbage_aside(stamp)
        self._mend_main(witness)
        self._mend_bundles(witness)
        return moved

    def _set_garbage_aside(self, stamp: str) -> list[str]:
        packed = self._root / PACKED_REFS
        garbage = [path for path in self._loose() if self._is_garbage(path)]
        is_packed_garbled = packed.exists() and not _is_packed_sound(packed.read_bytes())
        if not garbage and not is_packed_garbled:
            return []
        names = set_aside(self._root, garbage + [packed] * is_packed_garbled, stamp)
        for path in garbage:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)
        if is_packed_garbled:
            replace_file(packed, encode_packed(_sound_lines(packed.read_bytes())))
        return names

    def _loose(self) -> Iterator[Path]:
        """Loose refs, and the list of where history begins."""
        for name in ("heads", "bundles"):
            for path in sorted((self._root / "refs" / name).rglob("*")):
                if path.is_file() and not path.name.endswith(".lock"):
                    yield path
        if (self._root / SHALLOW).is_file():
            yield self._root / SHALLOW

    def _is_garbage(self, path: Path) -> bool:
        try:
            if path.name == SHALLOW:
                self._refs.boundary.commits()
            else:
                self._refs.find(str(path.relative_to(self._root)))
        except StoreCorruptError:
            return True
        return False

    def _mend_main(self, witness: Witness) -> None:
        """The newest of what is known, whether its bytes are here or not."""
        known = [(one.number, one.commit) for one in self._known(witness)]
        if witness.newest is not None:
            known.append((witness.newest[1], witness.newest[0]))
        current = self._refs.find(MAIN_REF)
        if current is not None and self._is_plausible(current, witness):
            revision = self._try_read(current)
            floor = next((n for n, commit in known if commit == current), None)
            floor = floor if revision is None else revision.number
            known = [pair for pair in known if floor is not None and pair[0] > floor]
        if known:
            self._refs.write([(MAIN_REF, max(known)[1])])
            self.made.append(MAIN_REF)

    def _is_plausible(self, commit: CommitId, witness: Witness) -> bool:
        """Whether ``main`` may have named it: one that nobody knows is a garbled id."""
        is_newest = witness.newest is not None and witness.newest[0] == commit
        named = {one for _, one in self._refs.list_bundles()}
        return is_newest or commit in named or self._try_read(commit) is not None

    def _try_read(self, commit: CommitId) -> Revision | None:
        try:
            return self._history.read(commit)
        except StoreError:
            return None

    def _known(self, witness: Witness) -> Iterator[Revision]:
        """Revisions that refs name; at their origin, without any ref, those in packs."""
        commits = [commit for _, commit in self._refs.list_bundles()]
        if not commits and self._refs.find(MAIN_REF) is None and witness.is_origin:
            commits = [CommitId.from_bytes(oid) for oid in self._objects.list_ids()]
        yield from filter(None, map(self._try_read, commits))

    def _mend_bundles(self, witness: Witness) -> None:
        """Each held bundle's ref names a commit that carries it: the newest of ``main``'s line."""
        line: dict[Digest, CommitId] = {}
        with suppress(StoreError):  # As far as it can be read; the rest waits for objects.
            for revision in self._history.walk(self._history.find_head()):
                line.setdefault(revision.digest, revision.commit)
        wrong = [digest for digest, one in self._carried() if one is not None and one != digest]
        if wrong:
            self._refs.pack(drop=[bundle_ref(digest) for digest in wrong])
        unreadable = {digest for digest, one in self._carried() if one is None}
        head = next(iter(line), None)
        for digest, commit in line.items():
            ref = bundle_ref(digest)
            is_lost = self._refs.find(ref) is None and (digest == head or witness.was_held(digest))
            if is_lost or digest in unreadable:
                self._refs.write([(ref, commit)])
                self.made.append(ref)

    def _carried(self) -> list[tuple[Digest, Digest | None]]:
        """Every bundle ref's digest, and that of the commit it names; None if it is unreadable."""
        found = [(digest, self._try_read(commit)) for digest, commit in self._refs.list_bundles()]
        return [(digest, None if one is None else one.digest) for digest, one in found]


def _is_packed_sound(raw: bytes) -> bool:
    try:
        parse_packed(raw)
    except StoreCorruptError:
        return False
    return True


def _sound_lines(raw: bytes) -> dict[str, CommitId]:
    found: dict[str, CommitId] = {}
    for line in raw.split(b"\n"):
        if _is_packed_sound(line + b"\n"):
            found.update(parse_packed(line + b"\n"))
    return {name: commit for name, commit in found.items() if name == MAIN_REF or BUNDLES in name}
