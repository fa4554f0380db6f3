"""A first bundle file without history: taken where history may begin, whole for stock git."""

from __future__ import annotations

import io
import itertools

import pytest
from store_factories import (
    WORKSPACE,
    Forge,
    bundle_bytes,
    copy_delta,
    make_draft,
    make_files,
    raw_tree,
    receive,
    run_git,
    snapshot,
)

from yoi_bundles.errors import (
    BundleMissingError,
    MalformedBundleError,
    MissingPrerequisiteError,
    StoreCorruptError,
    TooLargeError,
)
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.limits import DEFAULT_LIMITS, Limits
from yoi_bundles.model.revision import Advance
from yoi_bundles.store import Repository, encode_bundle_header
from yoi_bundles.store.disk.shallow import ShallowBoundary, parse_shallow
from yoi_bundles.store.tree.objects import Kind


@pytest.fixture
def origin(tmp_path):
    with Repository.create(tmp_path / "origin.git", WORKSPACE) as store:
        yield store


@pytest.fixture
def line(origin):
    """Five revisions."""
    return [
        origin.publish(make_files(prompts__note=f"Turn {i}.\n" * 9), make_draft()).revision
        for i in range(5)
    ]


@pytest.fixture
def held(tmp_path):
    with Repository.create(tmp_path / "held.git", WORKSPACE) as store:
        yield store


def shallow_bytes(store, target: CommitId) -> bytes:
    out = io.BytesIO()
    info = store.write_bundle(out, target=target, is_shallow=True)
    assert info.is_shallow
    return out.getvalue()


def bytes_on(store, new, base) -> bytes:
    return bundle_bytes(store, new.commit, [base.commit])


def fsck(store) -> None:
    assert run_git("fsck", "--full", "--strict", cwd=store.path) == ""


# --- what is sent ---


def test_a_shallow_file_holds_the_tip_alone_and_names_its_parent(origin, line):
    out = io.BytesIO()
    info = origin.write_bundle(out, target=line[3].commit, is_shallow=True)
    header = encode_bundle_header(line[3].commit, [line[2].commit])
    assert out.getvalue().startswith(header)
    assert (info.base, info.digest) == (None, line[3].digest)
    files = make_files(prompts__note="")
    assert info.objects == 1 + len(files) + len({"", "profiles", "prompts", "prompts/role"})


def test_its_size_does_not_depend_on_history(origin, line):
    before = len(shallow_bytes(origin, line[1].commit))
    assert abs(len(shallow_bytes(origin, line[4].commit)) - before) < 8
    assert len(bundle_bytes(origin, line[4].commit)) > before * 1.3


def test_a_first_revision_is_never_shallow(origin, line):
    out = io.BytesIO()
    assert not origin.write_bundle(out, target=line[0].commit, is_shallow=True).is_shallow
    assert out.getvalue() == bundle_bytes(origin, line[0].commit)


def test_a_usable_base_makes_an_increment_all_the_same(origin, line):
    out = io.BytesIO()
    bases = [line[1].commit]
    info = origin.write_bundle(out, target=line[2].commit, bases=bases, is_shallow=True)
    assert (info.base, info.is_shallow) == (line[1].commit, False)


@pytest.mark.needs_git
def test_git_verifies_and_fetches_it_where_the_parent_is(origin, line, tmp_path):
    file = tmp_path / "tip.bundle"
    file.write_bytes(shallow_bytes(origin, line[3].commit))
    with Repository.create(tmp_path / "older.git", WORKSPACE) as older:
        receive(older, bundle_bytes(origin, line[2].commit))
        run_git("bundle", "verify", "-q", file, cwd=older.path)
        run_git("fetch", "-q", file, "main:main", cwd=older.path)
        assert older.find_head() == line[3]
        fsck(older)


# --- what is accepted ---


@pytest.mark.needs_git
def test_an_empty_store_takes_it_and_history_begins_there(origin, line, held):
    steps: list[Advance] = []
    result = receive(held, shallow_bytes(origin, line[3].commit), check_advance=steps.append)
    assert (result.is_new, result.revision) == (True, line[3])
    assert [one.revision for one in steps[0].incoming] == [line[3]]
    assert list(held.revisions()) == [line[3]]
    assert held.haves() == (line[3].commit,)
    assert held.find_commit(line[2].commit) is None
    assert (held.path / "shallow").read_text() == f"{line[3].commit}\n"
    assert held.verify().problems == ()
    assert held.mend().lacking == frozenset()
    fsck(held)


@pytest.mark.needs_git
def test_increments_build_on_it_and_git_reads_the_history_there_is(origin, line, held, tmp_path):
    receive(held, shallow_bytes(origin, line[1].commit))
    for base, new in itertools.pairwise(line[1:]):
        assert receive(held, bytes_on(origin, new, base)).is_new
    assert list(held.revisions()) == line[:0:-1]
    assert held.find_base(line[4].commit, [line[0].commit]) is None
    assert held.find_base(line[4].commit, [line[1].commit]) == line[1].commit
    assert held.collect().kept == held.verify().objects
    fsck(held)
    subjects = run_git("log", "--format=%H", "main", cwd=held.path).split()
    assert subjects == [str(one.commit) for one in line[:0:-1]]
    run_git("clone", "-q", held.path, tmp_path / "clone")
    assert run_git("rev-list", "--count", "HEAD", cwd=tmp_path / "clone") == "4\n"
    run_git("init", "-q", "--bare", "--object-format=sha256", tmp_path / "fetched.git")
    fetch = ("fetch", "-q", "--update-shallow", held.path, "main:main")
    run_git(*fetch, cwd=tmp_path / "fetched.git")
    run_git("fsck", "--full", "--strict", cwd=tmp_path / "fetched.git")


def test_the_same_file_again_is_held_and_heals(origin, line, held):
    raw = shallow_bytes(origin, line[3].commit)
    receive(held, raw)
    pack = next((held.path / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[-60] ^= 0xFF
    pack.write_bytes(data)
    held.close()
    assert held.verify().problems
    assert receive(held, raw).is_new is False
    assert held.verify().problems == ()
    assert list(held.revisions()) == [line[3]]


def test_whole_history_makes_it_whole(origin, line, held):
    receive(held, shallow_bytes(origin, line[3].commit))
    receive(held, bundle_bytes(origin, line[4].commit))
    assert list(held.revisions()) == line[::-1]
    assert not (held.path / "shallow").exists()
    assert held.verify().problems == ()


def test_a_shallow_store_hands_on_its_tip_alone(origin, line, held, tmp_path):
    receive(held, shallow_bytes(origin, line[2].commit))
    receive(held, bytes_on(origin, line[4], line[2]))
    out = io.BytesIO()
    assert held.write_bundle(out, target=line[4].commit).is_shallow
    with Repository.create(tmp_path / "third.git", WORKSPACE) as third:
        assert receive(third, out.getvalue()).revision == line[4]


def test_a_crash_before_the_ref_leaves_room_for_another_first_one(origin, line, held):
    ShallowBoundary(held.path).write([line[3].commit])
    assert receive(held, bundle_bytes(origin, line[4].commit)).is_new
    assert list(held.revisions()) == line[::-1]


def test_garbage_collection_drops_a_beginning_that_nothing_reaches(origin, line, held):
    receive(held, shallow_bytes(origin, line[3].commit))
    ShallowBoundary(held.path).write([line[0].commit, line[3].commit])
    held.collect()
    assert ShallowBoundary(held.path).commits() == {line[3].commit}


# --- what is refused ---


@pytest.fixture
def parts():
    """A commit's closure in a pack, with an absent parent, to be spoilt."""
    forge = Forge()
    tree = forge.tree_of({b"bundle.toml": b"schema = 1\n"})
    parent = CommitId("ab" * 32)
    return forge, tree, parent


def refused(held, raw: bytes, error: type[Exception] = MissingPrerequisiteError) -> None:
    before = snapshot(held.path)
    with pytest.raises(error) as caught:
        receive(held, raw)
    assert snapshot(held.path) == before
    if error is MissingPrerequisiteError:
        assert caught.value.facts["missing"] == "ab" * 32
        assert caught.value.facts["held"] == []


def test_the_control_of_these_forged_files_is_accepted(held, parts):
    forge, tree, parent = parts
    tip = forge.commit(tree, parent.raw, number=7)
    assert receive(held, forge.bundle(tip, parent)).revision.number == 7


def test_two_commits_on_an_absent_parent(held, parts):
    forge, tree, parent = parts
    middle = forge.commit(tree, parent.raw, number=7)
    refused(held, forge.bundle(forge.commit(tree, middle.raw, number=8), parent))


def test_an_absent_commit_that_is_not_the_parent(held, parts):
    forge, tree, parent = parts
    refused(held, forge.bundle(forge.commit(tree, b"\xcd" * 32, number=7), parent))


def test_a_first_revision_with_an_absent_prerequisite(held, parts):
    forge, tree, parent = parts
    refused(held, forge.bundle(forge.commit(tree), parent))


def test_two_absent_prerequisites(held, parts):
    forge, tree, parent = parts
    tip = forge.commit(tree, parent.raw, number=7)
    refused(held, forge.bundle(tip, parent, CommitId("cd" * 32)))


def test_a_delta_on_something_of_the_absent_parent(held, parts):
    forge, _, parent = parts
    blob = forge.add(Kind.BLOB, b"here\n")
    forge.ref_delta(b"\xee" * 32, copy_delta(b"gone\n", b"more\n"))
    tree = forge.add(Kind.TREE, raw_tree((b"100644", b"a.md", blob)))
    refused(held, forge.bundle(forge.commit(tree, parent.raw, number=7), parent))


def test_a_tree_that_needs_something_of_the_absent_parent(held, parts):
    forge, _, parent = parts
    tree = forge.add(Kind.TREE, raw_tree((b"100644", b"a.md", b"\xee" * 32)))
    refused(held, forge.bundle(forge.commit(tree, parent.raw, number=7), parent))


def test_something_that_nothing_needs(held, parts):
    forge, tree, parent = parts
    forge.add(Kind.BLOB, b"a stowaway\n")
    tip = forge.commit(tree, parent.raw, number=7)
    refused(held, forge.bundle(tip, parent), MalformedBundleError)


def test_a_store_that_holds_a_revision_takes_none(origin, line, held):
    receive(held, bundle_bytes(origin, line[0].commit))
    with pytest.raises(MissingPrerequisiteError) as caught:
        receive(held, shallow_bytes(origin, line[3].commit))
    assert caught.value.facts["held"] == [str(line[0].commit)]
    assert not (held.path / "shallow").exists()


def test_a_shallow_store_takes_no_second_one(origin, line, held):
    receive(held, shallow_bytes(origin, line[1].commit))
    with pytest.raises(MissingPrerequisiteError):
        receive(held, shallow_bytes(origin, line[3].commit))
    assert list(held.revisions()) == [line[1]]


def test_the_slower_of_two_first_ones_is_refused_under_the_lock(origin, line, held):
    """Both were judged while the store was empty."""
    raw = shallow_bytes(origin, line[3].commit)

    def come_first(_: Advance) -> None:
        if held.find_head() is None:
            receive(held, shallow_bytes(origin, line[1].commit))

    with pytest.raises(MissingPrerequisiteError):
        receive(held, raw, check_advance=come_first)
    assert list(held.revisions()) == [line[1]]
    assert ShallowBoundary(held.path).commits() == {line[1].commit}


# --- damage ---


def test_a_garbled_beginning_is_told_set_aside_and_healed_by_whole_history(origin, line, held):
    receive(held, shallow_bytes(origin, line[2].commit))
    receive(held, bytes_on(origin, line[3], line[2]))
    (held.path / "shallow").write_bytes(b"garbled\n")
    assert held.verify().problems
    with pytest.raises(StoreCorruptError):
        list(held.revisions())
    report = held.mend()
    assert [name.partition(".")[0] for name in report.set_aside] == ["shallow"]
    assert report.lacking == {line[3].digest}
    receive(held, bundle_bytes(origin, line[3].commit))
    assert held.find_lacking() == frozenset()
    assert list(held.revisions()) == line[3::-1]


@pytest.mark.needs_git
def test_git_makes_it_whole_behind_our_back(origin, line, held):
    receive(held, shallow_bytes(origin, line[3].commit))
    assert list(held.revisions()) == [line[3]]
    fetch = ("fetch", "-q", "--unshallow", origin.path, "main")
    run_git("-c", "protocol.file.allow=always", *fetch, cwd=held.path)
    assert list(held.revisions()) == line[3::-1]
    assert held.verify().problems == ()


@pytest.mark.parametrize("raw", [b"x", b"ab" * 32, b"AB" * 32 + b"\n", b"ab" * 32 + b"\r\n"])
def test_a_list_of_beginnings_is_ids_in_lines(raw):
    with pytest.raises(StoreCorruptError):
        parse_shallow(raw)


def test_what_is_before_the_beginning_is_not_held(origin, line, held):
    receive(held, shallow_bytes(origin, line[3].commit))
    with pytest.raises(BundleMissingError):
        held.get_revision(line[2].digest)
    assert held.digests() == (Digest(str(line[3].digest)),)


@pytest.mark.parametrize("is_signed_on", [False, True], ids=["tip alone", "and its increment"])
def test_objects_may_come_that_are_held_already(origin, line, held, is_signed_on):
    receive(held, bundle_bytes(origin, line[1].commit))
    if is_signed_on:
        receive(held, bundle_bytes(origin, line[2].commit, [line[1].commit]))
    assert receive(held, shallow_bytes(origin, line[2].commit)).is_new is not is_signed_on
    assert held.find_head() == line[2]
    assert run_git("fsck", "--full", "--strict", cwd=held.path) == ""


def ask_plain(store, raw: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, int | None]:
    """What a content check is told of each file, where short ones are called plain."""
    told = {}

    def check_content(tree):
        told.update({str(path): tree.plain_size(blob) for path, blob in tree.entries().items()})

    upload = store.open_upload(limits)
    upload.write(raw)
    store.accept(
        upload,
        expected=None,
        check_advance=lambda advance: None,
        check_content=check_content,
        find_plain=lambda files: [len(data) < 60 for data in files],
    )
    return told


def test_files_of_a_first_bundle_are_looked_at_while_they_come(origin, line, held):
    sizes = {
        str(path): len(origin.tree(line[-2].digest).read(path))
        for path in origin.tree(line[-2].digest).entries()
    }
    expected = {path: size if size < 60 else None for path, size in sizes.items()}
    assert set(map(type, expected.values())) == {int, type(None)}

    assert ask_plain(held, shallow_bytes(origin, line[-2].commit)) == expected
    increment = bundle_bytes(origin, line[-1].commit, [line[-2].commit])
    assert set(ask_plain(held, increment).values()) == {None}


def test_looking_at_a_file_is_work(origin, held):
    texts = {f"prompts__n{number}": f"{number}" * 5000 for number in range(3)}
    tip = origin.publish(make_files(**texts), make_draft()).revision
    raw = bundle_bytes(origin, tip.commit)
    limits = Limits(inflated_bytes=26_000)
    with pytest.raises(TooLargeError) as caught:
        ask_plain(held, raw, limits)
    assert caught.value.facts["limit_name"] == "inflated_bytes"
    assert receive(held, raw, limits=limits).is_new
