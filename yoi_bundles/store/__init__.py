"""Bare SHA-256 repositories, bundle files, verified receive; the only user of dulwich.

What it gives is loaded when it is asked for: a publish has no use for what receives and checks out.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoi_bundles.store.care.sources import open_source
    from yoi_bundles.store.checkout import Checkout, CheckoutArea
    from yoi_bundles.store.disk.layout import create_data_directory
    from yoi_bundles.store.disk.quarantine import Upload
    from yoi_bundles.store.protocol import (
        UNSET,
        BundleStore,
        CollectReport,
        Expected,
        MendReport,
        ObjectSource,
        PublishResult,
        ReceiveResult,
        StoreProblem,
        Unset,
        VerifyReport,
        Witness,
    )
    from yoi_bundles.store.publish import encode_draft
    from yoi_bundles.store.repository import Repository
    from yoi_bundles.store.spelling import get_spelled_revision
    from yoi_bundles.store.transfer import receive_bundle
    from yoi_bundles.store.tree.bundle_file import (
        BundleFileInfo,
        BundleHeader,
        encode_bundle_header,
        read_bundle_header,
    )
    from yoi_bundles.store.tree.commits import ParsedCommit, encode_commit, parse_commit
    from yoi_bundles.store.tree.trees import compute_digest
    from yoi_bundles.store.workspaces import WorkspaceRepositories

__all__ = [
    "UNSET",
    "BundleFileInfo",
    "BundleHeader",
    "BundleStore",
    "Checkout",
    "CheckoutArea",
    "CollectReport",
    "Expected",
    "MendReport",
    "ObjectSource",
    "ParsedCommit",
    "PublishResult",
    "ReceiveResult",
    "Repository",
    "StoreProblem",
    "Unset",
    "Upload",
    "VerifyReport",
    "Witness",
    "WorkspaceRepositories",
    "compute_digest",
    "create_data_directory",
    "encode_bundle_header",
    "encode_commit",
    "encode_draft",
    "get_spelled_revision",
    "open_source",
    "parse_commit",
    "read_bundle_header",
    "receive_bundle",
]

_MODULES = {
    "BundleFileInfo": "tree.bundle_file",
    "BundleHeader": "tree.bundle_file",
    "encode_bundle_header": "tree.bundle_file",
    "read_bundle_header": "tree.bundle_file",
    "Checkout": "checkout",
    "CheckoutArea": "checkout",
    "ParsedCommit": "tree.commits",
    "encode_commit": "tree.commits",
    "parse_commit": "tree.commits",
    "create_data_directory": "disk.layout",
    "UNSET": "protocol",
    "BundleStore": "protocol",
    "CollectReport": "protocol",
    "Expected": "protocol",
    "MendReport": "protocol",
    "ObjectSource": "protocol",
    "PublishResult": "protocol",
    "ReceiveResult": "protocol",
    "StoreProblem": "protocol",
    "Unset": "protocol",
    "VerifyReport": "protocol",
    "Witness": "protocol",
    "encode_draft": "publish",
    "Upload": "disk.quarantine",
    "Repository": "repository",
    "open_source": "care.sources",
    "get_spelled_revision": "spelling",
    "receive_bundle": "transfer",
    "compute_digest": "tree.trees",
    "WorkspaceRepositories": "workspaces",
}
"""Name → the module of this package that has it."""


def __getattr__(name: str) -> object:
    """The module's attribute, loaded now (PEP 562).

    Raises:
        AttributeError: There is none of this name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
