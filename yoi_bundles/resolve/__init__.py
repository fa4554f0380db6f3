"""Pure resolution: tree + selector + request + host policy to spec and decisions."""

from yoi_bundles.resolve.cache import ResolutionCache
from yoi_bundles.resolve.profiles import MAX_PARENTS, MergedProfile, merge_profile
from yoi_bundles.resolve.resolution import resolve
from yoi_bundles.resolve.selectors import Selector, parse_selector, select_profile

__all__ = [
    "MAX_PARENTS",
    "MergedProfile",
    "ResolutionCache",
    "Selector",
    "merge_profile",
    "parse_selector",
    "resolve",
    "select_profile",
]
