"""Writes a new revision: its objects as one pack, under a lock that the caller holds.

Source: docs/adr/0003; docs/format.md, "Order of writes".
"""

from __future__ import annotations

from yoi_bundles.errors import RevisionConflictError, StoreCorruptError
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.revision import CommitSigner, Revision, RevisionDraft
from yoi_bundles.store.disk.objects import ObjectDatabase
from yoi_bundles.store.pack.written import NewObjects
from yoi_bundles.store.tree.commits import encode_commit, hash_commit, insert_signature
from yoi_bundles.store.tree.objects import Kind, Oid
from yoi_bundles.store.tree.trees import BuiltTree, compare_trees


def encode_draft(
    draft: RevisionDraft,
    digest: Digest,
    head: Revision | None,
    workspace: WorkspaceId,
    sign: CommitSigner | None = None,
) -> bytes:
    """The commit that a draft becomes on top of a head.

    Args:
        draft: What the publisher says.
        digest: The commit's tree.
        head: The revision it follows, or None.
        workspace: Whose it is.
        sign: Signs it; None leaves it unsigned.

    Raises:
        InvalidInputError: The draft cannot become a commit.
        MalformedBundleError: What the signer returned is no armoured SSH signature.
        BundleError: Whatever the signer raises.
    """
    payload = encode_commit(
        digest=digest,
        parent=None if head is None else head.commit,
        workspace=workspace,
        number=1 if head is None else head.number + 1,
        created_at=draft.created_at,
        provenance=draft.provenance,
        message=draft.message,
    )
    return payload if sign is None else insert_signature(payload, sign(payload))


def verify_expected(head: Revision | None, wanted: CommitId | None) -> None:
    """The compare of compare-and-swap.

    Args:
        head: The head now.
        wanted: The head that was built on, or None for an empty store.

    Raises:
        RevisionConflictError: They differ.
    """
    actual = None if head is None else head.commit
    if actual != wanted:
        raise RevisionConflictError(
            "another revision was published meanwhile",
            hint="look at the newest revision and publish again",
            actual=None if actual is None else str(actual),
            expected=None if wanted is None else str(wanted),
        )


def collect_new_objects(
    objects: ObjectDatabase, tree: BuiltTree, head: Revision | None, commit: bytes
) -> NewObjects:
    """What a revision needs that is not held: found from the top, equal subtrees not entered.

    Raises:
        StoreCorruptError: The head's tree is missing or corrupt, or an object that is needed.
    """
    found: dict[Oid, tuple[Kind, bytes]] = {hash_commit(commit).raw: (Kind.COMMIT, commit)}
    before = None if head is None else head.digest.raw
    wanted = [tree.root]
    for step in compare_trees(tree.loader(objects.read_tree), before, tree.root):
        if step.new is not None:
            wanted.append(step.new)
    for oid in wanted:
        # What is here is read: a new revision must not build on an object that has gone bad.
        if oid in found or (objects.contains(oid) and objects.find(oid)):
            continue
        if oid not in tree.objects:
            raise StoreCorruptError("an object of the base is missing", object=oid.hex())
        found[oid] = tree.objects[oid]
    return found
