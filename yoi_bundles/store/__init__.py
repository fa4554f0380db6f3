"""Bare SHA-256 repositories, bundle files, verified receive; the only user of dulwich.

Whoever is outside imports from here and from no room. What it gives is loaded when it is asked
for: a publish has no use for what receives and checks out.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoi_bundles.store.care.sources import open_source
    from yoi_bundles.store.checkout import Checkout, CheckoutArea
    from yoi_bundles.store.disk.faults import storage_faults
    from yoi_bundles.store.disk.files import TEMP_PREFIX, write_new_file
    from yoi_bundles.store.disk.layout import create_data_directory, create_side_directory
    from yoi_bundles.store.disk.measures import Measure
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
    from yoi_bundles.store.tree.bundle_file import (
        MAIN_REF,
        BundleFileInfo,
        BundleHeader,
        encode_bundle_header,
        read_bundle_header,
    )
    from yoi_bundles.store.tree.commits import ParsedCommit, encode_commit, parse_commit
    from yoi_bundles.store.tree.objects import Oid
    from yoi_bundles.store.tree.trees import compute_digest, compute_root
    from yoi_bundles.store.workspaces import WorkspaceRepositories

__all__ = [
    "MAIN_REF",
    "TEMP_PREFIX",
    "UNSET",
    "BundleFileInfo",
    "BundleHeader",
    "BundleStore",
    "Checkout",
    "CheckoutArea",
    "CollectReport",
    "Expected",
    "Measure",
    "MendReport",
    "ObjectSource",
    "Oid",
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
    "compute_root",
    "create_data_directory",
    "create_side_directory",
    "encode_bundle_header",
    "encode_commit",
    "encode_draft",
    "get_spelled_revision",
    "open_source",
    "parse_commit",
    "read_bundle_header",
    "storage_faults",
    "write_new_file",
]

_MODULES = {
    "open_source": "care.sources",
    "Checkout": "checkout",
    "CheckoutArea": "checkout",
    "storage_faults": "disk.faults",
    "TEMP_PREFIX": "disk.files",
    "write_new_file": "disk.files",
    "create_data_directory": "disk.layout",
    "create_side_directory": "disk.layout",
    "Measure": "disk.measures",
    "Upload": "disk.quarantine",
    "BundleStore": "protocol",
    "CollectReport": "protocol",
    "Expected": "protocol",
    "MendReport": "protocol",
    "ObjectSource": "protocol",
    "PublishResult": "protocol",
    "ReceiveResult": "protocol",
    "StoreProblem": "protocol",
    "UNSET": "protocol",
    "Unset": "protocol",
    "VerifyReport": "protocol",
    "Witness": "protocol",
    "encode_draft": "publish",
    "Repository": "repository",
    "get_spelled_revision": "spelling",
    "BundleFileInfo": "tree.bundle_file",
    "BundleHeader": "tree.bundle_file",
    "MAIN_REF": "tree.bundle_file",
    "encode_bundle_header": "tree.bundle_file",
    "read_bundle_header": "tree.bundle_file",
    "ParsedCommit": "tree.commits",
    "encode_commit": "tree.commits",
    "parse_commit": "tree.commits",
    "Oid": "tree.objects",
    "compute_digest": "tree.trees",
    "compute_root": "tree.trees",
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
