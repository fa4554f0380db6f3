"""Sends hostile cases to a store with the real trust and content checks, and says what happened."""

from __future__ import annotations

import io
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from builder import WORKSPACE, Upload, World, as_upload
from families import CASES
from families.sizes import LIMITS
from receiving import receive_bundle

from yoi_bundles.content.check_tree import verify_content
from yoi_bundles.errors import BundleError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Advance
from yoi_bundles.runtime.held.trust import verify_advance
from yoi_bundles.store import ReceiveResult, Repository

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hostile"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one upload."""

    name: str
    code: str
    has_hint: bool
    message: str
    left: list[str]
    """Files that appeared, vanished or changed."""
    seconds: float


@lru_cache(maxsize=1)
def load_table() -> dict[str, dict[str, Any]]:
    """The committed table by name."""
    text = (FIXTURES / "cases.toml").read_text(encoding="utf-8")
    return {row["name"]: row for row in tomllib.loads(text)["case"]}


def make_store(root: Path, world: World) -> Repository:
    """A repository that holds what the world says is held."""
    store = Repository.create(root, WorkspaceId(WORKSPACE))
    for upload in world.setup():
        send(store, upload)
    return store


def is_for_nobody(name: str) -> bool:
    """Whether a case or control is for a receiver that holds nothing."""
    return name.startswith("shallow/")


@dataclass(frozen=True, slots=True)
class Receivers:
    """One that holds what the world says, and one that holds nothing."""

    holder: Repository
    nobody: Repository

    def of(self, name: str) -> Repository:
        """The one a case is for."""
        return self.nobody if is_for_nobody(name) else self.holder


@contextmanager
def make_receivers(root: Path, world: World) -> Iterator[Receivers]:
    """Both, in a directory."""
    with (
        make_store(root / "team.git", world) as holder,
        Repository.create(root / "nobody.git", WorkspaceId(WORKSPACE)) as nobody,
    ):
        yield Receivers(holder, nobody)


def send(store: Repository, upload: Upload, limits: Limits | None = None) -> ReceiveResult:
    """Receive an upload as a Runtime does."""
    return send_stream(store, io.BytesIO(upload.raw), upload.digest, limits or Limits())


def send_stream(store: Repository, stream: BinaryIO, digest: str, limits: Limits) -> ReceiveResult:
    """Receive in chunks, with trust rules and content check."""

    def check_advance(advance: Advance) -> None:
        verify_advance(advance, trust=TrustRules(), verify_signature=None)

    return receive_bundle(
        store,
        stream,
        expected=Digest(digest),
        check_advance=check_advance,
        check_content=verify_content(workspace=store.workspace, limits=limits),
        limits=limits,
    )


def listing(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a directory: what "nothing is left" is measured by."""
    found = {}
    for path in root.rglob("*"):
        stat = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (stat.st_mode, stat.st_ino, data)
    return found


def build(name: str, world: World) -> Upload:
    return as_upload(CASES[name](world))


def judge(store: Repository, name: str, upload: Upload) -> Verdict:
    """Send a case; anything but a `BundleError` is told by its class."""
    return judge_stream(store, name, io.BytesIO(upload.raw), upload.digest)


def judge_file(store: Repository, name: str, file: Path, digest: str) -> Verdict:
    """Send a case whose bytes are in a file."""
    with file.open("rb") as stream:
        return judge_stream(store, name, stream, digest)


def judge_stream(store: Repository, name: str, stream: BinaryIO, digest: str) -> Verdict:
    """Send a case, compare what is on disk before and after."""
    before = listing(store.path)
    limits = Limits(**LIMITS.get(name, {}))
    started = time.perf_counter()
    try:
        result = send_stream(store, stream, digest, limits)
        code, has_hint, message = f"accepted (new: {result.is_new})", False, ""
    except BundleError as error:
        code, has_hint, message = error.code, bool(error.hint), error.message
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        code, has_hint, message = f"foreign: {type(error).__name__}", False, str(error)
    seconds = time.perf_counter() - started
    after = listing(store.path)
    left = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    return Verdict(name, code, has_hint, message, left, seconds)


def as_dict(verdict: Verdict) -> dict[str, object]:
    return asdict(verdict)
