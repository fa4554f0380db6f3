"""The table between error codes and exit codes; documented in docs/operations.md."""

from __future__ import annotations

from collections.abc import Mapping

OK = 0
NEGATIVE = 1
USAGE = 2
AUTHENTICATION = 3
NOT_FOUND = 4
CONFLICT = 5
INTEGRITY = 6
NETWORK = 7
MACHINE = 8

EXIT_CODE: Mapping[str, int] = {
    "internal_error": MACHINE,
    "invalid_input": USAGE,
    "invalid_profile_selector": USAGE,
    "unsupported_declaration": NEGATIVE,
    "invalid_manifest": NEGATIVE,
    "forbidden_material": NEGATIVE,
    "bundle_missing": NOT_FOUND,
    "workspace_not_visible": NOT_FOUND,
    "channel_gone": NOT_FOUND,
    "revision_conflict": CONFLICT,
    "unauthenticated": AUTHENTICATION,
    "forbidden": AUTHENTICATION,
    "verification_failed": INTEGRITY,
    "digest_mismatch": INTEGRITY,
    "forbidden_path": INTEGRITY,
    "forbidden_mode": INTEGRITY,
    "malformed_bundle": INTEGRITY,
    "missing_object": INTEGRITY,
    "missing_prerequisite": CONFLICT,
    "too_large": INTEGRITY,
    "not_fast_forward": CONFLICT,
    "rollback_refused": CONFLICT,
    "untrusted_signature": INTEGRITY,
    "policy_error": NEGATIVE,
    "policy_denied": NEGATIVE,
    "bundle_required": NEGATIVE,
    "stale_bundle": NEGATIVE,
    "invalid_host_policy": MACHINE,
    "store_error": MACHINE,
    "store_corrupt": INTEGRITY,
    "storage_full": MACHINE,
    "transport_failed": NETWORK,
    "too_many_requests": NETWORK,
}
"""Exit code of every error code."""
