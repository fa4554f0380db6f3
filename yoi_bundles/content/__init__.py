"""The files of a tree as a bundle, or findings with file, line, code and hint. Pure: no disk."""

from yoi_bundles.content.cache import CheckedTrees
from yoi_bundles.content.check import (
    UNPUBLISHED,
    CheckResult,
    check_files,
    close_files,
    raise_if_refused,
)
from yoi_bundles.content.check_tree import check_tree, load_bundle, verify_content
from yoi_bundles.content.findings import raise_findings
from yoi_bundles.content.inheritance import find_chain, merge_profile, merge_tables
from yoi_bundles.content.parse import ParsedFile, blob_id_of, parse_file
from yoi_bundles.content.profile_rules import decide_tool

__all__ = [
    "UNPUBLISHED",
    "CheckResult",
    "CheckedTrees",
    "ParsedFile",
    "blob_id_of",
    "check_files",
    "check_tree",
    "close_files",
    "decide_tool",
    "find_chain",
    "load_bundle",
    "merge_profile",
    "merge_tables",
    "parse_file",
    "raise_findings",
    "raise_if_refused",
    "verify_content",
]
