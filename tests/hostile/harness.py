"""Sends hostile cases to a store with the real trust and content checks, and says what happened."""

from __future__ import annotations

import time
import tomllib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from builder import WORKSPACE, Upload, World, as_upload
from families import CASES
from families.sizes import LIMITS

from yoi_bundles.content import verify_content
from yoi_bundles.errors import BundleError
from yoi_bundles.model.host_policy import TrustRules
from yoi_bundles.model.ids import Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.model.revision import Advance
from yoi_bundles.runtime.trust import verify_advance
from yoi_bundles.store import ReceiveResult, Repository, receive_bundle

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hostile"
CHUNK_BYTES = 1 << 20


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
    size_bytes: int


@lru_cache(maxsize=1)
def load_table() -> dict[str, dict[str, Any]]:
    """The committed table by name."""
    text = (FIXTURES / "cases.toml").read_text(encoding="utf-8")
    return {row["name"]: row for row in tomllib.loads(text)["case"]}


def make_store(root: Path, world: World) -> Repository:
    """A repository that holds what the world says is held."""
    store = Repository.create(root, WorkspaceId(WORKSPACE))
    for upload in world.setup():
        assert send(store, upload).is_new
    return store


def send(store: Repository, upload: Upload, limits: Limits | None = None) -> ReceiveResult:
    """Receive as a Runtime does: in chunks, with trust rules and content check."""
    bounds = limits or Limits()

    def check_advance(advance: Advance) -> None:
        verify_advance(advance, trust=TrustRules(), verify_signature=None)

    raw = upload.raw
    return receive_bundle(
        store,
        (raw[at : at + CHUNK_BYTES] for at in range(0, len(raw), CHUNK_BYTES)),
        expected=Digest(upload.digest),
        check_advance=check_advance,
        check_content=verify_content(workspace=store.workspace, limits=bounds),
        limits=bounds,
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
    before = listing(store.path)
    limits = Limits(**LIMITS.get(name, {}))
    started = time.perf_counter()
    try:
        result = send(store, upload, limits)
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
    return Verdict(name, code, has_hint, message, left, seconds, len(upload.raw))


def as_dict(verdict: Verdict) -> dict[str, object]:
    return asdict(verdict)
