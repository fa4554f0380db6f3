"""All files of a workspace checked at once, where nothing is kept of it.

The checks are loaded with the first files that need them: a publish of an edited prompt does not.

Source: docs/format.md, "Checking a tree".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from yoi_bundles.model.ids import RelativePath
from yoi_bundles.model.limits import Limits

if TYPE_CHECKING:
    from yoi_bundles.model.bundle import Bundle


def verify_files(files: Mapping[RelativePath, bytes], limits: Limits) -> Bundle:
    """The bundle of all files of a workspace; nothing is kept of the check.

    Raises:
        BundleError: The content is refused, with every finding.
    """
    from yoi_bundles.content.check import check_files, raise_if_refused

    return raise_if_refused(check_files(files, limits=limits))
