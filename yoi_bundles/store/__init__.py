"""Bare SHA-256 repositories, bundle files, verified receive; the only user of dulwich."""

from yoi_bundles.store.bundlefile import (
    BundleFileInfo,
    BundleHeader,
    encode_bundle_header,
    read_bundle_header,
)
from yoi_bundles.store.checkout import Checkout, CheckoutArea
from yoi_bundles.store.commits import ParsedCommit, encode_commit, parse_commit
from yoi_bundles.store.layout import create_data_directory
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
from yoi_bundles.store.quarantine import Upload
from yoi_bundles.store.repository import Repository
from yoi_bundles.store.sources import open_source
from yoi_bundles.store.spelling import get_spelled_revision
from yoi_bundles.store.transfer import receive_bundle
from yoi_bundles.store.trees import compute_digest
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
