"""What a Browser sees. These models have no field for a credential, an endpoint or a path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from yoi_bundles.content.check_tree import load_bundle
from yoi_bundles.model.revision import Revision
from yoi_bundles.store import BundleStore
from yoi_bundles.wire.messages.runtimes import (
    BrowserRevision,
    BrowserRuntime,
    BrowserWorkspace,
    RuntimeView,
)


def browser_revision(revision: Revision) -> BrowserRevision:
    """A revision without its source's address."""
    return BrowserRevision(
        number=revision.number,
        digest=revision.digest,
        created_at=revision.created_at,
        published_by=_without_mail(revision.provenance.published_by),
        source_kind=revision.provenance.source_kind,
        subject=revision.message.partition("\n")[0],
    )


def browser_workspace(store: BundleStore) -> BrowserWorkspace:
    """A workspace by its newest revision.

    Raises:
        StoreCorruptError: Stored bytes are not what their name says.
    """
    head = store.find_head()
    if head is None:
        return BrowserWorkspace(
            workspace=store.workspace,
            name=str(store.workspace),
            description="",
            head=None,
            profiles=(),
            secret_names=(),
        )
    bundle = load_bundle(store.tree(head.digest))
    info = bundle.manifest.value.workspace
    return BrowserWorkspace(
        workspace=store.workspace,
        name=info.name,
        description=info.description,
        head=browser_revision(head),
        profiles=tuple(sorted(n for n, p in bundle.profiles.items() if not p.value.abstract)),
        secret_names=tuple(
            sorted(name for name, grant in bundle.grants.items() if grant.value.kind == "secret")
        ),
    )


def browser_runtimes(runtimes: Sequence[RuntimeView]) -> tuple[BrowserRuntime, ...]:
    """Runtimes without where they are and how they are reached."""
    return tuple(
        BrowserRuntime(
            runtime_id=one.runtime_id,
            labels=one.labels,
            is_available=one.is_available,
            last_seen=one.last_seen,
            current={
                bundle.workspace: bundle.digest
                for bundle in sorted(one.bundles, key=lambda b: str(b.last_fetched or ""))
                if bundle.state in {"accepted", "active"}
            },
            rejected=sum(bundle.state == "rejected" for bundle in one.bundles),
        )
        for one in runtimes
    )


def _without_mail(published_by: str) -> str:
    """The name before ``<mail>``; of a bare address the part before ``@``."""
    return re.sub(r"@\S*", "", published_by.partition(" <")[0])
