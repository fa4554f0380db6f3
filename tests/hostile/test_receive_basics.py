"""Bundle files that must not be accepted, and that none of them leaves a trace."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "store"))

from receiving import receive_bundle
from store_factories import (
    WORKSPACE,
    Forge,
    accept_all,
    bundle_bytes,
    copy_delta,
    make_draft,
    make_files,
    raw_commit,
    raw_tree,
    receive,
    snapshot,
)

from yoi_bundles.errors import (
    BundleError,
    DigestMismatchError,
    ForbiddenMaterialError,
    NotFastForwardError,
)
from yoi_bundles.model.ids import CommitId, Digest, WorkspaceId
from yoi_bundles.model.limits import Limits
from yoi_bundles.store import Repository, encode_bundle_header
from yoi_bundles.store.pack.deltas import COST_BYTES, apply_delta
from yoi_bundles.store.receive import closure
from yoi_bundles.store.tree.objects import Kind, hash_object

pytestmark = pytest.mark.floors

FILE, TREE = b"100644", b"40000"


def nested(forge, depth, name=b"d"):
    tree = forge.tree_of({b"f": b"x"})
    for _ in range(depth):
        tree = forge.add(Kind.TREE, raw_tree((TREE, name, tree)))
    return tree


def one_commit(make_root, **pack):
    def build(_held):
        forge = Forge()
        return forge.bundle(forge.commit(make_root(forge)), **pack)

    return build


def tree_with(mode=FILE, name=b"f"):
    return one_commit(
        lambda forge: forge.add(Kind.TREE, raw_tree((mode, name, forge.add(Kind.BLOB, b"x"))))
    )


def with_extra(kind, data):
    def root(forge):
        forge.add(kind, data)
        return forge.tree_of({b"f": b"x"})

    return one_commit(root)


def tree_named_as_blob(forge):
    inner = forge.tree_of({b"f": b"x"})
    return forge.add(Kind.TREE, raw_tree((FILE, b"t", inner)))


def blob_named_as_tree(forge):
    inner = forge.add(Kind.BLOB, b"x")
    return forge.add(Kind.TREE, raw_tree((TREE, b"t", inner)))


def exploding(forge):
    """Ten entries on each of ten levels: 10**10 files in a few hundred bytes."""
    tree = forge.tree_of({b"f": b"x"})
    for _ in range(10):
        tree = forge.add(Kind.TREE, raw_tree(*((TREE, b"d%d" % i, tree) for i in range(10))))
    return tree


def tip_is_a_tree(_held):
    forge = Forge()
    return forge.bundle(CommitId.from_bytes(forge.tree_of({b"f": b"x"})))


def two_roots(_held):
    forge = Forge()
    tree = forge.tree_of({b"f": b"x"})
    forge.add(Kind.COMMIT, raw_commit(tree, number=5))
    return forge.bundle(forge.commit(tree))


def merge_commit(_held):
    forge = Forge()
    tree = forge.tree_of({b"f": b"x"})
    one = forge.commit(tree).raw
    raw = raw_commit(tree, one, 2).replace(
        b"\nauthor", b"\nparent " + one.hex().encode() + b"\nauthor", 1
    )
    return forge.bundle(CommitId.from_bytes(forge.add(Kind.COMMIT, raw)))


def other_workspace(_held):
    forge = Forge()
    raw = raw_commit(forge.tree_of({b"f": b"x"}), workspace=WorkspaceId("team-b"))
    return forge.bundle(CommitId.from_bytes(forge.add(Kind.COMMIT, raw)))


def numbers_fall(_held):
    forge = Forge()
    tree = forge.tree_of({b"f": b"x"})
    first = forge.commit(tree, number=2)
    return forge.bundle(forge.commit(tree, first.raw, number=2))


def number_below_base(held):
    forge = Forge()
    tree = forge.tree_of({b"f": b"x"})
    return forge.bundle(forge.commit(tree, held.commit.raw, number=1), held.commit)


def unknown_prerequisite(_held):
    forge = Forge()
    base = CommitId("77" * 32)
    return forge.bundle(forge.commit(forge.tree_of({b"f": b"x"}), base.raw, 2), base)


def parent_is_no_prerequisite(held):
    forge = Forge()
    return forge.bundle(forge.commit(forge.tree_of({b"f": b"x"}), held.commit.raw, 2))


def tip_is_prerequisite(held):
    return encode_bundle_header(held.commit, [held.commit]) + Forge().pack()


def empty_pack(held):
    return encode_bundle_header(CommitId("88" * 32), [held.commit]) + Forge().pack()


def missing_blob(_held):
    forge = Forge()
    tree = forge.add(Kind.TREE, raw_tree((FILE, b"f", b"\x99" * 32)))
    return forge.bundle(forge.commit(tree))


def missing_subtree(held):
    forge = Forge()
    tree = forge.add(Kind.TREE, raw_tree((TREE, b"t", b"\x99" * 32)))
    return forge.bundle(forge.commit(tree, held.commit.raw, 2), held.commit)


def missing_root(_held):
    forge = Forge()
    return forge.bundle(forge.commit(b"\x99" * 32))


def base_not_in_prerequisites(held):
    """A full bundle may not early on what the receiver happens to hold."""
    forge = Forge()
    forge.ref_delta(held.digest.raw, copy_delta(b"x" * 40, b"y"))
    return forge.bundle(CommitId("88" * 32))


def held_without_prerequisite(held):
    forge = Forge()
    return forge.bundle(forge.commit(held.digest.raw))


def long_path(forge):
    return nested(forge, 10, b"n" * 150)


def other_branch(held):
    forge = Forge()
    raw = forge.bundle(forge.commit(forge.tree_of({b"f": b"x"})))
    return raw.replace(b"refs/heads/main", b"refs/heads/evil", 1)


CASES = {
    "another branch": (other_branch, "malformed_bundle"),
    "no bytes": (lambda held: b"", "malformed_bundle"),
    "not a bundle": (lambda held: b"hello", "malformed_bundle"),
    "header only": (lambda held: encode_bundle_header(CommitId("88" * 32)), "malformed_bundle"),
    "trailing bytes": (one_commit(lambda f: f.tree_of({}), tail=b"x" * 40), "malformed_bundle"),
    "wrong count": (one_commit(lambda f: f.tree_of({}), count=1), "malformed_bundle"),
    "garbage for zlib": (
        one_commit(lambda f: (f.raw(b"\x31" + b"\0" * 12), f.tree_of({}))[1]),
        "malformed_bundle",
    ),
    "executable": (tree_with(mode=b"100755"), "forbidden_mode"),
    "symbolic link": (tree_with(mode=b"120000"), "forbidden_mode"),
    "submodule": (tree_with(mode=b"160000"), "forbidden_mode"),
    "dot git": (tree_with(name=b".git"), "forbidden_path"),
    "dot git in capitals": (tree_with(name=b".GIT"), "forbidden_path"),
    "dot git for NTFS": (tree_with(name=b"git~1"), "forbidden_path"),
    "dot git for HFS": (tree_with(name=b".g\xe2\x80\x8cit"), "forbidden_path"),
    "parent directory": (tree_with(name=b".."), "forbidden_path"),
    "separator": (tree_with(name=b"a/b"), "forbidden_path"),
    "backslash": (tree_with(name=b"a\\b"), "forbidden_path"),
    "stream": (tree_with(name=b"a:b"), "forbidden_path"),
    "bidi": (tree_with(name="a\u202eb".encode()), "forbidden_path"),
    "device": (tree_with(name=b"NUL.txt"), "forbidden_path"),
    "not UTF-8": (tree_with(name=b"\xff"), "forbidden_path"),
    "long name": (tree_with(name=b"n" * 201), "forbidden_path"),
    "too deep": (one_commit(lambda f: nested(f, 17)), "forbidden_path"),
    "far too deep": (one_commit(lambda f: nested(f, 2000)), "forbidden_path"),
    "long path": (one_commit(long_path), "forbidden_path"),
    "exploding tree": (one_commit(exploding), "too_large"),
    "tree named as file": (one_commit(tree_named_as_blob), "malformed_bundle"),
    "file named as tree": (one_commit(blob_named_as_tree), "malformed_bundle"),
    "extra blob": (with_extra(Kind.BLOB, b"stowaway"), "malformed_bundle"),
    "extra tree": (with_extra(Kind.TREE, b""), "malformed_bundle"),
    "extra commit": (two_roots, "malformed_bundle"),
    "tip is a tree": (tip_is_a_tree, "missing_object"),
    "merge": (merge_commit, "malformed_bundle"),
    "other workspace": (other_workspace, "malformed_bundle"),
    "numbers do not rise": (numbers_fall, "malformed_bundle"),
    "number below its base": (number_below_base, "malformed_bundle"),
    "unknown prerequisite": (unknown_prerequisite, "missing_prerequisite"),
    "parent is no prerequisite": (parent_is_no_prerequisite, "missing_object"),
    "tip is its prerequisite": (tip_is_prerequisite, "malformed_bundle"),
    "empty pack": (empty_pack, "missing_object"),
    "missing blob": (missing_blob, "missing_object"),
    "missing directory": (missing_subtree, "missing_object"),
    "missing root": (missing_root, "missing_object"),
    "base from nowhere": (base_not_in_prerequisites, "missing_object"),
    "held but not reached": (held_without_prerequisite, "missing_object"),
}


@pytest.fixture
def published(tmp_path):
    with Repository.create(tmp_path / "team-a.git", WORKSPACE) as opened:
        opened.publish(make_files(), make_draft())
        yield opened


@pytest.fixture
def peer(tmp_path):
    with Repository.create(tmp_path / "peer.git", WORKSPACE) as opened:
        yield opened


@pytest.fixture
def head(published):
    return published.find_head()


@pytest.mark.parametrize(("build", "code"), CASES.values(), ids=CASES.keys())
def test_a_hostile_file_is_refused_by_its_code_and_leaves_nothing(published, head, build, code):
    raw = build(head)
    before = snapshot(published.path)
    with pytest.raises(BundleError) as caught:
        receive(published, raw)
    assert caught.value.code == code
    assert snapshot(published.path) == before
    assert published.find_head() == head


def test_a_tree_that_grows_without_bound_is_refused_at_once(published, head):
    raw = CASES["exploding tree"][0](head)
    started = time.perf_counter()
    with pytest.raises(BundleError):
        receive(published, raw)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(bundle_bytes=100), "bundle_bytes"),
        (Limits(header_bytes=50), "header_bytes"),
        (Limits(objects=2), "objects"),
        (Limits(object_bytes=50), "object_bytes"),
        (Limits(inflated_bytes=500), "inflated_bytes"),
        (Limits(tree_entries=2), "tree_entries"),
        (Limits(files=2), "files"),
        (Limits(tree_bytes=200), "tree_bytes"),
        (Limits(commit_bytes=100), "commit_bytes"),
        (Limits(new_commits=0), "new_commits"),
    ],
)
def test_every_limit_is_kept_and_leaves_nothing(published, head, peer, limits, name):
    raw = bundle_bytes(published, head.commit)
    before = snapshot(peer.path)
    with pytest.raises(BundleError) as caught:
        receive(peer, raw, limits=limits)
    assert (caught.value.code, caught.value.facts["limit_name"]) == ("too_large", name)
    assert snapshot(peer.path) == before


def test_another_digest_than_announced_is_refused(published, head, peer):
    before = snapshot(peer.path)
    with pytest.raises(DigestMismatchError) as caught:
        receive(peer, bundle_bytes(published, head.commit), expected=Digest("ab" * 32))
    assert caught.value.facts == {"expected": "ab" * 32, "actual": str(head.digest)}
    assert snapshot(peer.path) == before


def test_both_checks_can_refuse_and_leave_nothing(published, head, peer):
    raw = bundle_bytes(published, head.commit)
    before = snapshot(peer.path)

    def no_advance(advance):
        raise NotFastForwardError("no")

    def no_content(tree):
        assert tree.read(next(iter(tree.entries())))
        raise ForbiddenMaterialError("no")

    with pytest.raises(NotFastForwardError):
        receive(peer, raw, check_advance=no_advance)
    with pytest.raises(ForbiddenMaterialError):
        receive(peer, raw, check_content=no_content)
    assert snapshot(peer.path) == before


@pytest.mark.parametrize(
    "error", [ValueError("x"), MemoryError(), RecursionError(), OSError(5, "io"), RuntimeError()]
)
def test_only_errors_of_this_project_leave(published, head, peer, error):
    def check(tree):
        raise error

    before = snapshot(peer.path)
    with pytest.raises(BundleError):
        receive(peer, bundle_bytes(published, head.commit), check_content=check)
    assert snapshot(peer.path) == before


class Panic(BaseException):
    """Like the one that native code throws."""


def test_a_panic_is_translated_but_an_interrupt_is_not(published, head, peer):
    raw = bundle_bytes(published, head.commit)
    before = snapshot(peer.path)
    for error, wanted in ((Panic(), BundleError), (KeyboardInterrupt(), KeyboardInterrupt)):

        def check(tree, error=error):
            raise error

        with pytest.raises(wanted):
            receive(peer, raw, check_content=check)
        assert snapshot(peer.path) == before


def test_every_truncation_and_many_flipped_bytes_are_refused(published, head, peer):
    raw = bundle_bytes(published, head.commit)
    before = snapshot(peer.path)
    for size in range(0, len(raw), 7):
        with pytest.raises(BundleError):
            receive(peer, raw[:size])
    for place in range(40, len(raw), 5):
        bad = bytearray(raw)
        bad[place] ^= 0x10
        with pytest.raises(BundleError):
            receive(peer, bytes(bad))
    assert snapshot(peer.path) == before


def test_a_missing_prerequisite_says_what_is_held(published, head):
    with pytest.raises(BundleError) as caught:
        receive(published, unknown_prerequisite(head))
    assert caught.value.facts["held"] == [str(head.commit)]
    assert caught.value.facts["missing"] == "77" * 32


def test_a_commit_that_is_merely_present_is_no_prerequisite(published, head, peer):
    """An unreachable commit in the object store is not history that anything was checked for."""
    blob = make_files(extra="x\n")
    second = published.publish(blob, make_draft(seconds=1_700_000_001)).revision
    receive(peer, bundle_bytes(published, second.commit))
    for name in ("refs/heads/main", f"refs/bundles/{second.digest}"):
        (peer.path / name).unlink()
    third = published.publish(make_files(extra="y\n"), make_draft()).revision
    with pytest.raises(BundleError) as caught:
        receive(peer, bundle_bytes(published, third.commit, [second.commit]))
    assert caught.value.code == "missing_prerequisite"


def test_a_stream_that_breaks_off_leaves_nothing(peer):
    def chunks():
        yield b"# v3 git bundle\n"
        raise ConnectionResetError

    before = snapshot(peer.path)
    with pytest.raises(ConnectionResetError):
        receive_bundle(
            peer,
            chunks(),
            expected=None,
            check_advance=accept_all,
            check_content=accept_all,
        )
    assert snapshot(peer.path) == before


def test_the_hash_of_an_object_is_its_own_not_what_a_delta_claims(published, head):
    """A thin delta against a held blob makes whatever its bytes say, under its true id."""
    data = published.tree(head.digest).entries()
    path, blob = next((p, b) for p, b in data.items() if str(p) == "bundle.toml")
    content = published.tree(head.digest).read(path)
    forge = Forge()
    forge.ref_delta(blob.raw, copy_delta(content, b"# more\n"))
    made = hash_object(Kind.BLOB, content + b"# more\n")
    tree = forge.add(Kind.TREE, raw_tree((FILE, b"bundle.toml", made)))
    target = forge.commit(tree, head.commit.raw, 2)
    result = receive(published, forge.bundle(target, head.commit))
    assert result.is_new
    assert published.tree(result.revision.digest).read(path) == content + b"# more\n"
    assert published.verify().problems == ()


def test_a_base_that_the_prerequisite_does_not_reach_is_refused(published, head):
    """Held is not enough: the sender may only build on what it named."""
    first = published.tree(head.digest)
    path = next(iter(first.entries()))
    content = first.read(path)
    later = published.publish(make_files(extra="only later\n"), make_draft()).revision
    extra = b"only later\n"
    forge = Forge()
    forge.ref_delta(hash_object(Kind.BLOB, extra), copy_delta(extra, b"!"))
    made = hash_object(Kind.BLOB, extra + b"!")
    tree = forge.add(Kind.TREE, raw_tree((FILE, b"f", made)))
    target = forge.commit(tree, head.commit.raw, 9)
    before = snapshot(published.path)
    with pytest.raises(BundleError) as caught:
        receive(published, forge.bundle(target, head.commit))
    assert caught.value.code == "missing_object"
    assert snapshot(published.path) == before
    assert published.find_head() == later
    assert content


def test_what_is_not_held_is_missing_without_a_walk_through_history(published, head, monkeypatch):
    """A kilobyte from a sender may not cost a look at every revision ever held."""

    def walk(*_):
        raise AssertionError("history was searched")

    monkeypatch.setattr(closure, "compare_trees", walk)
    with pytest.raises(BundleError) as caught:
        receive(published, missing_subtree(head))
    assert caught.value.code == "missing_object"


def test_commits_of_a_line_are_parsed_again_only_for_who_looks_at_them(published, head, peer):
    """All of them are handed to the trust rules, in order, each with its exact bytes."""
    later = published.publish(make_files(extra="x\n"), make_draft()).revision
    seen = []
    receive(
        peer,
        bundle_bytes(published, later.commit),
        check_advance=lambda advance: seen.extend(advance.incoming),
    )
    assert [one.revision for one in seen] == [head, later]
    assert all(hash_object(Kind.COMMIT, one.raw) == one.revision.commit.raw for one in seen)


@pytest.mark.parametrize("commands", [1, 1023, 1024, 5000])
def test_commands_of_a_delta_are_billed_to_the_last(commands):
    bill = []
    delta = b"\x05" + bytes([commands & 127 | 128, commands >> 7]) + b"\x90\x01" * commands
    if commands < 128:
        delta = b"\x05" + bytes([commands]) + b"\x90\x01" * commands
    assert apply_delta(b"abcde", delta, 10_000, bill.append) == b"a" * commands
    assert sum(bill) == COST_BYTES * len(delta)
